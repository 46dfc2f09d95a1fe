/** An edit as an SVG picture: what was changed, and three bars a class: before, by the exact sum, by a true forward pass. */
import { signed } from '../../report/words.js';
import { box, GREY, svgDocument, tile, words } from '../graph/graphSvg.js';
import type { EditResult } from './edit.js';

const WIDTH = 1180;
const MARGIN = 26;
const TILE = 64;
const TOP = 196;
const ROW = 78;
const NAME = 210;
const LEFT = MARGIN + NAME;
const NUMBER = 250;

const BEFORE = '#9a9a9a';
const SUM = '#d98b2b';
const TRUE = '#1f6f63';

/** "Concept 816 removed: beacon becomes projectile", or "...: still beacon". */
export function editTitle(
  e: Pick<EditResult, 'predictedBefore' | 'predictedAfter'>,
  words: string,
  className: (index: number) => string,
): string {
  const [before, after] = [className(e.predictedBefore), className(e.predictedAfter)];
  return before === after ? `${words}: still ${before}` : `${words}: ${before} becomes ${after}`;
}

/** Why the two new logits are not the same, in one sentence. */
export const EDIT_NOTE =
  'The exact sum holds the dynamic factors of the original picture; a true forward pass computes them anew from the edited features, which is the whole difference.';

/** A class as a check needs it. */
interface CheckedClass {
  readonly predicted: number;
  readonly after: number;
  /** Null: not finite. */
  readonly heldError: number | null;
}

/** The check, in one sentence. */
export function editCheck(e: { readonly holds: boolean; readonly classes: readonly CheckedClass[] }): string {
  const worst = Math.max(...e.classes.map(({ heldError }) => heldError ?? Number.POSITIVE_INFINITY));
  const largest = Math.max(...e.classes.map(({ after, predicted }) => Math.abs(after - predicted)));
  return `Sum and recomputation with the factors held differ by at most ${worst.toExponential(1)} of the terms: ${e.holds ? 'holds' : 'DOES NOT HOLD'}. Sum and true forward pass differ by up to ${largest.toFixed(2)} logits.`;
}

/** Draws an edit. @param tiles small pictures of the edited concepts @param photo of the image, a data URL */
export function drawEdit(
  e: EditResult,
  options: {
    readonly title: string;
    readonly subtitle: string;
    readonly tiles: ReadonlyMap<number, string>;
    readonly photo: string;
  },
): string {
  const room = WIDTH - 2 * MARGIN;
  const values = e.classes.flatMap(({ before, predicted, after }) => [before, predicted, after]);
  const [low, high] = [Math.min(0, ...values), Math.max(0, ...values)];
  const width = WIDTH - LEFT - NUMBER - MARGIN;
  const xOf = (value: number): number => LEFT + (high === low ? 0 : ((value - low) / (high - low)) * width);
  const bar = (value: number, y: number, colour: string): string =>
    box(Math.min(xOf(0), xOf(value)), y, Math.abs(xOf(value) - xOf(0)), 15, colour);
  const shown = e.concepts.slice(0, 5);
  const parts = [
    tile(MARGIN, 22, TILE, options.photo),
    words(options.title, MARGIN + TILE + 14, 44, 24, { bold: true, room: room - TILE - 14 }),
    words(options.subtitle, MARGIN + TILE + 14, 72, 14, { colour: GREY, room: room - TILE - 14 }),
    ...shown.flatMap(({ concept, factor, contribution }, i) => {
      const x = MARGIN + i * 226;
      return [
        tile(x, 104, TILE, options.tiles.get(concept)),
        words(`concept ${concept}`, x + TILE + 8, 126, 14, { bold: true, room: 146 }),
        words(factor === 0 ? 'removed' : `× ${factor}`, x + TILE + 8, 145, 14, { room: 146 }),
        words(`gave ${signed(contribution)}`, x + TILE + 8, 163, 13, { colour: GREY, room: 146 }),
      ];
    }),
  ];
  let y = TOP;
  for (const one of e.classes) {
    const isTrue = one.index === e.trueClass;
    parts.push(
      words(one.name, MARGIN, y + 30, 16, { bold: true, room: NAME - 14 }),
      words(isTrue ? 'the true class' : '', MARGIN, y + 48, 13, { colour: GREY }),
      bar(one.before, y + 4, BEFORE),
      bar(one.predicted, y + 21, SUM),
      bar(one.after, y + 38, TRUE),
      words(`${signed(one.before)}  before`, WIDTH - MARGIN - NUMBER + 16, y + 17, 14, { colour: GREY }),
      words(`${signed(one.predicted)}  by the exact sum`, WIDTH - MARGIN - NUMBER + 16, y + 34, 14, {
        colour: SUM,
      }),
      words(`${signed(one.after)}  by a true forward pass`, WIDTH - MARGIN - NUMBER + 16, y + 51, 14, {
        colour: TRUE,
      }),
    );
    y += ROW;
  }
  parts.push(
    box(xOf(0) - 0.7, TOP, 1.4, y - TOP - 18, GREY),
    words(editCheck(e), MARGIN, y + 14, 14, { room }),
    words(EDIT_NOTE, MARGIN, y + 36, 13, { colour: GREY, room }),
  );
  return svgDocument(WIDTH, y + 54, options.title, parts);
}
