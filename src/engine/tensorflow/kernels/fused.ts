/** Bias and activation after a product or convolution: tfjs's fused operations, composed. */
import * as tf from '@tensorflow/tfjs';
import type { TensorflowBackend } from '../backend.js';
import { asTensor, type Info, type Inputs } from './kernel.js';

export interface FusedAttrs {
  readonly activation: string;
  readonly leakyreluAlpha?: number;
}

function activate(x: tf.Tensor, slope: tf.Tensor | undefined, attrs: FusedAttrs): tf.Tensor {
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

/** `y` plus inputs.bias, activated; takes over `y`. */
export function activated(backend: TensorflowBackend, y: Info, inputs: Inputs, attrs: FusedAttrs): Info {
  const { bias, preluActivationWeights } = inputs as Record<string, tf.Tensor | undefined>;
  return tf.tidy(() => {
    const made = asTensor(y, backend);
    return activate(bias === undefined ? made : tf.add(made, bias), preluActivationWeights, attrs);
  });
}
