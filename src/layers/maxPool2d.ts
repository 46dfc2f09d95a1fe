/**
 * Max pooling as MaxOut over shifted copies: a depthwise convolution with one-hot filters lays the k places of each
 * window side by side, the first largest is chosen, and the gradient goes back to it (added where windows overlap).
 * The engines' own max pooling is not used: its gradient is missing on some and wrong on others.
 */
import * as tf from '@tensorflow/tfjs';
import { type ConvConfig, conv2d, conv2dInputGrad } from '../engine/ops.js';
import { chooseMaxOut, spreadMaxOut } from './bcosScale.js';
import { channelsOf, type Pair, singleInput, singleShape, wholePair } from './checks.js';
import { closedForm } from './closedForm.js';
import { windowLength } from './windowLength.js';

/** Stands for minus infinity, which would make NaN where it meets a zero of a filter. */
const LOWEST = -3e38;

/** Filters [kh,kw,1,channels*kh*kw]: the copy `c*k + i` of a channel is its value at place i of the window. */
function unfoldFilters(kernel: readonly [number, number], channels: number): tf.Tensor4D {
  const places = kernel[0] * kernel[1];
  const eye = tf.tile(tf.eye(places), [1, channels]);
  return tf.reshape(eye, [kernel[0], kernel[1], 1, channels * places]);
}

export interface MaxPool2dConfig {
  name?: string;
  kernel: Pair;
  /** Default: the kernel. */
  stride?: Pair;
  /** Never wins the maximum. Default 0. */
  padding?: Pair;
}

/** Max pooling with numeric padding, for standard networks. [N,H,W,C] -> [N,H',W',C]. */
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
      const around: [number, number][] = [
        [0, 0],
        [high, high],
        [wide, wide],
        [0, 0],
      ];
      const padded = high + wide === 0 ? x : tf.pad(x, around, LOWEST);
      const shape = padded.shape;
      const places = this.kernel[0] * this.kernel[1];
      const unfold: ConvConfig = {
        stride: this.stride,
        padding: [0, 0],
        dilation: [1, 1],
        groups: shape[3],
      };
      return closedForm(
        [padded],
        () => {
          const copies = conv2d(padded, unfoldFilters(this.kernel, shape[3]), unfold);
          const { best, index } = chooseMaxOut(copies, places);
          return { value: best, saved: [index] };
        },
        (dy, [index]) => {
          const spread = spreadMaxOut(dy, index, places) as tf.Tensor4D;
          return [conv2dInputGrad(spread, unfoldFilters(this.kernel, shape[3]), shape, unfold)];
        },
      );
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
