/** Einstein sums of one or two tensors, as one (batched) matrix product; tfjs's wasm backend has none. */
import * as tf from '@tensorflow/tfjs';

function dimensionsOf(
  letters: string,
  tensor: tf.Tensor,
  sizes: Map<string, number>,
  equation: string,
): void {
  if (letters.length !== tensor.rank || new Set(letters).size !== letters.length)
    throw new Error(
      `einsum "${equation}": "${letters}" does not name the axes of a tensor of shape ${tensor.shape}`,
    );
  for (const [i, letter] of [...letters].entries()) {
    const size = sizes.get(letter) ?? tensor.shape[i];
    if (size !== tensor.shape[i])
      throw new Error(`einsum "${equation}": axis ${letter} has sizes ${size} and ${tensor.shape[i]}`);
    sizes.set(letter, size);
  }
}

/** Sums away the axes that appear nowhere else; returns the letters that stay. */
function sumUnused(tensor: tf.Tensor, letters: string, used: string): [tf.Tensor, string] {
  const axes = [...letters].flatMap((letter, i) => (used.includes(letter) ? [] : [i]));
  if (axes.length === 0) return [tensor, letters];
  return [tf.sum(tensor, axes), [...letters].filter((letter) => used.includes(letter)).join('')];
}

function arrange(tensor: tf.Tensor, letters: string, order: string): tf.Tensor {
  return tf.transpose(
    tensor,
    [...order].map((letter) => letters.indexOf(letter)),
  );
}

/** Runs in the caller's tidy. Throws where the equation does not fit the tensors. */
export function einsum(tensors: readonly tf.Tensor[], equation: string): tf.Tensor {
  const [left, out = ''] = equation.replaceAll(' ', '').split('->');
  const terms = left.split(',');
  if (terms.length !== tensors.length || tensors.length > 2)
    throw new Error(`einsum "${equation}": ${tensors.length} tensors; the wasm engine takes one or two`);
  const sizes = new Map<string, number>();
  for (const [i, term] of terms.entries()) dimensionsOf(term, tensors[i], sizes, equation);
  if ([...out].some((letter) => !sizes.has(letter)) || new Set(out).size !== out.length)
    throw new Error(`einsum "${equation}": the result names an axis twice or one that no tensor has`);
  const [a, inA] = sumUnused(tensors[0], terms[0], out + (terms[1] ?? ''));
  if (terms.length === 1) return arrange(a, inA, out);
  const [b, inB] = sumUnused(tensors[1], terms[1], out + terms[0]);
  const shared = [...inA].filter((letter) => inB.includes(letter));
  const batch = shared.filter((letter) => out.includes(letter)).join('');
  const summed = shared.filter((letter) => !out.includes(letter)).join('');
  const onlyA = [...inA].filter((letter) => !shared.includes(letter)).join('');
  const onlyB = [...inB].filter((letter) => !shared.includes(letter)).join('');
  const count = (letters: string) => [...letters].reduce((p, letter) => p * (sizes.get(letter) ?? 1), 1);
  const product = tf.matMul(
    tf.reshape(arrange(a, inA, batch + onlyA + summed), [count(batch), count(onlyA), count(summed)]),
    tf.reshape(arrange(b, inB, batch + summed + onlyB), [count(batch), count(summed), count(onlyB)]),
  );
  const order = batch + onlyA + onlyB;
  const full = tf.reshape(
    product,
    [...order].map((letter) => sizes.get(letter) ?? 1),
  );
  return arrange(full, order, out);
}
