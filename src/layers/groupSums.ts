/** Sums over the channels of each group, and their transpose: each group's value for each of its channels. */
import * as tf from '@tensorflow/tfjs';
import { groupSum } from '../engine/ops.js';

/** Sum over the channels of each group: [N,H,W,C] -> [N,H,W,groups]. */
export function groupRows(x: tf.Tensor4D, groups: number): tf.Tensor4D {
  return x.shape[3] === groups ? x : groupSum(x, groups);
}

/** Sum of squares over the channels of each group: [N,H,W,C] -> [N,H,W,groups]. */
export function sumOfSquares(x: tf.Tensor4D, groups: number): tf.Tensor4D {
  return groupRows(tf.square(x), groups);
}

/** 0/1 matrix [groups, channels]: which channels a group has. */
function membership(groups: number, channels: number): tf.Tensor2D {
  const values = new Float32Array(groups * channels);
  for (let c = 0; c < channels; c++) values[Math.floor((c * groups) / channels) * channels + c] = 1;
  return tf.tensor2d(values, [groups, channels]);
}

/**
 * Each group's value for each of its `channels / groups` channels: [N,H,W,groups] -> [N,H,W,channels]; with one group
 * the plane itself, which broadcasts.
 */
export function spreadGroups(plane: tf.Tensor4D, channels: number): tf.Tensor4D {
  const [n, h, w, groups] = plane.shape;
  if (groups === 1 || groups === channels) return plane;
  if (plane.size === 0) return tf.zeros([n, h, w, channels]);
  const rows = tf.reshape(plane, [n * h * w, groups]) as tf.Tensor2D;
  return tf.reshape(tf.matMul(rows, membership(groups, channels)), [n, h, w, channels]);
}
