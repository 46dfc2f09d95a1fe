import * as tf from '@tensorflow/tfjs';
import { overAll, RunningNorm } from './norm.js';
import type { NormView } from './normMath.js';

/** y = x / sqrt(var + eps) * weight + bias with one variance, one weight, one bias for everything. [N,H,W,C]. */
export class AllNormUncentered2d extends RunningNorm {
  static readonly className = 'AllNormUncentered2d';
  protected readonly centered = false;

  protected override parameterCount(): number {
    return 1;
  }

  protected viewOf(shape: readonly number[]): NormView {
    return overAll(shape);
  }
}
tf.serialization.registerClass(AllNormUncentered2d);
