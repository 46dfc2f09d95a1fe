/*
 * Which concepts a class stands on, and which classes share a concept: means of contributions over the images that the
 * network (with the autoencoder) answered with the class. For each class the listed concepts, the others and the
 * constants add up to its mean score; the residual is given.
 */
import { z } from 'zod';
import { className } from '../../../models/classes.js';
import type { ModelSpec } from '../../../models/spec.js';
import { count } from '../../report/sharedSchema.js';
import { type ClassTable, classShares, meanLedger, type PairEntry } from './classTable.js';

const classRef = z.strictObject({ index: count, name: z.string() });

const classConceptSchema = z.strictObject({
  concept: count,
  /** Mean over all images answered with the class. */
  meanContribution: z.number(),
  /** Part of the class's sum of absolute means, signed. */
  share: z.number().min(-1).max(1),
  /** Of those images, in how many it is active. */
  images: count,
  /** Other classes that have at least a tenth of the concept's positive contribution. */
  sharedWith: z.array(classRef),
});

const classEntrySchema = z.strictObject({
  class: classRef,
  images: count,
  /** Right answers among them; null where the data set has no labels. */
  correct: count.nullable(),
  logitBias: z.number(),
  /** Before the bias. */
  meanScore: z.number(),
  concepts: z.array(classConceptSchema),
  others: z.strictObject({ count, meanContribution: z.number() }),
  meanOfConstants: z.number(),
  residual: z.number(),
  relativeError: z.number(),
  holds: z.boolean(),
});

const sharedSchema = z.strictObject({
  concept: count,
  positiveShare: z.number().min(0).max(1),
  /** 1 / sum of squared shares: how many classes it would be spread over evenly. */
  effectiveClasses: z.number().min(1),
  classes: z.array(
    z.strictObject({ class: classRef, share: z.number().min(0).max(1), meanContribution: z.number() }),
  ),
});

/** Schema of what `fact concepts classes --json` prints, version 1. */
export const classesSchema = z.strictObject({
  format: z.literal('fact-concept-classes'),
  version: z.literal(1),
  images: count,
  classes: z.array(classEntrySchema),
  concepts: z.array(sharedSchema),
});

export type ClassesReport = z.infer<typeof classesSchema>;
export type ClassEntry = z.infer<typeof classEntrySchema>;
export type SharedConcept = z.infer<typeof sharedSchema>;

export interface ClassesOptions {
  readonly spec: Pick<ModelSpec, 'classNames' | 'logitBias'>;
  readonly isLabelled: boolean;
  readonly tolerance: number;
  /** Concepts listed a class. */
  readonly concepts: number;
  /** Classes and concepts that are wanted; null: all that occur. */
  readonly onlyClass: number | null;
  readonly onlyConcept: number | null;
}

/** A class shares a concept if it has at least this part of its positive contribution. */
const SHARED = 0.1;
/** Classes listed a concept where one concept is asked for. */
const MANY = 1000;

function sharers(
  table: ClassTable,
  concept: number,
  own: number,
  spec: ClassesOptions['spec'],
): { index: number; name: string }[] {
  return classShares(table, concept, spec, 1 / SHARED)
    .filter((one) => one.share >= SHARED && one.class.index !== own)
    .map((one) => one.class);
}

/** What a class stands on. @param group a class with images */
function classEntry(table: ClassTable, group: number, options: ClassesOptions): ClassEntry {
  const { spec, isLabelled, tolerance } = options;
  const { ledger, images, correct } = meanLedger(table, group, tolerance);
  const bySize = [...table.conceptsOf(group)].sort(
    (a, b) => Math.abs(b.contribution) - Math.abs(a.contribution) || a.concept - b.concept,
  );
  const absolute = bySize.reduce((sum, entry) => sum + Math.abs(entry.contribution), 0);
  const listed = bySize.slice(0, options.concepts);
  const mean = (entries: readonly PairEntry[]): number =>
    entries.reduce((sum, entry) => sum + entry.contribution, 0) / images;
  return {
    class: { index: group, name: className(spec, group) },
    images,
    correct: isLabelled ? correct : null,
    logitBias: spec.logitBias ?? 0,
    meanScore: ledger.left,
    concepts: listed.map((entry) => ({
      concept: entry.concept,
      meanContribution: entry.contribution / images,
      share: absolute > 0 ? entry.contribution / absolute : 0,
      images: entry.images,
      sharedWith: sharers(table, entry.concept, group, spec),
    })),
    others: { count: bySize.length - listed.length, meanContribution: mean(bySize.slice(listed.length)) },
    meanOfConstants: ledger.lines[1]?.value ?? 0,
    residual: ledger.residual,
    relativeError: ledger.relativeError,
    holds: ledger.holds,
  };
}

function sharedConcept(table: ClassTable, concept: number, options: ClassesOptions): SharedConcept | null {
  const { positive } = table.totals.concepts;
  const all = positive.reduce((sum, v) => sum + v, 0);
  const shares = classShares(table, concept, options.spec, MANY);
  if (shares.length === 0) return null;
  const listed =
    options.onlyConcept === null ? shares.filter(({ share }, i) => i === 0 || share >= SHARED) : shares;
  return {
    concept,
    positiveShare: all > 0 ? Math.min(1, positive[concept] / all) : 0,
    effectiveClasses: Math.max(1, 1 / shares.reduce((sum, { share }) => sum + share * share, 0)),
    classes: listed.map((one) => ({
      class: one.class,
      share: one.share,
      meanContribution: one.meanContribution,
    })),
  };
}

/** Classes in their order, concepts by their sum of positive contribution, falling. `table` groups by the answer. */
export function makeClassesReport(table: ClassTable, options: ClassesOptions): ClassesReport {
  const { totals } = table;
  const { onlyClass, onlyConcept } = options;
  const { images } = totals.classes.predicted;
  const groups = [...images.keys()].filter(
    (group) => images[group] > 0 && (onlyClass === null ? onlyConcept === null : group === onlyClass),
  );
  const classes = groups.map((group) => classEntry(table, group, options));
  const wanted =
    onlyConcept !== null
      ? [onlyConcept]
      : onlyClass !== null
        ? classes.flatMap((entry) => entry.concepts.map(({ concept }) => concept))
        : [...totals.concepts.positive.keys()];
  const { positive } = totals.concepts;
  const concepts = wanted
    .sort((a, b) => positive[b] - positive[a] || a - b)
    .flatMap((concept) => sharedConcept(table, concept, options) ?? []);
  return { format: 'fact-concept-classes', version: 1, images: totals.images, classes, concepts };
}
