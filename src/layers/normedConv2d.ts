import * as tf from '@tensorflow/tfjs';
import { bcosConv2d } from './bcosConv2d.js';
import { Conv2dBase, type Conv2dBaseConfig } from './conv2dBase.js';

/** Convolution with unit-norm filters, without bias: the linear response inside a B-cos convolution. [N,H,W,C]. */
export class NormedConv2d extends Conv2dBase {
  static readonly className = 'NormedConv2d';

  constructor(config: Conv2dBaseConfig) {
    super(config, 'weight');
  }

  protected compute(x: tf.Tensor4D, w: tf.Tensor4D): tf.Tensor {
    return bcosConv2d(x, w, { conv: this.conv, b: 1, maxOut: 1, divisor: 1 }, false);
  }
}
tf.serialization.registerClass(NormedConv2d);
