/*
 * A part of a network between two taps, in explanation mode, where it is affine in its input once the input is given:
 *
 *     y = W(x) x + sum over constants of W_c(x) c
 *
 * The constants are what a part adds that no input explains: position codes, norm biases. They are arguments, so that
 * the backward pass books them as terms of their own instead of losing them.
 */
import * as tf from '@tensorflow/tfjs';

/** Something that a part adds, of the shape of one image's activations at its site (no batch axis). */
export interface PartConstant {
  readonly name: string;
  readonly value: tf.Tensor;
}

/** A part of a network: a pure function of tensors whose gradient is taken in explanation mode. */
export interface NetworkPart {
  readonly constants: readonly PartConstant[];
  /** x [N, ...]; each constant with a leading batch axis [N, ...]. Returns [N, ...]; caller disposes. */
  readonly run: (x: tf.Tensor, constants: readonly tf.Tensor[]) => tf.Tensor;
}

/** A part without constants. */
export function purePart(run: (x: tf.Tensor) => tf.Tensor): NetworkPart {
  return { constants: [], run };
}

/** One part after another as one part. */
export function chainParts(parts: readonly NetworkPart[]): NetworkPart {
  return {
    constants: parts.flatMap((part) => part.constants),
    run: (x, constants) => {
      let at = 0;
      return parts.reduce((y, part) => {
        const own = constants.slice(at, at + part.constants.length);
        at += part.constants.length;
        return part.run(y, own);
      }, x);
    },
  };
}

/** A part that adds a constant to its input: a position code. */
export function addPart(constant: PartConstant): NetworkPart {
  return { constants: [constant], run: (x, [code]) => tf.add(x, code) };
}

function repeated(part: NetworkPart, batch: number): tf.Tensor[] {
  return part.constants.map(({ value }) =>
    tf.tile(tf.expandDims(value, 0), [batch, ...value.shape.map(() => 1)]),
  );
}

/** Output of a part for x [N, ...]. Caller disposes. */
export function runPart(part: NetworkPart, x: tf.Tensor): tf.Tensor {
  return tf.tidy(() => part.run(x, repeated(part, x.shape[0])));
}

export type Pullback = {
  /** Output of the part. */
  readonly value: tf.Tensor;
  /** W(x)^T seed: the shape of x. */
  readonly gradient: tf.Tensor;
  /** <W_c(x)^T seed, c> for each constant and image: [N, constants]; a width of 0 becomes one column of zeros. */
  readonly constantTerms: tf.Tensor2D;
};

/** Runs a part and pulls `seed` (the shape of its output) back through it. Caller disposes all three. */
export function pullBack(part: NetworkPart, x: tf.Tensor, seed: tf.Tensor): Pullback {
  return tf.tidy(() => {
    const batch = x.shape[0];
    const constants = repeated(part, batch);
    const { value, grads } = tf.valueAndGrads((...inputs: tf.Tensor[]) =>
      part.run(inputs[0], inputs.slice(1)),
    )([x, ...constants], seed);
    const terms = constants.map((constant, i) =>
      tf.sum(tf.reshape(tf.mul(constant, grads[i + 1]), [batch, -1]), 1),
    );
    return {
      value,
      gradient: grads[0],
      constantTerms:
        terms.length === 0 ? tf.zeros<tf.Rank.R2>([batch, 1]) : (tf.stack(terms, 1) as tf.Tensor2D),
    };
  });
}
