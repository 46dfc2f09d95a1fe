import * as tf from '@tensorflow/tfjs';
import { GroupNorm, InstanceNorm, LayerNorm } from './groupNorm.js';

/**
 * Group norm (centered); explanation mode holds the variance constant, the mean stays in the graph.
 * [N,H,W,C].
 */
export class DetachableGroupNorm2d extends GroupNorm {
  static readonly className = 'DetachableGroupNorm2d';
  protected readonly centered = true;
}
tf.serialization.registerClass(DetachableGroupNorm2d);

/** One group a channel (instance norm). [N,H,W,C]. */
export class DetachableGNInstanceNorm2d extends InstanceNorm {
  static readonly className = 'DetachableGNInstanceNorm2d';
  protected readonly centered = true;
}
tf.serialization.registerClass(DetachableGNInstanceNorm2d);

/** One group of all channels (layer norm over C, H, W). [N,H,W,C]. */
export class DetachableGNLayerNorm2d extends LayerNorm {
  static readonly className = 'DetachableGNLayerNorm2d';
  protected readonly centered = true;
}
tf.serialization.registerClass(DetachableGNLayerNorm2d);
