import * as tf from '@tensorflow/tfjs';
import type { GoldenTensor } from './format.js';

/** A golden's maps [N,C,H,W] as a tensor [N,H,W,C]; other ranks as they are. The caller disposes. */
export function channelsLast(golden: GoldenTensor): tf.Tensor {
  return tf.tidy(() => {
    const tensor = tf.tensor(Float32Array.from(golden.data as Float32Array), [...golden.shape]);
    return tensor.rank === 4 ? tf.transpose(tensor, [0, 2, 3, 1]) : tensor;
  });
}
