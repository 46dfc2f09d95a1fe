import * as tf from '@tensorflow/tfjs';
import { configError, singleInput, singleShape } from './checks.js';

export interface NormaliseConfig {
  name?: string;
  /** One number a channel. */
  mean: readonly number[];
  std: readonly number[];
}

/** y = (x - mean) / std per channel with constants, the input of standard networks. [N,H,W,C] -> the same. */
export class Normalise extends tf.layers.Layer {
  static readonly className = 'Normalise';
  readonly mean: readonly number[];
  readonly std: readonly number[];

  constructor(config: NormaliseConfig) {
    super(config as unknown as ConstructorParameters<typeof tf.layers.Layer>[0]);
    this.mean = [...config.mean];
    this.std = [...config.std];
    if (this.std.length !== this.mean.length || this.std.includes(0))
      throw configError(this.name, 'std', 'as many numbers as mean has, none of them zero', config.std);
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    return tf.tidy(() =>
      tf.div(tf.sub(singleInput(inputs), tf.tensor1d([...this.mean])), tf.tensor1d([...this.std])),
    );
  }

  override computeOutputShape(inputShape: tf.Shape | tf.Shape[]): tf.Shape {
    return singleShape(inputShape);
  }

  override getConfig(): tf.serialization.ConfigDict {
    return { ...super.getConfig(), mean: [...this.mean], std: [...this.std] };
  }
}
tf.serialization.registerClass(Normalise);
