import * as tf from '@tensorflow/tfjs';
import { FactError } from '../core/errors.js';
import { toUnitRange } from '../data/evalTransform.js';
import type { BcosModel } from '../models/bcosModel.js';
import { assembleExplanation, type ImageNumbers } from './assemble.js';
import { className } from './classes.js';
import type { ClassScore, ExplainImage, Explanation, Target } from './explanation.js';
import { sigmoid } from './explanation.js';
import { DEFAULT_TOLERANCE } from './ledger.js';
import { createPrograms, type Programs } from './programs.js';
import { matchSae, type Sae } from './sae.js';

export const DEFAULT_TOP = 8;

export interface ExplainerOptions {
  /** Concepts shown one by one, with their pixel maps. Default 8. */
  readonly top?: number;
  /** Bound of the ledgers' relative error. Default 1e-5. */
  readonly tolerance?: number;
  /** false runs the same functions operation by operation; default: what `startEngine` set. */
  readonly compile?: boolean;
  /** Autoencoder at an earlier tap, for traces. */
  readonly early?: Sae | null;
}

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

interface ChosenTarget {
  readonly for: number;
  readonly versus: number | null;
  readonly reason: Target['reason'];
}

function argMax(values: ArrayLike<number>): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i] > values[best]) best = i;
  return best;
}

/** Indices of the `count` largest values of `key`, falling; ties by index. */
function largest(length: number, count: number, key: (i: number) => number): number[] {
  return Array.from({ length }, (_, i) => i)
    .sort((a, b) => key(b) - key(a) || a - b)
    .slice(0, count);
}

/** Of the places for a difference of classes, the part kept for either side. */
const KEPT_FOR_A_SIDE = 1 / 4;

/**
 * Concepts to show: those with the largest absolute contribution, falling. For a difference of classes a quarter of the
 * places is kept for either side, so that what spoke for the second class is seen too.
 */
export function chooseConcepts(
  contributions: ArrayLike<number>,
  count: number,
  isDifference: boolean,
): number[] {
  const places = Math.min(count, contributions.length);
  const size = (c: number): number => Math.abs(contributions[c]);
  const top = largest(contributions.length, places, size);
  if (!isDifference) return top;
  const kept = [1, -1].flatMap((sign) =>
    largest(
      contributions.length,
      Math.floor(places * KEPT_FOR_A_SIDE),
      (c) => sign * contributions[c],
    ).filter((c) => sign * contributions[c] > 0),
  );
  return [...kept, ...top.filter((c) => !kept.includes(c))]
    .slice(0, places)
    .sort((a, b) => size(b) - size(a) || a - b);
}

/** Rows of a tensor along its first axis, then disposes it. */
async function takeRows(tensor: tf.Tensor): Promise<Float32Array[]> {
  const values = (await tensor.data()) as Float32Array;
  const rows = tensor.shape[0];
  const length = values.length / rows;
  tensor.dispose();
  return Array.from({ length: rows }, (_, i) => values.slice(i * length, (i + 1) * length));
}

/**
 * Explains images with one network and at most one spliced autoencoder (plus an earlier one for traces). Explaining is
 * deterministic and changes nothing. Owns its compiled programs, not the network nor the autoencoders.
 */
export class Explainer {
  readonly model: BcosModel;
  readonly sae: Sae | null;
  readonly early: Sae | null;
  readonly top: number;
  readonly tolerance: number;
  private readonly programs: Programs;

  /** Throws FactError E_SAE_MISMATCH where an autoencoder does not belong to the network. */
  constructor(model: BcosModel, sae: Sae | null, options: ExplainerOptions = {}) {
    this.model = model;
    this.sae = sae;
    this.early = options.early ?? null;
    this.top = options.top ?? DEFAULT_TOP;
    this.tolerance = options.tolerance ?? DEFAULT_TOLERANCE;
    for (const one of [this.sae, this.early]) if (one !== null) matchSae(model, one);
    this.programs = createPrograms(model, sae, this.early, options.compile);
  }

  private imageTensor(images: readonly ExplainImage[]): tf.Tensor4D {
    const { height, width } = images[0];
    const size = height * width * 3;
    const values = new Float32Array(images.length * size);
    images.forEach((image, i) => {
      toUnitRange(image.pixels, values, i * size);
    });
    return tf.tensor4d(values, [images.length, height, width, 3]);
  }

  private checkFinite(images: readonly ExplainImage[], scores: readonly Float32Array[]): void {
    scores.forEach((row, i) => {
      const bad = row.findIndex((v) => !Number.isFinite(v));
      if (bad < 0) return;
      throw new FactError({
        code: 'E_NOT_FINITE',
        message: `${images[i].name}: the network's score of ${className(this.model.spec, bad)} is ${row[bad]}`,
        remedy: 'The weights of the network or of the autoencoder are damaged, or its training diverged.',
      });
    });
  }

  /** Scores of images of one size. Throws FactError E_NOT_FINITE. */
  async scores(images: readonly ExplainImage[]): Promise<ImageScores[]> {
    const input = this.imageTensor(images);
    try {
      const result = await this.programs.scores(input);
      const alone = await takeRows(result.alone);
      const spliced = await takeRows(result.spliced);
      this.checkFinite(images, alone);
      this.checkFinite(images, spliced);
      return alone.map((row, i) => ({ alone: row, spliced: spliced[i] }));
    } finally {
      input.dispose();
    }
  }

  /** A class with its logit and probability, from scores before the bias. */
  classScore(scores: ArrayLike<number>, index: number): ClassScore {
    const logit = scores[index] + (this.model.spec.logitBias ?? 0);
    return { index, name: className(this.model.spec, index), logit, probability: sigmoid(logit) };
  }

  /** The classes with the highest logits, falling. */
  ranking(scores: ArrayLike<number>, count: number): ClassScore[] {
    return largest(scores.length, count, (i) => scores[i]).map((index) => this.classScore(scores, index));
  }

  private choose(image: ExplainImage, scores: Float32Array, choice: TargetChoice): ChosenTarget {
    const predicted = argMax(scores);
    const wanted = choice.for ?? predicted;
    const asked = choice.for !== undefined || choice.versus !== undefined;
    if (choice.versus !== undefined && choice.versus !== wanted) {
      return { for: wanted, versus: choice.versus, reason: 'asked' };
    }
    if (!asked && image.trueClass !== null && image.trueClass !== predicted) {
      return { for: predicted, versus: image.trueClass, reason: 'misclassified' };
    }
    return { for: wanted, versus: null, reason: choice.for === undefined ? 'predicted' : 'asked' };
  }

  /**
   * Explains images of one size. Without a choice: the predicted class, or for an image whose true class is known and
   * missed, the predicted against the true class. Throws FactError E_NOT_FINITE.
   */
  async explain(images: readonly ExplainImage[], choice: TargetChoice = {}): Promise<Explanation[]> {
    if (images.length === 0) return [];
    const scores = await this.scores(images);
    const targets = images.map((image, i) => this.choose(image, scores[i].spliced, choice));
    const input = this.imageTensor(images);
    try {
      const numbers = await this.attribute(input, targets);
      return images.map((image, i) =>
        assembleExplanation({
          image,
          scores: scores[i],
          target: targets[i],
          numbers: numbers[i],
          classScore: (row, index) => this.classScore(row, index),
          ranking: this.ranking(scores[i].spliced, 5),
          tap: this.sae?.tap ?? null,
          logitBias: this.model.spec.logitBias ?? 0,
          tolerance: this.tolerance,
          lowerConstants: this.programs.lowerConstants,
          upperConstants: this.programs.upperConstants,
          earlyTap: this.early?.tap ?? null,
        }),
      );
    } finally {
      input.dispose();
    }
  }

  private targetTensor(rows: readonly (readonly [index: number, weight: number][])[]): tf.Tensor2D {
    const classes = this.model.spec.options.numClasses;
    const values = new Float32Array(rows.length * classes);
    rows.forEach((row, i) => {
      for (const [index, weight] of row) values[i * classes + index] += weight;
    });
    return tf.tensor2d(values, [rows.length, classes]);
  }

  private async attribute(input: tf.Tensor4D, targets: readonly ChosenTarget[]): Promise<ImageNumbers[]> {
    const target = this.targetTensor(
      targets.map((t) => [[t.for, 1] as const, ...(t.versus === null ? [] : [[t.versus, -1] as const])]) as [
        number,
        number,
      ][][],
    );
    try {
      return this.programs.spliced === null
        ? await this.attributePixels(input, target)
        : await this.attributeConcepts(input, target, targets);
    } finally {
      target.dispose();
    }
  }

  private async attributePixels(input: tf.Tensor4D, target: tf.Tensor2D): Promise<ImageNumbers[]> {
    const { pixels } = this.programs;
    if (pixels === null) throw new Error('no program without autoencoder');
    const result = await pixels(input, target);
    const [scores, gradient, map, lowerTerms] = [
      await takeRows(result.scores),
      await takeRows(result.gradient),
      await takeRows(result.map),
      await takeRows(result.lowerConstants),
    ];
    return scores.map((row, i) => ({
      scores: row,
      gradient: gradient[i],
      map: map[i],
      lowerTerms: lowerTerms[i],
      concepts: null,
    }));
  }

  private async attributeConcepts(
    input: tf.Tensor4D,
    target: tf.Tensor2D,
    targets: readonly ChosenTarget[],
  ): Promise<ImageNumbers[]> {
    const programs = this.programs.spliced;
    if (programs === null) throw new Error('no program with autoencoder');
    const a = await programs.concepts(input, target);
    const { values, indices } = a;
    const rest = await this.readAttribution(a);
    const shown = rest.contributions.map((row, i) =>
      chooseConcepts(row, this.top, targets[i].versus !== null),
    );
    const ids = tf.tensor2d(shown, [shown.length, shown[0].length], 'int32');
    try {
      const versus = await this.versusContributions(input, targets);
      const mapped = await programs.maps(input, values, indices, ids);
      const maps = await takeRows(mapped.maps);
      const mapConstants = await takeRows(mapped.constantTerms);
      const traced = programs.traces === null ? null : await programs.traces(input, ids);
      const traces = traced === null ? null : await takeRows(traced.traces);
      const latePresence = traced === null ? null : await takeRows(traced.latePresence);
      return rest.scores.map((scores, i) => ({
        scores,
        gradient: rest.gradient[i],
        map: rest.map[i],
        lowerTerms: rest.lowerConstants[i],
        concepts: {
          contributions: rest.contributions[i],
          presence: rest.presence[i],
          errors: rest.errors[i],
          lengths: rest.lengths[i],
          upperTerms: rest.upperConstants[i],
          versus: versus[i],
          shown: shown[i],
          maps: maps[i],
          mapTerms: mapConstants[i],
          traces: traces === null ? null : traces[i],
          latePresence: latePresence === null ? null : latePresence[i],
        },
      }));
    } finally {
      tf.dispose([ids, values, indices]);
    }
  }

  private async readAttribution(a: import('./programs.js').SplicedAttribution) {
    return {
      scores: await takeRows(a.scores),
      gradient: await takeRows(a.gradient),
      map: await takeRows(a.map),
      lowerConstants: await takeRows(a.lowerConstants),
      upperConstants: await takeRows(a.upperConstants),
      contributions: await takeRows(a.contributions),
      presence: await takeRows(a.presence),
      errors: await takeRows(a.errors),
      lengths: await takeRows(a.lengths),
    };
  }

  /** Contributions to the second class of a difference, null for images without one. */
  private async versusContributions(
    input: tf.Tensor4D,
    targets: readonly ChosenTarget[],
  ): Promise<(Float32Array | null)[]> {
    if (targets.every((t) => t.versus === null) || this.programs.spliced === null)
      return targets.map(() => null);
    const target = this.targetTensor(targets.map((t) => [[t.versus ?? t.for, 1] as [number, number]]));
    try {
      const a = await this.programs.spliced.concepts(input, target);
      const { contributions, ...others } = a;
      tf.dispose(Object.values(others));
      const rows = await takeRows(contributions);
      return rows.map((row, i) => (targets[i].versus === null ? null : row));
    } finally {
      target.dispose();
    }
  }

  /** Frees the compiled programs. */
  dispose(): void {
    this.programs.dispose();
  }
}
