/**
 * What B-cosification changes while it trains: the B of layers that keep it as a buffer, and how much is left of the
 * biases. With u = updates done and N = the epochs asked for, in updates:
 *
 *     B(u) = from + (to - from) min(1, u/N)                    the same for every layer
 *     f(u) = max(0, 1 - u/N),  bias <- bias f(u+1)/f(u)        after each update; from N on they are and stay 0
 *
 * Both are functions of the number of updates, and what they act on lies in the checkpoint, so a resumed run goes on bit
 * for bit.
 */
import * as tf from '@tensorflow/tfjs';
import { configError } from './config/errors.js';
import type { TrainConfig } from './config/schema.js';
import type { NamedWeight } from './weights.js';

type BcosConfig = TrainConfig['bcos'];

/** B for the update number `update` (from 0). */
export function exponentAt(
  config: NonNullable<BcosConfig['b']>,
  updatesPerEpoch: number,
  update: number,
): number {
  const updates = config.epochs * updatesPerEpoch;
  const share = updates > 0 ? Math.min(1, update / updates) : 1;
  return config.from + (config.to - config.from) * share;
}

/** What the biases are multiplied by after the update number `update` (from 0). */
export function biasFactorAt(
  config: NonNullable<BcosConfig['biasDecay']>,
  updatesPerEpoch: number,
  update: number,
): number {
  const updates = config.epochs * updatesPerEpoch;
  const left = (done: number): number => (updates > 0 ? Math.max(0, 1 - done / updates) : 0);
  return left(update) > 0 ? left(update + 1) / left(update) : 0;
}

/** Sets B before each update and shrinks biases after it; does nothing where the recipe asks for neither. */
export class BcosSchedule {
  private readonly exponents: readonly tf.Variable[];
  private readonly biases: readonly tf.Variable[];

  /** Throws FactError E_CONFIG where the network has nothing that the recipe's `bcos` could act on. */
  constructor(
    weights: readonly NamedWeight[],
    private readonly config: BcosConfig,
    private readonly updatesPerEpoch: number,
    hasAverage: boolean,
  ) {
    if (config.b !== null && hasAverage)
      throw configError(
        'ema',
        'an average over networks of different B is a network of neither',
        'Leave ema out while bcos.b rises; use it in a run that goes on with B as it is.',
      );
    const named = (parameter: RegExp): tf.Variable[] =>
      weights.filter(({ name }) => parameter.test(name)).map(({ variable }) => variable);
    this.exponents = config.b === null ? [] : named(/\.b$/);
    this.biases = config.biasDecay === null ? [] : named(/\.bias$/);
    if (config.b !== null && this.exponents.length === 0)
      throw configError(
        'bcos.b',
        'no layer of this network keeps its B as a buffer',
        'Use a bcosified_* architecture, or leave bcos.b out and set model.options.b.',
      );
    if (config.biasDecay !== null && this.biases.length === 0)
      throw configError('bcos.biasDecay', 'this network has no biases', 'Leave it out.');
  }

  /** Before the update number `update`, and after the last one for what follows: sets B. */
  prepare(update: number): void {
    const { b } = this.config;
    if (b === null) return;
    const value = tf.scalar(exponentAt(b, this.updatesPerEpoch, update));
    for (const exponent of this.exponents) exponent.assign(value);
    value.dispose();
  }

  /** After the update number `update`: shrinks the biases, sets the next B. */
  finish(update: number): void {
    const { biasDecay } = this.config;
    if (biasDecay !== null) {
      const factor = biasFactorAt(biasDecay, this.updatesPerEpoch, update);
      for (const bias of this.biases) {
        // Not times 0: that would keep the sign of zeros, and what is not finite.
        const next = tf.tidy(() => (factor === 0 ? tf.zerosLike<tf.Tensor>(bias) : tf.mul(bias, factor)));
        bias.assign(next);
        next.dispose();
      }
    }
    this.prepare(update + 1);
  }
}
