/*
 * Which concepts cause which confusions over a data set. Each missed image is compared (its answer against its true class);
 * the differences of all images of one confusion add up, concept by concept, and so do their sums.
 */
import { argMax } from '../../../core/argMax.js';
import type { Batch } from '../../../data/batchLoader.js';
import { NO_LABEL } from '../../../data/classLabels.js';
import { className } from '../../../models/classes.js';
import type { ModelSpec } from '../../../models/spec.js';
import type { EditPass } from '../edit/editPass.js';
import { hopError } from '../graph/graphHops.js';
import { checkScores } from '../graph/graphImage.js';

/** What a journal keeps of an image. */
export interface ConfusionRow {
  readonly key: string;
  readonly label: number;
  readonly predicted: number;
  /** Of a missed image: score of the answer less that of the true class, and its terms; null of all others. */
  readonly missed: {
    readonly difference: number;
    readonly concepts: readonly number[];
    readonly values: readonly number[];
    readonly constants: number;
    /** Relative error of the sum; null: not finite. */
    readonly error: number | null;
  } | null;
}

/** One confusion: images of one class that were taken for another. */
export interface Confusion {
  readonly trueClass: { readonly index: number; readonly name: string };
  readonly predicted: { readonly index: number; readonly name: string };
  readonly images: number;
  /** Mean score of the wrong class less that of the right one. */
  readonly difference: number;
  /** Means over these images, largest |difference| first; positive: speaks for the wrong class. */
  readonly concepts: readonly {
    readonly concept: number;
    readonly difference: number;
    readonly share: number;
  }[];
  readonly examples: readonly string[];
}

export interface ConfusionSummary {
  readonly images: number;
  readonly missed: number;
  /** Most frequent first. */
  readonly confusions: readonly Confusion[];
  /** Concepts by what they added to wrong answers over right ones, summed over all missed images. */
  readonly concepts: readonly {
    readonly concept: number;
    readonly difference: number;
    readonly images: number;
  }[];
  readonly sums: number;
  /** Largest relative error of a missed image's sum; null: not finite. */
  readonly worst: number | null;
  readonly holds: boolean;
}

const SHOWN = 8;
const EXAMPLES = 4;
const MOST_CONCEPTS = 50;

/** Compares the missed images of a batch. Throws FactError E_NOT_FINITE. */
export async function compareBatch(
  pass: EditPass,
  batch: Pick<Batch, 'images' | 'size' | 'keys' | 'samples'>,
  spec: ModelSpec,
  labelOf: (sample: number) => number,
): Promise<ConfusionRow[]> {
  const images = { values: batch.images, count: batch.size };
  const same = new Float32Array(pass.latents).fill(1);
  const scores = await pass.scores(images, same);
  const answers = scores.map(({ before }, i) => {
    checkScores(spec, batch.keys[i], before);
    return argMax(before);
  });
  const labels = Array.from(batch.samples.subarray(0, batch.size), labelOf);
  const isMissed = (i: number): boolean => labels[i] !== NO_LABEL && labels[i] !== answers[i];
  const isAnyMissed = answers.some((_, i) => isMissed(i));
  const found = isAnyMissed
    ? await pass.attribute(
        images,
        same,
        answers.map((answer, i) => ({ for: answer, versus: isMissed(i) ? labels[i] : null })),
      )
    : [];
  return answers.map((predicted, i) => {
    const about = { key: batch.keys[i], label: labels[i], predicted };
    if (!isMissed(i)) return { ...about, missed: null };
    const { contributions, constants } = found[i];
    const concepts = Array.from(contributions.keys()).filter((c) => contributions[c] !== 0);
    const difference = scores[i].before[predicted] - scores[i].before[labels[i]];
    const error = hopError({ left: difference, terms: contributions, constants });
    return {
      ...about,
      missed: {
        difference,
        concepts,
        values: concepts.map((c) => contributions[c]),
        constants: constants.reduce((sum, v) => sum + v, 0),
        error: Number.isFinite(error) ? error : null,
      },
    };
  });
}

interface Pair {
  images: number;
  difference: number;
  readonly concepts: Map<number, number>;
  readonly examples: string[];
}

/** Confusions as their images come. */
export class Confusions {
  private images = 0;
  private missed = 0;
  private worst: number | null = 0;
  private readonly pairs = new Map<string, Pair & { readonly label: number; readonly predicted: number }>();
  private readonly concepts = new Map<number, { difference: number; images: number }>();

  constructor(
    private readonly spec: ModelSpec,
    private readonly tolerance: number,
  ) {}

  add({ key, label, predicted, missed }: ConfusionRow): void {
    this.images++;
    if (missed === null) return;
    this.missed++;
    const id = `${label}/${predicted}`;
    const pair = this.pairs.get(id) ?? {
      label,
      predicted,
      images: 0,
      difference: 0,
      concepts: new Map<number, number>(),
      examples: [],
    };
    this.pairs.set(id, pair);
    pair.images++;
    pair.difference += missed.difference;
    if (pair.examples.length < EXAMPLES) pair.examples.push(key);
    if (this.worst !== null) this.worst = missed.error === null ? null : Math.max(this.worst, missed.error);
    missed.concepts.forEach((concept, i) => {
      const value = missed.values[i];
      pair.concepts.set(concept, (pair.concepts.get(concept) ?? 0) + value);
      const all = this.concepts.get(concept) ?? { difference: 0, images: 0 };
      all.difference += value;
      all.images++;
      this.concepts.set(concept, all);
    });
  }

  result(): ConfusionSummary {
    const named = (index: number) => ({ index, name: className(this.spec, index) });
    const confusions = [...this.pairs.values()]
      .sort((a, b) => b.images - a.images || a.label - b.label || a.predicted - b.predicted)
      .map((pair): Confusion => {
        const absolute = [...pair.concepts.values()].reduce((sum, v) => sum + Math.abs(v), 0);
        return {
          trueClass: named(pair.label),
          predicted: named(pair.predicted),
          images: pair.images,
          difference: pair.difference / pair.images,
          concepts: [...pair.concepts]
            .sort(([i, a], [j, b]) => Math.abs(b) - Math.abs(a) || i - j)
            .slice(0, SHOWN)
            .map(([concept, sum]) => ({
              concept,
              difference: sum / pair.images,
              share: absolute === 0 ? 0 : sum / absolute,
            })),
          examples: pair.examples,
        };
      });
    return {
      images: this.images,
      missed: this.missed,
      confusions,
      concepts: [...this.concepts]
        .map(([concept, one]) => ({ concept, ...one }))
        .sort((a, b) => b.difference - a.difference || a.concept - b.concept)
        .slice(0, MOST_CONCEPTS),
      sums: this.missed,
      worst: this.worst,
      holds: this.worst !== null && this.worst <= this.tolerance,
    };
  }
}
