/** A comparison of two classes as an SVG picture: a row a concept, three bars each (to either class, and the difference). */
import { AGAINST_COLOUR, FOR_COLOUR } from '../../picture/colours.js';
import { contributionText, percent, signed } from '../../report/words.js';
import { box, GREY, svgDocument, tile, words } from '../graph/graphSvg.js';
import type { Flip, VersusResult } from './versus.js';

const WIDTH = 1240;
const MARGIN = 26;
const TILE = 64;
const ROW = 76;
const TOP = 150;
const NAME = 130;
const FIRST = MARGIN + TILE + 14 + NAME;
const COLUMN = 316;
const NUMBER = 74;
const RULE = '#d0d0d0';
const SOFT = '#8c8c8c';

/** "Why beacon rather than projectile?  2.14 versus 0.57": their logits. */
export function versusTitle(v: Pick<VersusResult, 'for' | 'versus'>): string {
  return `Why ${v.for.name} rather than ${v.versus.name}?  ${v.for.logit.toFixed(2)} versus ${v.versus.logit.toFixed(2)}`;
}

/** What the network says, and what is true. */
export function versusSubtitle(v: VersusResult): string {
  const says = `The network says ${v.predicted.name} (${percent(v.predicted.probability)})`;
  const truth =
    v.trueClass === null
      ? ''
      : v.trueClass.index === v.predicted.index
        ? ', which is right'
        : `; in truth it is ${v.trueClass.name} (${percent(v.trueClass.probability)})`;
  const alone =
    v.predictedAlone.index === v.predicted.index
      ? ''
      : `. Without the autoencoder it says ${v.predictedAlone.name} (${percent(v.predictedAlone.probability)})`;
  return `${says}${truth}${alone}.`;
}

/** "concept 7", "3 concepts (7, 9, 12)". */
function listed(concepts: readonly number[]): string {
  if (concepts.length === 1) return `concept ${concepts[0]}`;
  const rest = concepts.length > 8 ? ` and ${concepts.length - 8} more` : '';
  return `${concepts.length} concepts (${concepts.slice(0, 8).join(', ')}${rest})`;
}

/** What would flip the decision, in one or two sentences. @param name of a class by number */
export function flipWords(flip: Flip, name: (index: number) => string): string[] {
  const { predicted, recomputed, predictedDifference, recomputedDifference, answer } = flip;
  const [winner, loser] = [name(flip.winner), name(flip.loser)];
  if (predicted === null)
    return [
      `By the sum, no removal of concepts puts ${loser} above ${winner}: constants hold it there, or nothing tells them apart.`,
    ];
  const first = `By the sum, ${loser} overtakes ${winner} without ${listed(predicted)} (ahead by ${signed(-(predictedDifference ?? 0))}).`;
  const truth = `A true forward pass without ${predicted.length === 1 ? 'it' : 'them'} gives ${signed(-(recomputedDifference ?? 0))}`;
  if (recomputed !== null && recomputed.length === predicted.length)
    return [first, `${truth}: it flips, and the network then says ${answer?.name}.`];
  if (recomputed === null)
    return [first, `${truth}: it does not flip, nor do more of them in this order; the factors change too.`];
  const needed =
    recomputed.length === 1 ? 'one concept is enough' : `${recomputed.length} concepts are needed`;
  const verdict =
    (recomputedDifference ?? 0) < 0 ? 'it flips' : 'it does not flip yet, the factors change too';
  return [first, `${truth}: ${verdict}; in that order ${needed}, and the network then says ${answer?.name}.`];
}

/** A signed bar in a column around its middle, with its number at the right. */
function bar(x: number, y: number, value: number, full: number, colour: string, bold = false): string {
  const room = COLUMN - NUMBER - 24;
  const middle = x + room / 2;
  const length = full > 0 ? (Math.abs(value) / full) * (room / 2) : 0;
  return [
    box(x, y - 9, room, 18, '#f3f3f3'),
    box(value < 0 ? middle - length : middle, y - 9, length, 18, colour),
    box(middle - 0.7, y - 12, 1.4, 24, GREY),
    words(contributionText(value, full), x + room + 8, y + 5, 15, { bold, colour: bold ? colour : GREY }),
  ].join('');
}

interface Row {
  readonly name: string;
  readonly note: string;
  readonly a: number;
  readonly b: number;
  readonly url?: string | undefined;
  readonly isConcept: boolean;
}

function rowsOf(v: VersusResult, top: number, tiles: ReadonlyMap<number, string>): Row[] {
  const shown = v.concepts.slice(0, top);
  const others = v.concepts.slice(top);
  const sum = (key: 'contributionFor' | 'contributionVersus'): number =>
    others.reduce((total, one) => total + one[key], 0);
  return [
    ...shown.map((one) => ({
      name: `concept ${one.concept}`,
      note: `${(100 * Math.abs(one.share)).toFixed(1)} %`,
      a: one.contributionFor,
      b: one.contributionVersus,
      url: tiles.get(one.concept),
      isConcept: true,
    })),
    ...(others.length > 0
      ? [
          {
            name: `${others.length} others`,
            note: `${(100 * others.reduce((s, one) => s + Math.abs(one.share), 0)).toFixed(1)} %`,
            a: sum('contributionFor'),
            b: sum('contributionVersus'),
            isConcept: false,
          },
        ]
      : []),
    ...v.constants.map((one) => ({
      name: one.name,
      note: 'constant',
      a: one.for,
      b: one.versus,
      isConcept: false,
    })),
  ];
}

/** Draws a comparison. @param tiles small pictures by concept @param photo of the image, a data URL */
export function drawVersus(
  v: VersusResult,
  options: {
    readonly top: number;
    readonly tiles: ReadonlyMap<number, string>;
    readonly photo: string;
    readonly className: (index: number) => string;
  },
): string {
  const rows = rowsOf(v, options.top, options.tiles);
  const full = Math.max(...rows.flatMap(({ a, b }) => [Math.abs(a), Math.abs(b), Math.abs(a - b)]));
  const column = (i: number): number => FIRST + i * COLUMN;
  const room = WIDTH - 2 * MARGIN;
  const parts = [
    words(versusTitle(v), MARGIN + TILE + 14, 44, 25, { bold: true, room: room - TILE - 14 }),
    words(versusSubtitle(v), MARGIN + TILE + 14, 72, 15, { colour: GREY, room: room - TILE - 14 }),
    tile(MARGIN, 22, TILE, options.photo),
    words(`adds to ${v.for.name}`, column(0), TOP - 26, 15, { bold: true, room: COLUMN - 20 }),
    words(`adds to ${v.versus.name}`, column(1), TOP - 26, 15, { bold: true, room: COLUMN - 20 }),
    words('difference', column(2), TOP - 26, 15, { bold: true }),
    box(MARGIN, TOP - 12, room, 1, RULE),
  ];
  let y = TOP;
  for (const row of rows) {
    const height = row.isConcept ? ROW : 44;
    const middle = y + height / 2;
    const left = row.isConcept ? MARGIN + TILE + 14 : MARGIN;
    if (row.isConcept) parts.push(tile(MARGIN, y + (height - TILE) / 2, TILE, row.url));
    parts.push(
      words(row.name, left, middle - 2, 15, { room: FIRST - left - 10 }),
      words(row.note, left, middle + 16, 13, { colour: GREY, room: FIRST - left - 10 }),
      bar(column(0), middle, row.a, full, SOFT),
      bar(column(1), middle, row.b, full, SOFT),
      bar(column(2), middle, row.a - row.b, full, row.a < row.b ? AGAINST_COLOUR : FOR_COLOUR, true),
    );
    y += height;
  }
  const at = COLUMN - NUMBER - 24 + 8;
  const flip = flipWords(v.flip, options.className);
  const end = y + 66 + 21 * flip.length;
  const [sumA, sumB] = [v.ledgers[1].sum, v.ledgers[2].sum];
  parts.push(
    box(MARGIN, y + 6, room, 1, RULE),
    words('all together', MARGIN, y + 30, 15, { bold: true }),
    ...[sumA, sumB, v.ledgers[0].sum].map((value, i) =>
      words(signed(value), column(i) + at, y + 30, 15, { bold: true }),
    ),
    ...flip.map((sentence, i) => words(sentence, MARGIN, y + 62 + 21 * i, 14, { room })),
    words(
      `Red speaks for ${v.for.name}, blue for ${v.versus.name}; percentages: share of all differences, signs dropped. Sums hold to ${Math.max(...v.ledgers.map((l) => l.relativeError)).toExponential(1)} of the terms.`,
      MARGIN,
      end,
      13,
      { colour: GREY, room },
    ),
  );
  return svgDocument(WIDTH, end + 20, versusTitle(v), parts);
}
