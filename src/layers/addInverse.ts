import * as tf from '@tensorflow/tfjs';
import { channelsOf, singleInput, singleShape } from './checks.js';

/** Appends 1 - x along the last axis: [..., C] -> [..., 2C], so that bright and dark both have non-zero input. */
export class AddInverse extends tf.layers.Layer {
  static readonly className = 'AddInverse';

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    return tf.tidy(() => {
      const x = singleInput(inputs);
      return tf.concat([x, tf.sub(1, x)], x.rank - 1);
    });
  }

  override computeOutputShape(inputShape: tf.Shape | tf.Shape[]): tf.Shape {
    return [...singleShape(inputShape).slice(0, -1), 2 * channelsOf(this, inputShape)];
  }
}
tf.serialization.registerClass(AddInverse);
