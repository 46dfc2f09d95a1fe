/**
 * What every B-cos layer shares: unit-norm filters, MaxOut, and the dynamic scale with its derivative.
 *
 *     s = w^ * x            w^ = W / ||W||, norm over all axes of a filter but the output one
 *     c = |s| r + e         r = 1 / norm of the patch;  e = 0 for B = 2, else 1e-6 (so that c^(B-2) stays finite)
 *     y = s a,  a = c^(B-1)
 *
 * Derivatives (B-cos networks, Boehle et al. 2022/2024, eq. 3), with g = dL/dy:
 *     ds = g a (B - (B-1) e/c)           = 2 g a for B = 2
 *     dL/dr . r = (B-1) sum g y (1 - e/c)
 * In explanation mode a is constant: ds = g a, and nothing flows through r.
 *
 * A filter that is exactly zero has w^ = 0, output 0 and gradient 0 here (the reference divides 0 by 0).
 */
import * as tf from '@tensorflow/tfjs';
import { gatherLast, scatterLast } from '../engine/ops.js';

/** Added to |s| r where B != 2. */
export const SCALE_EPSILON = 1e-6;

/** Filters with unit norm over all axes but the last, and 1/norm (0 for a zero filter). Tiny: two passes over W. */
export function unitFilters(w: tf.Tensor): { unit: tf.Tensor; inverseNorm: tf.Tensor } {
  const axes = w.shape.slice(0, -1).map((_, i) => i);
  const norm = tf.sqrt(tf.sum(tf.square(w), axes, true));
  const inverseNorm = tf.divNoNan(tf.onesLike(norm), norm);
  return { unit: tf.mul(w, inverseNorm), inverseNorm };
}

/**
 * Gradient to W from the gradient `factor` D to w^: factor (D - w^ <w^, D>) / ||W||, the part of D tangential to the
 * unit sphere. Three passes over W; where <w^, D> is not given, one more and a sum.
 */
export function filterGradient(
  d: tf.Tensor,
  unit: tf.Tensor,
  inverseNorm: tf.Tensor,
  factor: number,
  alongFilters?: tf.Tensor,
): tf.Tensor {
  const axes = d.shape.slice(0, -1).map((_, i) => i);
  const along = alongFilters ?? tf.sum(tf.mul(unit, d), axes, true);
  const scale = factor === 1 ? inverseNorm : tf.mul(inverseNorm, factor);
  return tf.sub(tf.mul(d, scale), tf.mul(unit, tf.mul(along, scale)));
}

export interface MaxOutChoice {
  /** [..., O]: the largest response of each output's M filters. */
  readonly best: tf.Tensor;
  /** int32 [..., O, 1]: which of the M; the first of equal ones. */
  readonly index: tf.Tensor;
}

/** Largest of the M consecutive channels `o*M + m` by sign, not by size: s [..., O*M]. Two passes. */
export function chooseMaxOut(s: tf.Tensor, maxOut: number): MaxOutChoice {
  const outer = s.shape.slice(0, -1);
  const outputs = s.shape[s.rank - 1] / maxOut;
  const units = tf.reshape(s, [...outer, outputs, maxOut]);
  const index = tf.reshape(tf.argMax(units, -1), [...outer, outputs, 1]);
  return { best: tf.reshape(gatherLast(units, index), [...outer, outputs]), index };
}

/** Transpose of the choice: each output's gradient goes to its chosen filter. ds [..., O] -> [..., O*M]. One pass. */
export function spreadMaxOut(ds: tf.Tensor, index: tf.Tensor, maxOut: number): tf.Tensor {
  const spread = scatterLast(tf.reshape(ds, index.shape), index, maxOut);
  const shape = ds.shape.slice();
  shape[shape.length - 1] *= maxOut;
  return tf.reshape(spread, shape);
}

export interface Scaled {
  readonly y: tf.Tensor;
  /** The scale a, and for B != 2 also c: what `scaleGradients` needs. */
  readonly kept: readonly tf.Tensor[];
}

function power(x: tf.Tensor, exponent: number): tf.Tensor {
  if (exponent === 1) return x;
  if (exponent === 2) return tf.square(x);
  return exponent === 0.5 ? tf.sqrt(x) : tf.pow(x, exponent);
}

/** y = s a. r broadcasts against s. B = 2: three passes over s (s r, |.|, s a). */
export function applyScale(s: tf.Tensor, r: tf.Tensor, b: number): Scaled {
  const cosine = tf.abs(tf.mul(s, r));
  if (b === 2) return { y: tf.mul(s, cosine), kept: [cosine] };
  const c = tf.add(cosine, SCALE_EPSILON);
  const a = power(c, b - 1);
  return { y: tf.mul(s, a), kept: [a, c] };
}

export interface ScaleGradients {
  /** ds without its constant factor: multiply filters (small) by `factor` instead of ds (large). */
  readonly ds: tf.Tensor;
  readonly factor: number;
  /** g y (1 - e/c) (B-1), elementwise: its sum over outputs is dL/dr . r. */
  readonly toNorm: tf.Tensor;
  /** Where s ds, without the factor, is `toNorm`: its sum over positions is <w^, D>, D the filters' gradient for ds. */
  readonly givesAlong: boolean;
}

/** Backward pass of `applyScale`. B = 2: one pass for ds, one for `toNorm`. */
export function scaleGradients(
  g: tf.Tensor,
  y: tf.Tensor,
  kept: readonly tf.Tensor[],
  b: number,
): ScaleGradients {
  const ga = tf.mul(g, kept[0]);
  if (b === 2) return { ds: ga, factor: 2, toNorm: tf.mul(g, y), givesAlong: true };
  const share = tf.div((b - 1) * SCALE_EPSILON, kept[1]);
  return {
    ds: tf.mul(ga, tf.sub(b, share)),
    factor: 1,
    toNorm: tf.mul(tf.mul(g, y), tf.sub(b - 1, share)),
    givesAlong: false,
  };
}
