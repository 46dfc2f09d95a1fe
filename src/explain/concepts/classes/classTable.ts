/*
 * Classes and concepts over a data set. The exact sum rule of an image, score before the bias = sum of all contributions
 * (+ constants above the tap), holds for sums over any group of images, so for means too:
 *
 *     mean score of the answers = sum over concepts of the mean contribution (+ mean of the constants)
 *
 * Both sides are kept as float64 sums; what is left over is the residual of a ledger.
 */

import { className } from '../../../models/classes.js';
import type { ModelSpec } from '../../../models/spec.js';
import { DEFAULT_TOLERANCE, formLedger, type Ledger } from '../../ledger.js';
import type { ClassShare, ClassSum } from '../gallery/gallerySchema.js';
import { type ConceptTotals, GROUPINGS, type Grouping, PAIR_SUMS } from '../totals/totals.js';

const [IMAGES, , CONTRIBUTION, POSITIVE] = PAIR_SUMS.map((_, i) => i);

/** What a concept adds to a class: sums over the images of that class. */
export interface PairEntry {
  readonly concept: number;
  readonly group: number;
  /** Images of the class in which the concept is active. */
  readonly images: number;
  readonly contribution: number;
  readonly positive: number;
}

/** The pairs of a grouping, by concept and by class; each list falls by positive contribution, ties by number. */
export class ClassTable {
  private readonly byConcept = new Map<number, PairEntry[]>();
  private readonly byClass = new Map<number, PairEntry[]>();

  constructor(
    readonly totals: ConceptTotals,
    readonly grouping: Grouping,
  ) {
    totals.pairs[grouping].forEach((concept, group, sums) => {
      const entry = {
        concept,
        group,
        images: sums[IMAGES],
        contribution: sums[CONTRIBUTION],
        positive: sums[POSITIVE],
      };
      append(this.byConcept, concept, entry);
      append(this.byClass, group, entry);
    });
    for (const list of this.byConcept.values())
      list.sort((a, b) => b.positive - a.positive || a.group - b.group);
    for (const list of this.byClass.values())
      list.sort((a, b) => b.positive - a.positive || a.concept - b.concept);
  }

  /** Classes that a concept met, the one that it gave most first. */
  classesOf(concept: number): readonly PairEntry[] {
    return this.byConcept.get(concept) ?? [];
  }

  /** Concepts that a class met, the one that gave it most first. */
  conceptsOf(group: number): readonly PairEntry[] {
    return this.byClass.get(group) ?? [];
  }
}

function append<V>(map: Map<number, V[]>, key: number, value: V): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}

/** The classes that make up a concept's positive contribution, largest first, at most `count`. */
export function classShares(
  table: ClassTable,
  concept: number,
  spec: Pick<ModelSpec, 'classNames'>,
  count: number,
): ClassShare[] {
  const { totals, grouping } = table;
  const entries = table.classesOf(concept);
  const all = entries.reduce((sum, entry) => sum + entry.positive, 0);
  return entries
    .filter((entry) => entry.positive > 0)
    .slice(0, count)
    .map((entry) => ({
      class: { index: entry.group, name: className(spec, entry.group) },
      share: Math.min(1, entry.positive / all),
      images: entry.images,
      meanContribution: entry.contribution / totals.classes[grouping].images[entry.group],
    }));
}

/** One line of the sum rule for means, as a ledger over the concepts of a group of images (null: of all images). */
export function meanLedger(
  table: ClassTable,
  group: number | null,
  tolerance = DEFAULT_TOLERANCE,
): { readonly ledger: Ledger; readonly images: number; readonly correct: number } {
  const { totals, grouping } = table;
  const sums = totals.classes[grouping];
  const of = (values: Float64Array): number =>
    group === null ? values.reduce((sum, v) => sum + v, 0) : values[group];
  const images = of(sums.images);
  const terms =
    group === null
      ? totals.concepts.contribution
      : Float64Array.from(table.conceptsOf(group), (entry) => entry.contribution);
  const perImage = images > 0 ? 1 / images : 0;
  const constants = of(sums.constants) * perImage;
  const ledger = formLedger({
    side: 'logit',
    subject: 'mean score of the answers',
    left: of(sums.score) * perImage,
    terms: Float64Array.from(terms, (v) => v * perImage),
    termsName: 'means of all concepts',
    ...(constants === 0 ? {} : { constants: [{ name: 'constants above the tap', value: constants }] }),
    tolerance,
  });
  return { ledger, images, correct: of(sums.correct) };
}

/** The sum rule for means: over all images, and for each class as answered and as labelled that has images. */
export function classSums(
  totals: ConceptTotals,
  spec: Pick<ModelSpec, 'classNames'>,
  tolerance: number,
): ClassSum[] {
  const rows: ClassSum[] = [];
  for (const grouping of GROUPINGS) {
    const table = new ClassTable(totals, grouping);
    const groups = [...totals.classes[grouping].images.keys()].filter(
      (group) => totals.classes[grouping].images[group] > 0,
    );
    if (grouping === 'predicted') rows.push(sumRow(table, null, spec, tolerance));
    for (const group of groups) rows.push(sumRow(table, group, spec, tolerance));
  }
  return rows;
}

function sumRow(
  table: ClassTable,
  group: number | null,
  spec: Pick<ModelSpec, 'classNames'>,
  tolerance: number,
): ClassSum {
  const { ledger, images, correct } = meanLedger(table, group, tolerance);
  const constants = ledger.lines[1]?.value ?? 0;
  const finite = (value: number): number | null => (Number.isFinite(value) ? value : null);
  return {
    class: group === null ? null : { index: group, name: className(spec, group) },
    grouping: group === null ? 'all' : table.grouping,
    images,
    correct,
    meanScore: finite(ledger.left),
    meanOfConcepts: finite(ledger.lines[0].value),
    meanOfConstants: finite(constants),
    residual: finite(ledger.residual),
    relativeError: finite(ledger.relativeError),
    holds: ledger.holds,
  };
}
