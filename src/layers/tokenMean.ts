import * as tf from '@tensorflow/tfjs';
import { channelsOf, singleInput, singleShape } from './checks.js';

/** Mean over tokens: [N,T,C] -> [N,C]. */
export class TokenMean extends tf.layers.Layer {
  static readonly className = 'TokenMean';

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    return tf.tidy(() => tf.mean(singleInput(inputs), 1));
  }

  override computeOutputShape(inputShape: tf.Shape | tf.Shape[]): tf.Shape {
    return [singleShape(inputShape)[0], channelsOf(this, inputShape, 3)];
  }
}
tf.serialization.registerClass(TokenMean);
