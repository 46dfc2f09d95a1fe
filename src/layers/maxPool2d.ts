import * as tf from '@tensorflow/tfjs';
import { channelsOf, type Pair, singleInput, singleShape, wholePair } from './checks.js';
import { windowLength } from './windowLength.js';

export interface MaxPool2dConfig {
  name?: string;
  kernel: Pair;
  /** Default: the kernel. */
  stride?: Pair;
  /** Never wins the maximum. Default 0. */
  padding?: Pair;
}

/**
 * Max pooling with numeric padding, for standard networks. [N,H,W,C] -> [N,H',W',C]. The gradient goes to the first
 * largest value of each window.
 */
export class MaxPool2d extends tf.layers.Layer {
  static readonly className = 'MaxPool2d';
  readonly kernel: readonly [number, number];
  readonly stride: readonly [number, number];
  readonly padding: readonly [number, number];

  constructor(config: MaxPool2dConfig) {
    super(config as ConstructorParameters<typeof tf.layers.Layer>[0]);
    this.kernel = wholePair(this.name, 'kernel', config.kernel, 1);
    this.stride = wholePair(this.name, 'stride', config.stride ?? config.kernel, 1);
    this.padding = wholePair(this.name, 'padding', config.padding ?? 0, 0);
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    return tf.tidy(() => {
      const x = singleInput(inputs) as tf.Tensor4D;
      const [high, wide] = this.padding;
      const around: tf.backend_util.ExplicitPadding = [
        [0, 0],
        [high, high],
        [wide, wide],
        [0, 0],
      ];
      return tf.maxPool(x, [...this.kernel], [...this.stride], around, 'floor');
    });
  }

  override computeOutputShape(inputShape: tf.Shape | tf.Shape[]): tf.Shape {
    const [batch, height, width] = singleShape(inputShape);
    const along = (size: number | null, axis: 0 | 1): number | null =>
      windowLength(size, this.kernel[axis], this.stride[axis], this.padding[axis]);
    return [batch, along(height, 0), along(width, 1), channelsOf(this, inputShape, 4)];
  }

  override getConfig(): tf.serialization.ConfigDict {
    return {
      ...super.getConfig(),
      kernel: [...this.kernel],
      stride: [...this.stride],
      padding: [...this.padding],
    };
  }
}
tf.serialization.registerClass(MaxPool2d);
