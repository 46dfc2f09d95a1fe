import * as tf from '@tensorflow/tfjs';
import { singleInput, singleShape } from './checks.js';
import { closedForm } from './closedForm.js';

/**
 * Exact GELU of the standard ViTs: y = x F(x), F the normal distribution function (erf form);
 * dy/dx = F(x) + x f(x), f its density. Any shape.
 */
export class Gelu extends tf.layers.Layer {
  static readonly className = 'Gelu';

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    return tf.tidy(() => {
      const x = singleInput(inputs);
      return closedForm(
        [x],
        () => {
          const share = tf.mul(tf.add(tf.erf(tf.mul(x, Math.SQRT1_2)), 1), 0.5);
          return { value: tf.mul(x, share), saved: [x, share] };
        },
        (dy, [x, share]) => {
          const density = tf.mul(tf.exp(tf.mul(tf.square(x), -0.5)), 1 / Math.sqrt(2 * Math.PI));
          return [tf.mul(dy, tf.add(share, tf.mul(x, density)))];
        },
      );
    });
  }

  override computeOutputShape(inputShape: tf.Shape | tf.Shape[]): tf.Shape {
    return singleShape(inputShape);
  }
}
tf.serialization.registerClass(Gelu);
