import * as tf from '@tensorflow/tfjs';
import { conv2d, conv2dFilterGrad, conv2dInputGrad } from '../engine/ops.js';
import { channelsOf } from './checks.js';
import { closedForm } from './closedForm.js';
import { Conv2dBase, type Conv2dBaseConfig } from './conv2dBase.js';
import { initialBias } from './initialWeights.js';

export interface Conv2dConfig extends Conv2dBaseConfig {
  /** Default true. */
  bias?: boolean;
}

/** A plain convolution with optional bias, for standard networks. [N,H,W,C]. Linear: no explanation mode of its own. */
export class Conv2d extends Conv2dBase {
  static readonly className = 'Conv2d';
  readonly hasBias: boolean;
  private shift: tf.LayerVariable | null = null;

  constructor(config: Conv2dConfig) {
    super(config, 'weight');
    this.hasBias = config.bias ?? true;
  }

  override build(inputShape: tf.Shape | tf.Shape[]): void {
    super.build(inputShape);
    if (!this.hasBias) return;
    const shape = [...this.kernel, channelsOf(this, inputShape) / this.conv.groups, this.outChannels];
    const bias = initialBias(this.initial, shape, this.seed, this.name);
    this.shift = this.addWeight('bias', [this.outChannels], 'float32', bias);
  }

  protected compute(x: tf.Tensor4D, w: tf.Tensor4D): tf.Tensor {
    const inputShape = x.shape;
    const y = closedForm(
      [x, w],
      () => ({ value: conv2d(x, w, this.conv), saved: [x, w] }),
      (dy, [x, w]) => {
        const g = dy as tf.Tensor4D;
        const filters = w as tf.Tensor4D;
        return [
          conv2dInputGrad(g, filters, inputShape, this.conv),
          conv2dFilterGrad(x as tf.Tensor4D, g, filters.shape, this.conv),
        ];
      },
    );
    return this.shift === null ? y : tf.add(y, this.shift.read());
  }

  override getConfig(): tf.serialization.ConfigDict {
    return { ...super.getConfig(), bias: this.hasBias };
  }
}
tf.serialization.registerClass(Conv2d);
