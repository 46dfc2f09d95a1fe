import * as tf from '@tensorflow/tfjs';
import { channelsOf, singleInput, singleShape } from './checks.js';

/** The first token, where a ViT has a class token: [N,T,C] -> [N,C]. */
export class FirstToken extends tf.layers.Layer {
  static readonly className = 'FirstToken';

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    return tf.tidy(() => {
      const x = singleInput(inputs);
      const [n, , c] = x.shape;
      return tf.reshape(tf.slice(x, [0, 0, 0], [n, 1, c as number]), [n, c as number]);
    });
  }

  override computeOutputShape(inputShape: tf.Shape | tf.Shape[]): tf.Shape {
    return [singleShape(inputShape)[0], channelsOf(this, inputShape, 3)];
  }
}
tf.serialization.registerClass(FirstToken);
