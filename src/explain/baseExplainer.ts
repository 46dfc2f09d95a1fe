import { argMax } from '../core/argMax.js';
import { FactError } from '../core/errors.js';
import { toUnitRange } from '../data/evalTransform.js';
import { className } from '../models/classes.js';
import type { ModelSpec } from '../models/spec.js';
import { assembleExplanation, type ImageNumbers } from './assemble.js';
import type { ExplainArrays, ExplainPrograms, ImageBatch } from './explainPrograms.js';
import type { ClassScore, ExplainImage, Explanation, Target } from './explanation.js';
import { DEFAULT_TOLERANCE } from './ledger.js';
import { probabilityOf, requireClasses, requireExplainable } from './modelKind.js';

export const DEFAULT_TOP = 8;

/** Which logit to explain; what is left out is chosen by the answer: see `Target.reason`. */
export interface TargetChoice {
  readonly for?: number;
  readonly versus?: number;
}

/** Scores of an image before the bias: network alone, and with the autoencoder. */
export interface ImageScores {
  readonly alone: Float32Array;
  readonly spliced: Float32Array;
}

/** What is explained, as far as an explainer must know it. */
export interface ExplainSubject {
  readonly spec: ModelSpec;
  /** Taps of the autoencoder whose concepts are explained and of an earlier one; null: none. */
  readonly tap: string | null;
  readonly earlyTap: string | null;
}

interface ChosenTarget {
  readonly for: number;
  readonly versus: number | null;
  readonly reason: Target['reason'];
}

/** Indices of the `count` largest values of `key`, falling; ties by index. */
function largest(length: number, count: number, key: (i: number) => number): number[] {
  return Array.from({ length }, (_, i) => i)
    .sort((a, b) => key(b) - key(a) || a - b)
    .slice(0, count);
}

/** Row `index` of `count` equal rows. */
function rowOf<T extends Float32Array | Int32Array>(values: T, index: number, count: number): T {
  const length = values.length / count;
  return values.slice(index * length, (index + 1) * length) as T;
}

function imageBatch(images: readonly ExplainImage[]): ImageBatch {
  const { height, width } = images[0];
  const size = height * width * 3;
  const values = new Float32Array(images.length * size);
  images.forEach((image, i) => {
    toUnitRange(image.pixels, values, i * size);
  });
  return { values, count: images.length, height, width };
}

/** Numbers of image `i` of `count`. */
function numbersOf(a: ExplainArrays, i: number, count: number, isDifference: boolean): ImageNumbers {
  const row = (values: Float32Array): Float32Array => rowOf(values, i, count);
  const c = a.concepts;
  return {
    scores: row(a.spliced),
    gradient: row(a.gradient),
    map: row(a.map),
    lowerTerms: row(a.lowerConstants),
    concepts:
      c === null
        ? null
        : {
            contributions: row(c.contributions),
            presence: row(c.presence),
            errors: row(c.errors),
            lengths: row(c.lengths),
            upperTerms: row(c.upperConstants),
            versus: isDifference ? row(c.versus) : null,
            shown: [...rowOf(c.shown, i, count)],
            maps: row(c.maps),
            mapTerms: row(c.mapConstants),
            traces: c.traces === null ? null : row(c.traces),
            latePresence: c.latePresence === null ? null : row(c.latePresence),
            fullPositions: c.fullPositions === null ? null : row(c.fullPositions)[0],
          },
  };
}

/** Explains images with given programs. Explaining is deterministic and changes nothing. */
export class BaseExplainer {
  readonly top: number;
  readonly tolerance: number;

  /** Owns the programs. @param options.top concepts for which `programs` were made */
  constructor(
    readonly subject: ExplainSubject,
    private readonly programs: ExplainPrograms,
    options: { readonly top?: number; readonly tolerance?: number } = {},
  ) {
    this.top = options.top ?? DEFAULT_TOP;
    this.tolerance = options.tolerance ?? DEFAULT_TOLERANCE;
  }

  private get spec(): ModelSpec {
    return this.subject.spec;
  }

  private checkFinite(images: readonly ExplainImage[], scores: readonly Float32Array[]): void {
    scores.forEach((row, i) => {
      const bad = row.findIndex((v) => !Number.isFinite(v));
      if (bad < 0) return;
      throw new FactError({
        code: 'E_NOT_FINITE',
        message: `${images[i].name}: the network's score of ${className(this.spec, bad)} is ${row[bad]}`,
        remedy: 'The weights of the network or of the autoencoder are damaged, or its training diverged.',
      });
    });
  }

  private scoreRows(
    images: readonly ExplainImage[],
    arrays: { alone: Float32Array; spliced: Float32Array },
  ): ImageScores[] {
    const rows = images.map((_, i) => ({
      alone: rowOf(arrays.alone, i, images.length),
      spliced: rowOf(arrays.spliced, i, images.length),
    }));
    this.checkFinite(
      images,
      rows.map(({ alone }) => alone),
    );
    this.checkFinite(
      images,
      rows.map(({ spliced }) => spliced),
    );
    return rows;
  }

  /** Scores of images of one size. Throws FactError E_NOT_FINITE, E_NO_CLASSES. */
  async scores(images: readonly ExplainImage[]): Promise<ImageScores[]> {
    requireClasses(this.spec);
    if (images.length === 0) return [];
    return this.scoreRows(images, await this.programs.scores(imageBatch(images)));
  }

  /** A class with its logit and probability, from scores before the bias. */
  classScore(scores: ArrayLike<number>, index: number): ClassScore {
    const logit = scores[index] + (this.spec.logitBias ?? 0);
    const probability = probabilityOf(this.spec, scores, index);
    return { index, name: className(this.spec, index), logit, probability };
  }

  /** The classes with the highest logits, falling. */
  ranking(scores: ArrayLike<number>, count: number): ClassScore[] {
    return largest(scores.length, count, (i) => scores[i]).map((index) => this.classScore(scores, index));
  }

  /** The second class that the program is asked to subtract; it leaves out one that is the answer itself. */
  private versusOf(image: ExplainImage, choice: TargetChoice): number | null {
    if (choice.versus !== undefined) return choice.versus;
    return choice.for === undefined ? image.trueClass : null;
  }

  /** What the program chose by the same rule: see `chooseTargets`. */
  private chosen(image: ExplainImage, scores: Float32Array, choice: TargetChoice): ChosenTarget {
    const main = choice.for ?? argMax(scores);
    const versus = this.versusOf(image, choice);
    const isAsked = choice.for !== undefined || choice.versus !== undefined;
    if (versus === null || versus === main)
      return { for: main, versus: null, reason: choice.for === undefined ? 'predicted' : 'asked' };
    return { for: main, versus, reason: isAsked ? 'asked' : 'misclassified' };
  }

  /** One-hot rows; rows of null stay zero. */
  private oneHot(classes: readonly (number | null)[]): Float32Array {
    const { numClasses } = this.spec.options;
    const values = new Float32Array(classes.length * numClasses);
    classes.forEach((index, i) => {
      if (index !== null) values[i * numClasses + index] = 1;
    });
    return values;
  }

  /**
   * Explains images of one size. Without a choice: the predicted class, or for an image whose true class is known and
   * missed, the predicted against the true class. Throws FactError E_NOT_FINITE, E_EXPLAIN_STANDARD.
   */
  async explain(images: readonly ExplainImage[], choice: TargetChoice = {}): Promise<Explanation[]> {
    requireExplainable(this.spec);
    if (images.length === 0) return [];
    const arrays = await this.programs.explain(
      imageBatch(images),
      this.oneHot(images.map(() => choice.for ?? null)),
      this.oneHot(images.map((image) => this.versusOf(image, choice))),
    );
    const scores = this.scoreRows(images, arrays);
    return images.map((image, i) => {
      const target = this.chosen(image, scores[i].spliced, choice);
      return assembleExplanation({
        image,
        scores: scores[i],
        target,
        numbers: numbersOf(arrays, i, images.length, target.versus !== null),
        classScore: (row, index) => this.classScore(row, index),
        ranking: this.ranking(scores[i].spliced, 5),
        tap: this.subject.tap,
        logitBias: this.spec.logitBias ?? 0,
        tolerance: this.tolerance,
        lowerConstants: this.programs.lowerConstants,
        upperConstants: this.programs.upperConstants,
        earlyTap: this.subject.earlyTap,
      });
    });
  }

  /** Frees the programs. */
  dispose(): void {
    this.programs.dispose();
  }
}
