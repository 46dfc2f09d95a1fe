import * as tf from '@tensorflow/tfjs';
import { perPosition, SampleNorm } from './norm.js';
import type { NormView } from './normMath.js';

/** Layer norm over the channels at each position; explanation mode holds the variance constant. [N,H,W,C]. */
export class DetachablePositionNorm2d extends SampleNorm {
  static readonly className = 'DetachablePositionNorm2d';
  protected readonly centered = true;

  protected viewOf(shape: readonly number[]): NormView {
    return perPosition(shape);
  }
}
tf.serialization.registerClass(DetachablePositionNorm2d);
