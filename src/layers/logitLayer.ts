import * as tf from '@tensorflow/tfjs';
import { configError, finiteNumber, singleInput, singleShape } from './checks.js';

export interface LogitLayerConfig {
  name?: string;
  /** T of y = x / T + bias; null: none. */
  temperature?: number | null;
  /** A constant, not a weight; null: none. */
  bias?: number | null;
}

/** y = x / temperature + bias, any shape. */
export class LogitLayer extends tf.layers.Layer {
  static readonly className = 'LogitLayer';
  readonly temperature: number | null;
  readonly bias: number | null;

  constructor(config: LogitLayerConfig) {
    super(config as ConstructorParameters<typeof tf.layers.Layer>[0]);
    const { temperature = null, bias = null } = config;
    this.temperature = temperature === null ? null : finiteNumber(this.name, 'temperature', temperature);
    if (this.temperature === 0) throw configError(this.name, 'temperature', 'not zero', temperature);
    this.bias = bias === null ? null : finiteNumber(this.name, 'bias', bias);
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    return tf.tidy(() => {
      const x = singleInput(inputs);
      const y = this.temperature === null ? x : tf.div(x, this.temperature);
      return this.bias === null ? y : tf.add(y, this.bias);
    });
  }

  override computeOutputShape(inputShape: tf.Shape | tf.Shape[]): tf.Shape {
    return singleShape(inputShape);
  }

  override getConfig(): tf.serialization.ConfigDict {
    return { ...super.getConfig(), temperature: this.temperature, bias: this.bias };
  }
}
tf.serialization.registerClass(LogitLayer);
