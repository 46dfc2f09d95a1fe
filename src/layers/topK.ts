/*
 * Top-k of the positive part, per position (last axis).
 *
 *   u = topk_k(relu(v)):  u_i = v_i  where v_i > 0 and v_i is among the k largest of its position, else 0.
 *
 * Ties at the k-th place are cut by index: the lower one is kept. Positions with fewer than k positive values keep
 * them all. Gradient: the selection is held constant, dv_i = du_i at selected positive entries and 0 elsewhere (also
 * where a zero was selected), which is the exact derivative away from ties.
 *
 * The sparse form holds k pairs a position; a pair whose value is 0 stands for nothing.
 */
import * as tf from '@tensorflow/tfjs';
import { gatherLast, scatterLast } from '../engine/ops.js';

/** Activations by position: `values` [..., k] >= 0, falling; `indices` int32 [..., k], distinct within a position. */
export type SparseCode = { readonly values: tf.Tensor; readonly indices: tf.Tensor };

/** v [..., K], indices int32 [..., k] -> relu(v[indices]) [..., k]; differentiable in v. Caller disposes. */
function gatherPositive<T extends tf.Tensor>(v: T, indices: tf.Tensor): tf.Tensor {
  const latents = v.shape[v.shape.length - 1];
  return tf.customGrad((input, save) => {
    const values = tf.relu(gatherLast(input as tf.Tensor, indices));
    (save as tf.GradSaveFunc)([values, indices]);
    return {
      value: values,
      gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) =>
        scatterLast(tf.mul(dy, tf.step(saved[0])), saved[1], latents),
    };
  })(v);
}

/** values [..., k], indices int32 [..., k] -> [..., depth], zeros elsewhere; differentiable in values. */
export function scatterDense(values: tf.Tensor, indices: tf.Tensor, depth: number): tf.Tensor {
  return tf.customGrad((input, save) => {
    (save as tf.GradSaveFunc)([indices]);
    return {
      value: scatterLast(input as tf.Tensor, indices, depth),
      gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => gatherLast(dy, saved[0]),
    };
  })(values);
}

/** The k largest of v [..., K] (K >= k >= 1), negative ones cut to 0: sparse form; values differentiable in v. */
export function topKSparse(v: tf.Tensor, k: number): SparseCode {
  return tf.tidy(() => {
    const { indices } = tf.topk(v, k, true);
    return { values: gatherPositive(v, indices), indices };
  });
}

/** topk_k(relu(v)) [..., K]: dense form; differentiable in v. */
export function topKDense(v: tf.Tensor, k: number): tf.Tensor {
  const latents = v.shape[v.shape.length - 1];
  return tf.tidy(() => {
    const { values, indices } = topKSparse(v, k);
    return scatterDense(values, indices, latents);
  });
}
