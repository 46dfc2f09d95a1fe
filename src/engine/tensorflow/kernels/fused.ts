/** Bias and activation after a product or convolution: tfjs's fused operations, composed. */
import * as tf from '@tensorflow/tfjs';
import { type ActivationAttrs, activate } from '../../kernels/activation.js';
import type { TensorflowBackend } from '../backend.js';
import { asTensor, type Info, type Inputs } from './kernel.js';

/** `y` plus inputs.bias, activated; takes over `y`. */
export function activated(backend: TensorflowBackend, y: Info, inputs: Inputs, attrs: ActivationAttrs): Info {
  const { bias, preluActivationWeights } = inputs as Record<string, tf.Tensor | undefined>;
  return tf.tidy(() => {
    const made = asTensor(y, backend);
    return activate(bias === undefined ? made : tf.add(made, bias), preluActivationWeights, attrs);
  });
}
