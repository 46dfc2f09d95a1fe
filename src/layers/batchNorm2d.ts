import * as tf from '@tensorflow/tfjs';
import { perChannel, RunningNorm } from './norm.js';
import type { NormView } from './normMath.js';

/** PyTorch's batch norm: y = (x - mean) / sqrt(var + eps) * weight + bias per channel; running variance unbiased. [N,H,W,C]. */
export class BatchNorm2d extends RunningNorm {
  static readonly className = 'BatchNorm2d';
  protected readonly centered = true;

  protected viewOf(shape: readonly number[]): NormView {
    return perChannel(shape);
  }
}
tf.serialization.registerClass(BatchNorm2d);
