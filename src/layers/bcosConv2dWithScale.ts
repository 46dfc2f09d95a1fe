import * as tf from '@tensorflow/tfjs';
import { BcosConv2d, type BcosConv2dConfig } from './bcosConv2d.js';
import { configError, finiteNumber } from './checks.js';

export interface BcosConv2dWithScaleConfig extends BcosConv2dConfig {
  /** What the output is divided by; null: sqrt(kernel height * width * input channels) / scaleFactor. */
  scale?: number | null;
  /** Default 100. */
  scaleFactor?: number;
}

/** B-cos convolution divided by a constant scale, as the oldest CIFAR experiments have it. */
export class BcosConv2dWithScale extends BcosConv2d {
  static override readonly className = 'BcosConv2dWithScale';
  readonly scale: number | null;
  readonly scaleFactor: number;

  constructor(config: BcosConv2dWithScaleConfig) {
    super(config);
    const { scale = null, scaleFactor = 100 } = config;
    this.scale = scale === null ? null : finiteNumber(this.name, 'scale', scale);
    this.scaleFactor = finiteNumber(this.name, 'scaleFactor', scaleFactor);
    if (this.scale === 0) throw configError(this.name, 'scale', 'not zero', scale);
    if (this.scaleFactor === 0) throw configError(this.name, 'scaleFactor', 'not zero', scaleFactor);
  }

  protected override divisor(inChannels: number): number {
    const [height, width] = this.kernel;
    return this.scale ?? Math.sqrt(height * width * inChannels) / this.scaleFactor;
  }

  override getConfig(): tf.serialization.ConfigDict {
    return { ...super.getConfig(), scale: this.scale, scaleFactor: this.scaleFactor };
  }
}
tf.serialization.registerClass(BcosConv2dWithScale);
