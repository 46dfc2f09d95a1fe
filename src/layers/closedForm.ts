import * as tf from '@tensorflow/tfjs';

/** Result of a forward pass and the tensors that its backward pass reads. */
export interface ClosedFormValue {
  readonly value: tf.Tensor;
  readonly saved: readonly tf.Tensor[];
}

/**
 * One node of the tape with a gradient given in closed form. `forward` computes the value outside the tape; `backward`
 * maps the gradient of the value and the saved tensors to one gradient an input. A backward pass must read tensors
 * from `saved` only: others may be disposed by then. Tensors that are not among `inputs` get no gradient.
 */
export function closedForm(
  inputs: readonly tf.Tensor[],
  forward: () => ClosedFormValue,
  backward: (dy: tf.Tensor, saved: tf.Tensor[]) => tf.Tensor[],
): tf.Tensor {
  return tf.customGrad((...args) => {
    const save = args[inputs.length] as tf.GradSaveFunc;
    const { value, saved } = forward();
    save([...saved]);
    return { value, gradFunc: (dy: tf.Tensor, kept: tf.Tensor[]) => backward(dy, kept) };
  })(...inputs);
}
