/**
 * Average pooling with numeric padding: y = boxsum(x) / area. Linear, so forward and backward are one (transposed) box
 * sum and one product each. With `countIncludePad` (PyTorch's default, used by every B-cos net) the area is the
 * kernel's; without, the number of places inside the image.
 */
import * as tf from '@tensorflow/tfjs';
import { type PoolConfig, sumPool2d, sumPool2dGrad } from '../engine/ops.js';
import { channelsOf, type Pair, singleInput, singleShape, wholePair } from './checks.js';
import { closedForm } from './closedForm.js';
import { windowLength } from './windowLength.js';

export interface AvgPool2dConfig {
  name?: string;
  kernel: Pair;
  /** Default: the kernel. */
  stride?: Pair;
  /** Zeros on both sides. Default 0. */
  padding?: Pair;
  /** Default true. */
  countIncludePad?: boolean;
}

/** See the top of the file. [N,H,W,C] -> [N,H',W',C]. */
export class AvgPool2d extends tf.layers.Layer {
  static readonly className = 'AvgPool2d';
  readonly pool: PoolConfig;
  readonly countIncludePad: boolean;

  constructor(config: AvgPool2dConfig) {
    super(config as ConstructorParameters<typeof tf.layers.Layer>[0]);
    this.pool = {
      kernel: wholePair(this.name, 'kernel', config.kernel, 1),
      stride: wholePair(this.name, 'stride', config.stride ?? config.kernel, 1),
      padding: wholePair(this.name, 'padding', config.padding ?? 0, 0),
      dilation: [1, 1],
    };
    this.countIncludePad = config.countIncludePad ?? true;
  }

  /** 1 / number of places averaged over: one number, or a map [1,H',W',1]. */
  private inverseArea(height: number, width: number): tf.Tensor {
    const area = this.pool.kernel[0] * this.pool.kernel[1];
    return this.countIncludePad
      ? tf.scalar(1 / area)
      : tf.div(1, sumPool2d(tf.ones([1, height, width, 1]), this.pool));
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    return tf.tidy(() => {
      const x = singleInput(inputs) as tf.Tensor4D;
      const shape = x.shape;
      return closedForm(
        [x],
        () => {
          const inverse = this.inverseArea(shape[1], shape[2]);
          return { value: tf.mul(sumPool2d(x, this.pool), inverse), saved: [inverse] };
        },
        (dy, [inverse]) => [sumPool2dGrad(tf.mul(dy, inverse), shape, this.pool)],
      );
    });
  }

  override computeOutputShape(inputShape: tf.Shape | tf.Shape[]): tf.Shape {
    const [batch, height, width] = singleShape(inputShape);
    const { kernel, stride, padding } = this.pool;
    return [
      batch,
      windowLength(height, kernel[0], stride[0], padding[0]),
      windowLength(width, kernel[1], stride[1], padding[1]),
      channelsOf(this, inputShape, 4),
    ];
  }

  override getConfig(): tf.serialization.ConfigDict {
    return {
      ...super.getConfig(),
      kernel: [...this.pool.kernel],
      stride: [...this.pool.stride],
      padding: [...this.pool.padding],
      countIncludePad: this.countIncludePad,
    };
  }
}
tf.serialization.registerClass(AvgPool2d);
