/**
 * The scale of B-cosified layers (Arya et al., "B-cosification", NeurIPS 2024): filters keep their norm, and B is a
 * tensor, so that it can rise while a compiled training step stays as it is.
 *
 *     s = w * x            c = |s| r + e,  e = 1e-6,  r = 1 / norm of the patch
 *     y = s c^(B-1) = s exp((B-1) ln c)          B = 1: y = s, exactly
 *
 * Derivatives, with g = dL/dy:
 *     ds = g a (B - (B-1) e/c),  a = c^(B-1)          dL/dr . r = g y (B-1) (1 - e/c)
 * In explanation mode a is constant: ds = g a.
 */
import * as tf from '@tensorflow/tfjs';
import { SCALE_EPSILON } from './bcosScale.js';

export interface ExponentScaled {
  readonly y: tf.Tensor;
  readonly a: tf.Tensor;
  readonly c: tf.Tensor;
}

/** s [..., O], r broadcasts against s, b a scalar >= 1. Five passes over s. */
export function scaleByExponent(s: tf.Tensor, r: tf.Tensor, b: tf.Tensor): ExponentScaled {
  const c = tf.add(tf.abs(tf.mul(s, r)), SCALE_EPSILON);
  const a = tf.exp(tf.mul(tf.log(c), tf.sub(b, 1)));
  return { y: tf.mul(s, a), a, c };
}

/** Backward pass: ds, and dL/dr . r, which is to be summed over the outputs that share r. */
export function exponentGradients(
  g: tf.Tensor,
  y: tf.Tensor,
  a: tf.Tensor,
  c: tf.Tensor,
  b: tf.Tensor,
): { readonly ds: tf.Tensor; readonly toNorm: tf.Tensor } {
  const rise = tf.sub(b, 1);
  const share = tf.mul(tf.div(SCALE_EPSILON, c), rise);
  return { ds: tf.mul(tf.mul(g, a), tf.sub(b, share)), toNorm: tf.mul(tf.mul(g, y), tf.sub(rise, share)) };
}
