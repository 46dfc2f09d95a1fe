import * as tf from '@tensorflow/tfjs';
import { configError, wholeNumber } from './checks.js';
import { type NormConfig, perGroup, SampleNorm } from './norm.js';
import type { NormView } from './normMath.js';

export interface GroupNormUncentered2dConfig extends NormConfig {
  /** Number of groups of consecutive channels. */
  groups: number;
}

/**
 * y = x / sqrt(var + eps) * weight + bias, the variance of each sample over H, W and the channels of a group.
 * [N,H,W,C].
 */
export class GroupNormUncentered2d extends SampleNorm {
  static readonly className = 'GroupNormUncentered2d';
  protected readonly centered = false;
  readonly groups: number;

  constructor(config: GroupNormUncentered2dConfig) {
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
tf.serialization.registerClass(GroupNormUncentered2d);

/** One group a channel (instance norm). [N,H,W,C]. */
export class GNInstanceNormUncentered2d extends SampleNorm {
  static readonly className = 'GNInstanceNormUncentered2d';
  protected readonly centered = false;

  protected viewOf(shape: readonly number[]): NormView {
    return perGroup(shape, shape[3]);
  }
}
tf.serialization.registerClass(GNInstanceNormUncentered2d);

/** One group of all channels (layer norm over C, H, W). [N,H,W,C]. */
export class GNLayerNormUncentered2d extends SampleNorm {
  static readonly className = 'GNLayerNormUncentered2d';
  protected readonly centered = false;

  protected viewOf(shape: readonly number[]): NormView {
    return perGroup(shape, 1);
  }
}
tf.serialization.registerClass(GNLayerNormUncentered2d);
