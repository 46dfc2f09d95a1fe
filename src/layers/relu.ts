import * as tf from '@tensorflow/tfjs';
import { singleInput, singleShape } from './checks.js';

/** y = max(x, 0), of standard networks; gradient 0 at 0. Any shape. */
export class Relu extends tf.layers.Layer {
  static readonly className = 'Relu';

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    return tf.tidy(() => tf.relu(singleInput(inputs)));
  }

  override computeOutputShape(inputShape: tf.Shape | tf.Shape[]): tf.Shape {
    return singleShape(inputShape);
  }
}
tf.serialization.registerClass(Relu);
