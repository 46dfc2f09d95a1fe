import type * as tf from '@tensorflow/tfjs';

/**
 * Arguments that a model passes on to every layer: `model.apply(x, {training, explain})`.
 */
export interface CallArgs {
  /** Batch statistics instead of running ones, running ones updated, stochastic depth on. Default false. */
  readonly training?: boolean;
  /**
   * Explanation mode: dynamic scales are constants of the backward pass, so that the gradient of an output is the
   * linear map that made it. Never changes an output. Parameters get no gradient in this mode. Default false.
   */
  readonly explain?: boolean;
  /** Random numbers in [0, 1), one a sample, for each stochastic-depth layer by name; needed when training with it. */
  readonly uniform?: Readonly<Record<string, tf.Tensor1D>>;
}
