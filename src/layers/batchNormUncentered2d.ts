import * as tf from '@tensorflow/tfjs';
import { perChannel, RunningNorm } from './norm.js';
import type { NormView } from './normMath.js';

/** y = x / sqrt(var + eps) * weight + bias, the (centred, biased) variance of each channel over N, H, W. [N,H,W,C]. */
export class BatchNormUncentered2d extends RunningNorm {
  static readonly className = 'BatchNormUncentered2d';
  protected readonly centered = false;

  protected viewOf(shape: readonly number[]): NormView {
    return perChannel(shape);
  }
}
tf.serialization.registerClass(BatchNormUncentered2d);
