import * as tf from '@tensorflow/tfjs';
import { configError, wholeNumber } from './checks.js';
import { type NormConfig, perGroup, SampleNorm } from './norm.js';
import type { NormView } from './normMath.js';

export interface DetachableGroupNorm2dConfig extends NormConfig {
  /** Number of groups of consecutive channels. */
  groups: number;
}

/**
 * Group norm (centered); explanation mode holds the variance constant, the mean stays in the graph.
 * [N,H,W,C].
 */
export class DetachableGroupNorm2d extends SampleNorm {
  static readonly className = 'DetachableGroupNorm2d';
  protected readonly centered = true;
  readonly groups: number;

  constructor(config: DetachableGroupNorm2dConfig) {
    super(config);
    this.groups = wholeNumber(this.name, 'groups', config.groups, 1);
  }

  protected override parameterCount(channels: number): number {
    if (channels % this.groups !== 0)
      throw configError(this.name, 'groups', `a divisor of the ${channels} channels`, this.groups);
    return channels;
  }

  protected viewOf(shape: readonly number[]): NormView {
    return perGroup(shape, this.groups);
  }

  override getConfig(): tf.serialization.ConfigDict {
    return { ...super.getConfig(), groups: this.groups };
  }
}
tf.serialization.registerClass(DetachableGroupNorm2d);

/** One group a channel (instance norm). [N,H,W,C]. */
export class DetachableGNInstanceNorm2d extends SampleNorm {
  static readonly className = 'DetachableGNInstanceNorm2d';
  protected readonly centered = true;

  protected viewOf(shape: readonly number[]): NormView {
    return perGroup(shape, shape[3]);
  }
}
tf.serialization.registerClass(DetachableGNInstanceNorm2d);

/** One group of all channels (layer norm over C, H, W). [N,H,W,C]. */
export class DetachableGNLayerNorm2d extends SampleNorm {
  static readonly className = 'DetachableGNLayerNorm2d';
  protected readonly centered = true;

  protected viewOf(shape: readonly number[]): NormView {
    return perGroup(shape, 1);
  }
}
tf.serialization.registerClass(DetachableGNLayerNorm2d);
