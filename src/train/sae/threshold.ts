/*
 * From the batches of a BatchTopK training to a code of single positions. In training the k B largest activations of a
 * batch count. Afterwards an activation counts where it exceeds a threshold: the running mean of the smallest activation
 * that was chosen in a batch,
 *
 *     t <- smallest                      the first time
 *     t <- memory t + (1 - memory) smallest
 *
 * Batches without a positive activation leave it as it is. It belongs to features divided by the norm factor n; features
 * as they are respond n times as strongly, so that their threshold is n t.
 *
 * A code has the same number of places at every position. `width` is how many: as many as the fullest row of a sample of
 * the training features needs, at most 8 k. Positions that would need more lose their smallest activations; how many
 * rows of the sample do is recorded.
 */
import * as tf from '@tensorflow/tfjs';
import { FactError } from '../../core/errors.js';
import { countAbove, selectByBatch } from './selection.js';
import type { SaeArchitecture } from './state.js';

const DEFAULT_START = 1000;
/** A code of more than so many times k places would cost more than it keeps. */
const WIDEST = 8;

/** The first update, from 0, whose smallest activation counts. */
export function startsAt(options: {
  readonly thresholdStart?: number | null;
  readonly schedule: { readonly totalSteps: number };
}): number {
  return options.thresholdStart ?? Math.min(DEFAULT_START, Math.floor(options.schedule.totalSteps / 2));
}

/** The running threshold (negative: none yet) after a batch whose smallest activation is `smallest` (0: none). */
export function nextThreshold(threshold: number, smallest: number, memory: number): number {
  if (!(smallest > 0)) return threshold;
  return threshold < 0 ? smallest : memory * threshold + (1 - memory) * smallest;
}

/** What an autoencoder needs beside its weights: `createSae` takes it. */
export interface SaeCodeFound {
  readonly architecture: SaeArchitecture;
  /** Most activations of a position. */
  readonly k: number;
  /** Activations count above it, in the scale of features as they are; 0 where the k largest count. */
  readonly threshold: number;
  /** What was measured, for cfg.json's `training`. */
  readonly training: Readonly<Record<string, unknown>>;
}

export interface MeasureOptions {
  readonly k: number;
  readonly latents: number;
  readonly channels: number;
  readonly normFactor: number;
  readonly width: number | null;
  /** The running threshold of features divided by the norm factor; negative: none. */
  readonly threshold: number;
}

/** So many values of features are measured: 128 MiB. */
const SAMPLE_VALUES = 2 ** 25;

type Matrix = tf.Tensor2D;

/** Mean of the smallest activations that each batch [n, C] would choose; NaN where none is positive. */
async function meanSmallest(batches: readonly Float32Array[], encoder: Matrix, o: MeasureOptions) {
  let [sum, count] = [0, 0];
  for (const values of batches) {
    const smallest = tf.tidy(
      () =>
        selectByBatch(tf.tensor2d(values, [values.length / o.channels, o.channels]), encoder, o.k, o.latents)
          .smallest,
    );
    const [value] = await smallest.data();
    smallest.dispose();
    sum += value;
    if (value > 0) count++;
  }
  return sum / count;
}

/** For each row of the batches, how many activations exceed the threshold. */
async function countActive(
  batches: readonly Float32Array[],
  encoder: Matrix,
  channels: number,
  threshold: number,
): Promise<number[]> {
  const counts: number[] = [];
  const limit = tf.scalar(threshold);
  for (const values of batches) {
    const above = tf.tidy(() =>
      countAbove(tf.tensor2d(values, [values.length / channels, channels]), encoder, limit),
    );
    for (const count of await above.data()) counts.push(count);
    above.dispose();
  }
  limit.dispose();
  return counts;
}

/**
 * Threshold and width of a trained encoder [K, C] from batches of features, row-major [n, C], of which the first 2^25
 * values are read. A run too short to have a threshold gets the mean over these batches.
 * Throws FactError E_SAE_FEATURES where no activation is positive.
 */
export async function measureCode(
  batches: AsyncIterable<Float32Array>,
  encoder: Matrix,
  options: MeasureOptions,
): Promise<SaeCodeFound> {
  const { k, latents, channels, normFactor } = options;
  const sample: Float32Array[] = [];
  let size = 0;
  for await (const values of batches) {
    sample.push(values);
    size += values.length;
    if (size >= SAMPLE_VALUES) break;
  }
  const threshold =
    options.threshold < 0 ? await meanSmallest(sample, encoder, options) : options.threshold * normFactor;
  if (!(threshold > 0)) {
    throw new FactError({
      code: 'E_SAE_FEATURES',
      message:
        'autoencoder of architecture batchtopk: no activation is positive, so that there is no threshold',
      remedy: 'Check the features: are they all zero?',
    });
  }
  const active = await countActive(sample, encoder, channels, threshold);
  const most = active.reduce((a, b) => Math.max(a, b), 1);
  const width = Math.min(latents, options.width ?? Math.min(most, WIDEST * k));
  const code = {
    rows: active.length,
    meanActive: active.reduce((a, b) => a + b, 0) / Math.max(1, active.length),
    mostActive: most,
    truncatedRows: active.filter((n) => n > width).length,
  };
  return { architecture: 'batchtopk', k: width, threshold, training: { trainedK: k, code } };
}
