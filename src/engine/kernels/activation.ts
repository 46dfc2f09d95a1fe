import * as tf from '@tensorflow/tfjs';

/** The activation of tfjs's fused operations. */
export interface ActivationAttrs {
  readonly activation: string;
  readonly leakyreluAlpha?: number;
}

/**
 * Activation after a product or convolution, as tfjs's fused operations name it; `slope` is that of prelu. Runs in the
 * caller's tidy. Throws Error for an activation that tfjs does not have.
 */
export function activate(x: tf.Tensor, slope: tf.Tensor | undefined, attrs: ActivationAttrs): tf.Tensor {
  switch (attrs.activation) {
    case 'linear':
      return x;
    case 'relu':
      return tf.relu(x);
    case 'relu6':
      return tf.relu6(x);
    case 'elu':
      return tf.elu(x);
    case 'sigmoid':
      return tf.sigmoid(x);
    case 'leakyrelu':
      return tf.leakyRelu(x, attrs.leakyreluAlpha);
    case 'prelu':
      if (slope !== undefined) return tf.prelu(x, slope);
  }
  throw new Error(`Activation ${attrs.activation} is not known to this engine`);
}
