/*
 * A part of a network between two taps, in explanation mode, where it is affine in its input once the input is given:
 *
 *     y = W(x) x + sum over constants of W_c(x) c
 *
 * Constants are what a part adds that no input explains: norm biases, running means, position codes. Each is multiplied
 * by a gain of 1 an image; the derivative with respect to the gain is then exactly its share <W_c^T seed, c>, so the
 * backward pass books it as a term of its own instead of losing it.
 */
import * as tf from '@tensorflow/tfjs';

/** A part of a network: a pure function of tensors whose gradient is taken in explanation mode. */
export interface NetworkPart {
  /** Names of what the part adds, in the order of `gains`. */
  readonly constants: readonly string[];
  /** x [N, ...], one gain [N] for each constant -> [N, ...]. Caller disposes. */
  readonly run: (x: tf.Tensor, gains: readonly tf.Tensor1D[]) => tf.Tensor;
}

/** A part that adds nothing. */
export function purePart(run: (x: tf.Tensor) => tf.Tensor): NetworkPart {
  return { constants: [], run };
}

/** y + (gain - 1) * constant: changes no value at gain 1, and gives the gain its derivative. */
export function withGain(y: tf.Tensor, constant: tf.Tensor, gain: tf.Tensor1D): tf.Tensor {
  const factor = tf.reshape(tf.sub(gain, 1), [gain.shape[0], ...new Array<number>(y.rank - 1).fill(1)]);
  return tf.add(y, tf.mul(factor, constant));
}

/** A part that adds a constant (the shape of one image's activations) to its input: a position code. */
export function addPart(name: string, constant: tf.Tensor): NetworkPart {
  return { constants: [name], run: (x, [gain]) => withGain(tf.add(x, constant), constant, gain) };
}

/** One part after another as one part. */
export function chainParts(parts: readonly NetworkPart[]): NetworkPart {
  return {
    constants: parts.flatMap((part) => part.constants),
    run: (x, gains) => {
      let at = 0;
      return parts.reduce((y, part) => {
        const own = gains.slice(at, at + part.constants.length);
        at += part.constants.length;
        return part.run(y, own);
      }, x);
    },
  };
}

function unitGains(part: NetworkPart, batch: number): tf.Tensor1D[] {
  return part.constants.map(() => tf.ones<tf.Rank.R1>([batch]));
}

/** Output of a part for x [N, ...]. Caller disposes. */
export function runPart(part: NetworkPart, x: tf.Tensor): tf.Tensor {
  return tf.tidy(() => part.run(x, unitGains(part, x.shape[0])));
}

export type Pullback = {
  /** Output of the part. */
  readonly value: tf.Tensor;
  /** W(x)^T seed: the shape of x. */
  readonly gradient: tf.Tensor;
  /** <W_c(x)^T seed, c> for each image and constant: [N, constants]; one column of zeros where there is none. */
  readonly constantTerms: tf.Tensor2D;
};

/** Runs a part and pulls `seed` (the shape of its output) back through it. Caller disposes all three. */
export function pullBack(part: NetworkPart, x: tf.Tensor, seed: tf.Tensor): Pullback {
  return tf.tidy(() => {
    const batch = x.shape[0];
    const { value, grads } = tf.valueAndGrads((...inputs: tf.Tensor[]) =>
      part.run(inputs[0], inputs.slice(1) as tf.Tensor1D[]),
    )([x, ...unitGains(part, batch)], seed);
    const terms = grads.slice(1);
    return {
      value,
      gradient: grads[0],
      constantTerms:
        terms.length === 0 ? tf.zeros<tf.Rank.R2>([batch, 1]) : (tf.stack(terms, 1) as tf.Tensor2D),
    };
  });
}
