/*
 * From gradients to new weights, as the reference does it, in this order:
 *
 *   1. from each decoder direction's gradient the part along the direction is removed:
 *      dR -= (dR . v) v,  v = R / (|R| + 1e-6) per row
 *   2. both gradients are scaled by min(1, 1 / (n + 1e-6)), n = their joint norm
 *   3. Adam: m = b1 m + (1 - b1) d;  s = b2 s + (1 - b2) d^2;  w -= lr (m / c1) / (sqrt(s / c2) + 1e-8)
 *      with c = 1 - b^t
 *   4. decoder directions are scaled to unit norm: R / (|R| + eps), eps of float32
 *
 * Steps 1, 3 and 4 take each row by itself, so that a step runs them a few rows at a time; of step 2 only the sum of
 * squares spans the rows. What an archetypal dictionary has in place of 1 and 4: archetypal.ts.
 */
import * as tf from '@tensorflow/tfjs';

const NORM_EPSILON = 1e-6;
const MAX_GRADIENT_NORM = 1;
const FLOAT32_EPSILON = 2 ** -23;
export const ADAM = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 } as const;

function rowNorms(x: tf.Tensor2D): tf.Tensor2D {
  return tf.sqrt(tf.sum(tf.square(x), 1, true)) as tf.Tensor2D;
}

/** Step 1: gradient and directions [K, C] -> gradient without its part along each direction. */
export function removeParallel(gradient: tf.Tensor2D, directions: tf.Tensor2D): tf.Tensor2D {
  return tf.tidy(() => {
    const unit = tf.div(directions, tf.add(rowNorms(directions), NORM_EPSILON));
    const along = tf.sum(tf.mul(gradient, unit), 1, true);
    return tf.sub(gradient, tf.mul(along, unit));
  });
}

/** Sum of squares of each row of [K, C]. */
export function rowSquares(x: tf.Tensor2D): tf.Tensor1D {
  return tf.sum(tf.square(x), 1) as tf.Tensor1D;
}

/** Step 2: from the sum of squares of all gradients, their joint norm and the factor that clips it to 1. */
export function clipFactor(squares: number): { readonly norm: number; readonly factor: number } {
  const norm = Math.sqrt(squares);
  return { norm, factor: Math.min(1, MAX_GRADIENT_NORM / (norm + NORM_EPSILON)) };
}

/** The scalars of an Adam update as tensors, so that a traced step does not freeze them. */
export interface AdamScalars {
  readonly learningRate: tf.Scalar;
  /** 1 - beta1^t and 1 - beta2^t, t from 1. */
  readonly correction1: tf.Scalar;
  readonly correction2: tf.Scalar;
}

/**
 * Step 3: weight, moments and gradient (before clipping; `factor` is step 2's) -> new weight and moments. The scalars
 * are gathered so that few passes over the weights remain: with r = sqrt(c2),
 * lr (m/c1) / (sqrt(s)/r + eps) = (lr r / c1) m / (sqrt(s) + eps r). Caller disposes.
 */
export function adam(
  weight: tf.Tensor2D,
  moment1: tf.Tensor2D,
  moment2: tf.Tensor2D,
  gradient: tf.Tensor2D,
  factor: tf.Scalar,
  s: AdamScalars,
): { weight: tf.Tensor2D; moment1: tf.Tensor2D; moment2: tf.Tensor2D } {
  return tf.tidy(() => {
    const share1 = tf.mul(factor, 1 - ADAM.beta1);
    const share2 = tf.mul(tf.square(factor), 1 - ADAM.beta2);
    const m = tf.add(tf.mul(moment1, ADAM.beta1), tf.mul(gradient, share1)) as tf.Tensor2D;
    const v = tf.add(tf.mul(moment2, ADAM.beta2), tf.mul(tf.square(gradient), share2)) as tf.Tensor2D;
    const root = tf.sqrt(s.correction2);
    const rate = tf.div(tf.mul(s.learningRate, root), s.correction1);
    const scale = tf.add(tf.sqrt(v), tf.mul(root, ADAM.epsilon));
    return { weight: tf.sub(weight, tf.div(tf.mul(m, rate), scale)), moment1: m, moment2: v };
  });
}

/** Step 4: rows [K, C] scaled to unit norm. */
export function unitRows(directions: tf.Tensor2D): tf.Tensor2D {
  return tf.tidy(() => tf.div(directions, tf.add(rowNorms(directions), FLOAT32_EPSILON)));
}
