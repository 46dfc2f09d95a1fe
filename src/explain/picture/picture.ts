/** One PNG an explanation: photograph, what speaks for the class, the concepts with signed bars, the rest, the sums. */
import sharp from 'sharp';
import type { Preprocessing } from '../../models/spec.js';
import type { Explanation } from '../explanation.js';
import {
  contributionText,
  directions,
  fidelityLine,
  headline,
  ledgerLine,
  percent,
  question,
  SHARE_NOTE,
  shortName,
  signedPercent,
  sumLine,
} from '../report/words.js';
import { contributionPicture, gradientPicture, lit, type Picture, photograph, spotlight } from './canvas.js';
import { AGAINST_COLOUR, FOR_COLOUR } from './colours.js';
import { textPath, textWidth } from './glyphs.js';

const WIDTH = 1280;
const MARGIN = 28;
const PHOTO = 344;
const TILE = 168;
const CARD_HEIGHT = TILE + 20;
const COLUMNS = 2;
const LEFT = MARGIN + PHOTO + 36;
const CARD_WIDTH = (WIDTH - LEFT - MARGIN) / COLUMNS;
const TOP = 132;
const CAPTION = 26;

const INK = '#1a1a1a';
const GREY = '#5a5a5a';
const RULE = '#d0d0d0';

interface Placed {
  readonly picture: Picture;
  readonly left: number;
  readonly top: number;
}

interface TextStyle {
  readonly size: number;
  readonly colour?: string;
  readonly bold?: boolean;
  /** Longest width in pixels; longer text is cut with an ellipsis. */
  readonly room?: number;
}

/** Drawing instructions in SVG; text becomes outlines, so no font is needed where this runs. */
class Overlay {
  private readonly parts: string[] = [];

  text(
    x: number,
    y: number,
    words: string,
    { size, colour = INK, bold = false, room = WIDTH }: TextStyle,
  ): void {
    let shown = words;
    while (shown.length > 1 && textWidth(shown, size, bold) > room)
      shown = `${shown.slice(0, -2).trimEnd()}…`;
    this.parts.push(`<path fill="${colour}" d="${textPath(shown, x, y, size, bold)}"/>`);
  }

  box(x: number, y: number, width: number, height: number, fill: string): void {
    this.parts.push(
      `<rect x="${x.toFixed(2)}" y="${y}" width="${Math.max(0, width).toFixed(2)}" height="${height}" fill="${fill}"/>`,
    );
  }

  svg(height: number): Buffer {
    return Buffer.from(
      `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}">${this.parts.join('')}</svg>`,
    );
  }
}

/** A signed bar around a middle line; `full` is the share that fills a side. */
function signedBar(overlay: Overlay, x: number, y: number, width: number, share: number, full: number): void {
  const middle = x + width / 2;
  const length = full > 0 ? (Math.abs(share) / full) * (width / 2) : 0;
  overlay.box(x, y, width, 18, '#f1f1f1');
  overlay.box(share < 0 ? middle - length : middle, y, length, 18, share < 0 ? AGAINST_COLOUR : FOR_COLOUR);
  overlay.box(middle - 0.75, y - 3, 1.5, 24, GREY);
}

function drawConcepts(e: Explanation, photo: Picture, overlay: Overlay, placed: Placed[]): void {
  const full = Math.max(...e.concepts.map((c) => Math.abs(c.share)));
  const largest = Math.max(...e.concepts.map((c) => Math.abs(c.contribution)));
  e.concepts.forEach((c, i) => {
    const left = LEFT + (i % COLUMNS) * CARD_WIDTH;
    const top = TOP + Math.floor(i / COLUMNS) * CARD_HEIGHT;
    if (c.map !== null) {
      placed.push({
        picture: lit(photo, spotlight(c.map, photo.width, photo.height)),
        left: Math.round(left),
        top,
      });
    }
    const x = left + TILE + 14;
    const room = CARD_WIDTH - TILE - 34;
    overlay.text(x, top + 40, signedPercent(c.share), {
      size: 27,
      bold: true,
      colour: c.share < 0 ? AGAINST_COLOUR : FOR_COLOUR,
      room,
    });
    signedBar(overlay, x, top + 54, room, c.share, full);
    overlay.text(x, top + 98, `concept ${c.concept}`, { size: 16, room });
    if (c.contributionFor !== null && c.contributionVersus !== null && e.target.versus !== null) {
      overlay.text(x, top + 122, `${e.target.for.name} ${contributionText(c.contributionFor, largest)}`, {
        size: 14,
        colour: GREY,
        room,
      });
      overlay.text(
        x,
        top + 142,
        `${e.target.versus.name} ${contributionText(c.contributionVersus, largest)}`,
        {
          size: 14,
          colour: GREY,
          room,
        },
      );
    } else {
      overlay.text(x, top + 122, `${contributionText(c.contribution, largest)} to the logit`, {
        size: 14,
        colour: GREY,
        room,
      });
    }
  });
}

/** The overall balance of evidence: one bar, red part for, blue part against. */
function drawBalance(e: Explanation, overlay: Overlay): void {
  const absolute = e.positiveSum - e.negativeSum;
  if (absolute === 0) return;
  const width = WIDTH - LEFT - MARGIN;
  const part = (e.positiveSum / absolute) * width;
  overlay.box(LEFT, 88, part, 22, FOR_COLOUR);
  overlay.box(LEFT + part, 88, width - part, 22, AGAINST_COLOUR);
  const names = directions(e);
  const words = (share: number, name: string): string => `${percent(share)} ${name}`;
  const most = { size: 15, colour: '#fff', bold: true, room: part - 12 };
  if (part > 60) overlay.text(LEFT + 8, 104, words(e.positiveSum / absolute, names.for), most);
  const left = width - part - 16;
  const share = -e.negativeSum / absolute;
  const against = [words(share, names.against), percent(share)].find(
    (text) => textWidth(text, 15, true) <= left,
  );
  if (against === undefined) return;
  const at = WIDTH - MARGIN - 8 - textWidth(against, 15, true);
  overlay.text(at, 104, against, { size: 15, colour: '#fff', bold: true });
}

/** Draws an explanation as a PNG file, 1280 pixels wide. */
export async function drawExplanation(e: Explanation, preprocessing: Preprocessing): Promise<Buffer> {
  const overlay = new Overlay();
  const placed: Placed[] = [];
  const photo = photograph(e.image, preprocessing, PHOTO);
  const second = TOP + photo.height + CAPTION;
  const rows = Math.ceil(e.concepts.length / COLUMNS);
  const body = Math.max(second + photo.height + CAPTION, TOP + rows * CARD_HEIGHT);
  const height = body + 100;

  overlay.text(MARGIN, 42, headline(e), { size: 27, bold: true, room: WIDTH - 2 * MARGIN });
  overlay.text(MARGIN, 72, shortName(e.image.name), { size: 14, colour: GREY, room: PHOTO });
  overlay.text(LEFT, 74, question(e), { size: 19, room: WIDTH - LEFT - MARGIN });
  drawBalance(e, overlay);

  placed.push({ picture: photo, left: MARGIN, top: TOP });
  overlay.text(
    MARGIN,
    TOP + photo.height + 17,
    `The network sees it at ${e.image.width} x ${e.image.height} pixels.`,
    {
      size: 13,
      colour: GREY,
      room: PHOTO,
    },
  );
  const isDifference = e.target.versus !== null;
  placed.push({
    picture: isDifference ? contributionPicture(e.map, PHOTO) : gradientPicture(e.image, e.gradient, PHOTO),
    left: MARGIN,
    top: second,
  });
  overlay.text(
    MARGIN,
    second + photo.height + 17,
    isDifference
      ? `Pixels: red ${directions(e).for}, blue ${directions(e).against}`
      : `What in it speaks ${directions(e).for}`,
    { size: 13, colour: GREY, room: PHOTO },
  );
  if (e.concepts.length > 0) {
    const tile = photograph(e.image, preprocessing, TILE);
    const square =
      tile.height > TILE ? photograph(e.image, preprocessing, Math.floor((TILE * TILE) / tile.height)) : tile;
    drawConcepts(e, square, overlay, placed);
  } else {
    overlay.text(LEFT, TOP + 30, 'No autoencoder: the pixels are explained, concepts are not.', {
      size: 16,
      room: WIDTH - LEFT - MARGIN,
    });
  }
  overlay.box(MARGIN, body + 12, WIDTH - 2 * MARGIN, 1, RULE);
  const wide = WIDTH - 2 * MARGIN;
  const rest = e.tap === null ? '' : `${e.others.count} other concepts ${signedPercent(e.others.share)}.   `;
  overlay.text(MARGIN, body + 40, e.tap === null ? ledgerLine(e) : `${rest}${sumLine(e)}`, {
    size: 16,
    room: wide,
  });
  if (e.tap !== null) {
    overlay.text(MARGIN, body + 63, `${ledgerLine(e)} ${fidelityLine(e)}`, {
      size: 14,
      colour: GREY,
      room: wide,
    });
    overlay.text(MARGIN, body + 84, SHARE_NOTE, { size: 14, colour: GREY, room: wide });
  }

  const pieces = placed.map(({ picture, left, top }) => ({
    input: Buffer.from(picture.data.buffer, picture.data.byteOffset, picture.data.byteLength),
    raw: { width: picture.width, height: picture.height, channels: 3 as const },
    left,
    top,
  }));
  return sharp({ create: { width: WIDTH, height, channels: 3, background: '#ffffff' } })
    .composite([...pieces, { input: overlay.svg(height), left: 0, top: 0 }])
    .png({ compressionLevel: 3, adaptiveFiltering: true })
    .toBuffer();
}
