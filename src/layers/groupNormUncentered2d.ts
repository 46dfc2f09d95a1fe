import * as tf from '@tensorflow/tfjs';
import { GroupNorm, InstanceNorm, LayerNorm } from './groupNorm.js';

/**
 * y = x / sqrt(var + eps) * weight + bias, the variance of each sample over H, W and the channels of a group.
 * [N,H,W,C].
 */
export class GroupNormUncentered2d extends GroupNorm {
  static readonly className = 'GroupNormUncentered2d';
  protected readonly centered = false;
}
tf.serialization.registerClass(GroupNormUncentered2d);

/** One group a channel (instance norm). [N,H,W,C]. */
export class GNInstanceNormUncentered2d extends InstanceNorm {
  static readonly className = 'GNInstanceNormUncentered2d';
  protected readonly centered = false;
}
tf.serialization.registerClass(GNInstanceNormUncentered2d);

/** One group of all channels (layer norm over C, H, W). [N,H,W,C]. */
export class GNLayerNormUncentered2d extends LayerNorm {
  static readonly className = 'GNLayerNormUncentered2d';
  protected readonly centered = false;
}
tf.serialization.registerClass(GNLayerNormUncentered2d);
