import type * as tf from '@tensorflow/tfjs';
import { configError, wholeNumber } from './checks.js';
import { type NormConfig, perGroup, SampleNorm } from './norm.js';
import type { NormView } from './normMath.js';

export interface GroupNormConfig extends NormConfig {
  /** Number of groups of consecutive channels; must divide the channels. */
  groups: number;
}

/** A norm by the statistics of each sample over H, W and the channels of a group. [N,H,W,C]. */
export abstract class GroupNorm extends SampleNorm {
  readonly groups: number;

  constructor(config: GroupNormConfig) {
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

/** A group norm with one group a channel (instance norm). [N,H,W,C]. */
export abstract class InstanceNorm extends SampleNorm {
  protected viewOf(shape: readonly number[]): NormView {
    return perGroup(shape, shape[3]);
  }
}

/** A group norm with one group of all channels (layer norm over C, H, W). [N,H,W,C]. */
export abstract class LayerNorm extends SampleNorm {
  protected viewOf(shape: readonly number[]): NormView {
    return perGroup(shape, 1);
  }
}
