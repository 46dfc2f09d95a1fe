/** Sums over the channels of each group, and their transpose: each group's value for each of its channels. */
import * as tf from '@tensorflow/tfjs';
import { groupSum } from '../engine/ops.js';

function membership(channels: number, groups: number): tf.Tensor2D {
  if (groups === 1) return tf.ones([channels, 1]);
  const size = channels / groups;
  const values = new Float32Array(channels * groups);
  for (let c = 0; c < channels; c++) values[c * groups + Math.floor(c / size)] = 1;
  return tf.tensor2d(values, [channels, groups]);
}

function timesRows(x: tf.Tensor4D, matrix: tf.Tensor2D): tf.Tensor4D {
  const [n, h, w, c] = x.shape;
  if (x.size === 0) return tf.zeros([n, h, w, matrix.shape[1]]);
  return tf.reshape(tf.matMul(tf.reshape(x, [n * h * w, c]), matrix), [n, h, w, matrix.shape[1]]);
}

/** Sum over the channels of each group: [N,H,W,C] -> [N,H,W,groups]. */
export function groupRows(x: tf.Tensor4D, groups: number): tf.Tensor4D {
  return x.shape[3] === groups ? x : groupSum(x, groups);
}

/** Sum of squares over the channels of each group: [N,H,W,C] -> [N,H,W,groups]. */
export function sumOfSquares(x: tf.Tensor4D, groups: number): tf.Tensor4D {
  return groupRows(tf.square(x), groups);
}

/**
 * Each group's value for each of its `channels / groups` channels: [N,H,W,groups] -> [N,H,W,channels]; with one group
 * the plane itself, which broadcasts.
 */
export function spreadGroups(plane: tf.Tensor4D, channels: number): tf.Tensor4D {
  const groups = plane.shape[3];
  if (groups === 1 || groups === channels) return plane;
  return timesRows(plane, tf.transpose(membership(channels, groups)) as tf.Tensor2D);
}
