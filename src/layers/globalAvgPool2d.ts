import * as tf from '@tensorflow/tfjs';
import { channelsOf, singleInput, singleShape } from './checks.js';

/** Mean over height and width: [N,H,W,C] -> [N,C]. */
export class GlobalAvgPool2d extends tf.layers.Layer {
  static readonly className = 'GlobalAvgPool2d';

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    return tf.tidy(() => tf.mean(singleInput(inputs), [1, 2]));
  }

  override computeOutputShape(inputShape: tf.Shape | tf.Shape[]): tf.Shape {
    return [singleShape(inputShape)[0], channelsOf(this, inputShape, 4)];
  }
}
tf.serialization.registerClass(GlobalAvgPool2d);
