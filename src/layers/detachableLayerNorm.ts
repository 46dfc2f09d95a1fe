import * as tf from '@tensorflow/tfjs';
import { perPosition, SampleNorm } from './norm.js';
import type { NormView } from './normMath.js';

/** Layer norm over the last axis (transformers); explanation mode holds the variance constant. [...,C]. */
export class DetachableLayerNorm extends SampleNorm {
  static readonly className = 'DetachableLayerNorm';
  protected readonly centered = true;

  protected viewOf(shape: readonly number[]): NormView {
    return perPosition(shape);
  }
}
tf.serialization.registerClass(DetachableLayerNorm);
