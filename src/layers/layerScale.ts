import * as tf from '@tensorflow/tfjs';
import { channelsOf, finiteNumber, oneOf, singleInput, singleShape } from './checks.js';
import type { StateRule } from './stateRule.js';

const PARAMETERS = ['layer_scale', 'gamma'] as const;

export interface LayerScaleConfig {
  name?: string;
  trainable?: boolean;
  /** Name of the weight: ConvNeXt's `layer_scale` [C,1,1] (default) or DINOv2's `gamma` [C], as PyTorch has them. */
  parameter?: 'layer_scale' | 'gamma';
  /** Default 1e-6, ConvNeXt's. */
  initial?: number;
}

/** y = x * factor, one trained factor a channel (ConvNeXt, DINOv2). [..., C]; weight [C]. */
export class LayerScale extends tf.layers.Layer {
  static readonly className = 'LayerScale';
  readonly stateRules: Readonly<Record<string, StateRule>> = { layer_scale: 'channels3' };
  readonly parameter: 'layer_scale' | 'gamma';
  readonly initial: number;
  private factor: tf.LayerVariable | null = null;

  constructor(config: LayerScaleConfig) {
    super(config as ConstructorParameters<typeof tf.layers.Layer>[0]);
    // tfjs's own loader turns the text "layer_scale" of a saved network into "layerScale".
    const given: string = config.parameter ?? 'layer_scale';
    const parameter = given === 'layerScale' ? 'layer_scale' : given;
    this.parameter = oneOf(this.name, 'parameter', parameter, PARAMETERS);
    this.initial = finiteNumber(this.name, 'initial', config.initial ?? 1e-6);
  }

  override build(inputShape: tf.Shape | tf.Shape[]): void {
    const initial = tf.initializers.constant({ value: this.initial });
    this.factor = this.addWeight(this.parameter, [channelsOf(this, inputShape)], 'float32', initial);
    super.build(inputShape);
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    return tf.tidy(() => tf.mul(singleInput(inputs), this.factor?.read() as tf.Tensor));
  }

  override computeOutputShape(inputShape: tf.Shape | tf.Shape[]): tf.Shape {
    return singleShape(inputShape);
  }

  override getConfig(): tf.serialization.ConfigDict {
    return { ...super.getConfig(), parameter: this.parameter, initial: this.initial };
  }
}
tf.serialization.registerClass(LayerScale);
