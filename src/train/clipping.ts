import * as tf from '@tensorflow/tfjs';
import type { StateRule } from '../layers/stateRule.js';

const MIN_PARAMETER_NORM = 1e-3;
const MIN_GRADIENT_NORM = 1e-6;

/** Axes over which a unit's norm is taken; null = the whole tensor is one unit. */
export type UnitAxes = readonly number[] | null;

/**
 * Axes of a unit, as the reference picks them in PyTorch's layout: the whole tensor if at most one axis is longer than
 * 1; axis 1 for two or three axes; all but the first for four. `rule` says how the weight lies in tfjs.
 */
export function unitAxes(shape: readonly number[], rule: StateRule): UnitAxes {
  if (shape.filter((size) => size > 1).length <= 1) return null;
  if (rule === 'conv') return [0, 1, 2];
  if (rule === 'linear') return [0];
  return shape.length <= 3 ? [1] : shape.slice(1).map((_, i) => i + 1);
}

/**
 * Adaptive gradient clipping (Brock et al., 2021, eq. 3, with the reference's epsilons), for each unit:
 *
 *     max = factor * max(||p||, 1e-3);     g <- g * max / max(||g||, 1e-6)   where ||g|| >= max
 *
 * Shapes: weight and gradient alike, in any layout; `axes` are those of a unit in that layout.
 */
export function clipAdaptive(
  weight: tf.Tensor,
  gradient: tf.Tensor,
  axes: UnitAxes,
  factor: number,
): tf.Tensor {
  const over = axes === null ? weight.shape.map((_, i) => i) : [...axes];
  const norm = (x: tf.Tensor): tf.Tensor => x.square().sum(over, true).sqrt();
  const largest = tf.maximum(norm(weight), MIN_PARAMETER_NORM).mul(factor);
  const length = norm(gradient);
  const scale = largest.div(tf.maximum(length, MIN_GRADIENT_NORM));
  return gradient.mul(tf.where(length.greaterEqual(largest), scale, tf.onesLike(scale)));
}

/** Norm of all gradients together, a scalar. */
export function globalNorm(gradients: readonly tf.Tensor[]): tf.Scalar {
  return tf.addN(gradients.map((g) => g.square().sum())).sqrt() as tf.Scalar;
}

/** Factor of global-norm clipping as PyTorch computes it: `min(1, limit / (norm + 1e-6))`. */
export function globalClipFactor(norm: tf.Scalar, limit: number): tf.Scalar {
  return tf.minimum(tf.div(limit, norm.add(MIN_GRADIENT_NORM)), 1) as tf.Scalar;
}
