import * as tf from '@tensorflow/tfjs';
import { overAll, RunningNorm } from './norm.js';
import type { NormView } from './normMath.js';

/** Centered batch norm with one mean, variance, weight and bias for everything. [N,H,W,C]. */
export class AllNorm2d extends RunningNorm {
  static readonly className = 'AllNorm2d';
  protected readonly centered = true;

  protected override parameterCount(): number {
    return 1;
  }

  protected viewOf(shape: readonly number[]): NormView {
    return overAll(shape);
  }
}
tf.serialization.registerClass(AllNorm2d);
