/*
 * The dictionary of an archetypal autoencoder in its relaxed, stable form (Fel et al. 2025, arXiv 2502.12892):
 *
 *     R = W A + L          R [K, C]: row j is the direction that latent j writes
 *     A [M, C]             feature vectors, or means of such: fixed
 *     W [K, M]             every row >= 0 with sum 1: W A lies in the convex hull of A
 *     L [K, C]             |row| <= bound: how far a direction may leave the hull
 *
 * The encoder is free. From the gradient dR of the loss:
 *
 *     dL = dR              L <- Adam, then each row shortened to the bound where it is longer
 *     dW = dR A^T - <W, dR A^T>      the gradient through W = V / sum(V) at V = W
 *                          W <- Adam, negative entries to 0, rows divided by their sum; a row without a positive entry
 *                          keeps its old weights
 *
 * Adam moves every entry by about its learning rate, and a row of W has M of them: W learns at 1/sqrt(M) of the rate, so
 * that M moves in random directions add up to that of one entry.
 */
import * as tf from '@tensorflow/tfjs';
import { FactError } from '../../../core/errors.js';
import { Random } from '../../../core/random.js';
import { type AdamScalars, adam } from './update.js';

const START_STREAM = 0xa5c;
/** Shorter than any row that matters, longer than what float32 makes 0 in a square. */
const TINY = 1e-18;

export type Dictionary = {
  readonly decoderRows: tf.Tensor2D;
  readonly mixture: tf.Tensor2D;
  readonly mixtureMoments: readonly [tf.Tensor2D, tf.Tensor2D];
  readonly relaxation: tf.Tensor2D;
  readonly relaxationMoments: readonly [tf.Tensor2D, tf.Tensor2D];
};

/** dW of the top of the file, from dR [K, C], W [K, M] and A [M, C]. Caller disposes. */
export function mixtureGradient(
  gradient: tf.Tensor2D,
  mixture: tf.Tensor2D,
  points: tf.Tensor2D,
): tf.Tensor2D {
  return tf.tidy(() => {
    const free = tf.matMul(gradient, points, false, true);
    return tf.sub(free, tf.sum(tf.mul(mixture, free), 1, true));
  });
}

/** New mixture weights from weights after a free step: formula above. All [K, M]. Caller disposes. */
export function toHull(moved: tf.Tensor2D, before: tf.Tensor2D): tf.Tensor2D {
  return tf.tidy(() => {
    const positive = tf.relu(moved);
    const sums = tf.sum(positive, 1, true);
    const isAny = tf.step(sums);
    const scaled = tf.div(positive, tf.maximum(sums, TINY));
    return tf.add(tf.mul(scaled, isAny), tf.mul(before, tf.sub(1, isAny))) as tf.Tensor2D;
  });
}

/** Rows [K, C] shortened to `bound` where they are longer. Caller disposes. */
export function toBound(rows: tf.Tensor2D, bound: tf.Scalar): tf.Tensor2D {
  return tf.tidy(() => {
    const norms = tf.sqrt(tf.sum(tf.square(rows), 1, true));
    return tf.mul(rows, tf.div(bound, tf.maximum(tf.maximum(norms, bound), TINY)));
  });
}

/** One update of some rows of a dictionary by the gradient of R and the factor that clips it. Caller disposes. */
export function updateDictionary(
  before: Dictionary,
  gradient: tf.Tensor2D,
  points: tf.Tensor2D,
  bound: tf.Scalar,
  factor: tf.Scalar,
  scalars: AdamScalars,
): Dictionary {
  return tf.tidy(() => {
    const { mixture, mixtureMoments: m, relaxation, relaxationMoments: l } = before;
    const mixtureGrad = mixtureGradient(gradient, mixture, points);
    const learningRate = tf.div(scalars.learningRate, Math.sqrt(points.shape[0])) as tf.Scalar;
    const moved = adam(mixture, m[0], m[1], mixtureGrad, factor, { ...scalars, learningRate });
    const left = adam(relaxation, l[0], l[1], gradient, factor, scalars);
    const newMixture = toHull(moved.weight, mixture);
    const newRelaxation = toBound(left.weight, bound);
    return {
      decoderRows: tf.add(tf.matMul(newMixture, points), newRelaxation) as tf.Tensor2D,
      mixture: newMixture,
      mixtureMoments: [moved.moment1, moved.moment2] as const,
      relaxation: newRelaxation,
      relaxationMoments: [left.moment1, left.moment2] as const,
    };
  });
}

/** Where an archetypal autoencoder starts; encoder, decoder and points as the trainer takes them, mixture [K, M]. */
export interface ArchetypalStart {
  readonly encoder: Float32Array;
  readonly decoder: Float32Array;
  readonly points: Float32Array;
  readonly mixture: Float32Array;
}

/**
 * The start: each latent at a point of its own as long as there are any, drawn by the seed; those that are left half-way
 * between two. The encoder starts as the directions at unit length. `points` row-major [M, C], in units of the norm factor.
 * Throws FactError E_SAE_ARCHETYPES where there is no point.
 */
export function archetypalStart(
  points: Float32Array,
  channels: number,
  latents: number,
  seed: number,
): ArchetypalStart {
  const count = points.length / channels;
  if (count < 1 || !Number.isInteger(count)) {
    throw new FactError({
      code: 'E_SAE_ARCHETYPES',
      message: `archetypal autoencoder: ${points.length} values are no points of ${channels} channels`,
      remedy: 'Give at least one feature vector.',
    });
  }
  const random = new Random(seed, START_STREAM, latents);
  const order = random.permutation(count);
  const mixture = new Float32Array(latents * count);
  const encoder = new Float32Array(latents * channels);
  const decoder = new Float32Array(latents * channels);
  for (let j = 0; j < latents; j++) {
    const chosen = j < count ? [order[j], order[j]] : [random.integer(count), random.integer(count)];
    for (const m of chosen) mixture[j * count + m] += 0.5;
    let squares = 0;
    for (let c = 0; c < channels; c++) {
      const value = (points[chosen[0] * channels + c] + points[chosen[1] * channels + c]) / 2;
      decoder[c * latents + j] = value;
      encoder[j * channels + c] = value;
      squares += value * value;
    }
    const length = Math.sqrt(squares);
    if (length > 0) for (let c = 0; c < channels; c++) encoder[j * channels + c] /= length;
  }
  return { encoder, decoder, points, mixture };
}
