import * as tf from '@tensorflow/tfjs';
import { channelsOf, finiteNumber, singleInput, singleShape } from './checks.js';
import type { StateRule } from './stateRule.js';

export interface LayerScaleConfig {
  name?: string;
  trainable?: boolean;
  /** Default 1e-6, ConvNeXt's. */
  initial?: number;
}

/** y = x * layer_scale, one trained factor a channel (ConvNeXt). [..., C]; weight `layer_scale` [C]. */
export class LayerScale extends tf.layers.Layer {
  static readonly className = 'LayerScale';
  readonly stateRules: Readonly<Record<string, StateRule>> = { layer_scale: 'channels3' };
  readonly initial: number;
  private factor: tf.LayerVariable | null = null;

  constructor(config: LayerScaleConfig) {
    super(config as ConstructorParameters<typeof tf.layers.Layer>[0]);
    this.initial = finiteNumber(this.name, 'initial', config.initial ?? 1e-6);
  }

  override build(inputShape: tf.Shape | tf.Shape[]): void {
    const initial = tf.initializers.constant({ value: this.initial });
    this.factor = this.addWeight('layer_scale', [channelsOf(this, inputShape)], 'float32', initial);
    super.build(inputShape);
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    return tf.tidy(() => tf.mul(singleInput(inputs), this.factor?.read() as tf.Tensor));
  }

  override computeOutputShape(inputShape: tf.Shape | tf.Shape[]): tf.Shape {
    return singleShape(inputShape);
  }

  override getConfig(): tf.serialization.ConfigDict {
    return { ...super.getConfig(), initial: this.initial };
  }
}
tf.serialization.registerClass(LayerScale);
