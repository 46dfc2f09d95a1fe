import * as tf from '@tensorflow/tfjs';
import { perPosition, SampleNorm } from './norm.js';
import type { NormView } from './normMath.js';

/** y = x / sqrt(var + eps) * weight + bias, the variance over the channels at each position. [N,H,W,C]. */
export class PositionNormUncentered2d extends SampleNorm {
  static readonly className = 'PositionNormUncentered2d';
  protected readonly centered = false;

  protected viewOf(shape: readonly number[]): NormView {
    return perPosition(shape);
  }
}
tf.serialization.registerClass(PositionNormUncentered2d);
