import * as tf from '@tensorflow/tfjs';
import { FactError } from '../core/errors.js';
import type { CallArgs } from './callArgs.js';
import { channelsOf, configError, finiteNumber, singleInput, singleShape } from './checks.js';
import { type NormView, normalise, normaliseBy } from './normMath.js';
import type { StateRule } from './stateRule.js';

export interface NormConfig {
  name?: string;
  trainable?: boolean;
  /** Added to the variance inside the root; default 1e-5. */
  epsilon?: number;
  /** Weight (and bias) at all; default true. False is the reference's `Unaffine`. */
  affine?: boolean;
  /** Bias; default true. False is the reference's `NoBias`. */
  bias?: boolean;
}

export interface RunningNormConfig extends NormConfig {
  /** Share of the new statistics in the running ones; null: cumulative average. Default 0.1. */
  momentum?: number | null;
  /** Default true. False: batch statistics in evaluation too, no buffers. */
  trackRunningStats?: boolean;
}

/** Parameters of any norm: `weight` (ones) and `bias` (zeros), each absent where the config says so. */
export abstract class Norm extends tf.layers.Layer {
  readonly epsilon: number;
  readonly hasWeight: boolean;
  readonly hasBias: boolean;
  protected scale: tf.LayerVariable | null = null;
  protected shift: tf.LayerVariable | null = null;

  constructor(config: NormConfig) {
    super(config as ConstructorParameters<typeof tf.layers.Layer>[0]);
    this.epsilon = finiteNumber(this.name, 'epsilon', config.epsilon ?? 1e-5, 0);
    this.hasWeight = config.affine ?? true;
    this.hasBias = this.hasWeight && (config.bias ?? true);
  }

  /** Number of values in weight and bias for an input of so many channels. */
  protected parameterCount(channels: number): number {
    return channels;
  }

  override build(inputShape: tf.Shape | tf.Shape[]): void {
    const count = this.parameterCount(channelsOf(this, inputShape));
    if (this.hasWeight) this.scale = this.addWeight('weight', [count], 'float32', tf.initializers.ones());
    if (this.hasBias) this.shift = this.addWeight('bias', [count], 'float32', tf.initializers.zeros());
    super.build(inputShape);
  }

  override computeOutputShape(inputShape: tf.Shape | tf.Shape[]): tf.Shape {
    return singleShape(inputShape);
  }

  override getConfig(): tf.serialization.ConfigDict {
    return { ...super.getConfig(), epsilon: this.epsilon, affine: this.hasWeight, bias: this.hasBias };
  }
}

/** A norm by statistics of each sample. */
export abstract class SampleNorm extends Norm {
  protected abstract readonly centered: boolean;

  /** How the statistics lie in an input of this shape. */
  protected abstract viewOf(shape: readonly number[]): NormView;

  override call(inputs: tf.Tensor | tf.Tensor[], args: CallArgs): tf.Tensor {
    return tf.tidy(() => {
      const x = singleInput(inputs);
      const settings = {
        view: this.viewOf(x.shape),
        weight: this.scale?.read() ?? null,
        bias: this.shift?.read() ?? null,
        epsilon: this.epsilon,
        centered: this.centered,
        explain: args?.explain === true,
      };
      return normalise(x, settings, false).y;
    });
  }
}

/** A norm by statistics of the batch when training and by running ones otherwise. Input [N,H,W,C]. */
export abstract class RunningNorm extends Norm {
  readonly stateRules: Readonly<Record<string, StateRule>> = { num_batches_tracked: 'counter' };
  readonly momentum: number | null;
  readonly tracksRunningStats: boolean;
  protected abstract readonly centered: boolean;
  private mean: tf.LayerVariable | null = null;
  private variance: tf.LayerVariable | null = null;
  private counter: tf.LayerVariable | null = null;

  constructor(config: RunningNormConfig) {
    super(config);
    const momentum = config.momentum === undefined ? 0.1 : config.momentum;
    this.momentum = momentum === null ? null : finiteNumber(this.name, 'momentum', momentum, 0);
    if (this.momentum !== null && this.momentum > 1)
      throw configError(this.name, 'momentum', 'between 0 and 1, or null', momentum);
    this.tracksRunningStats = config.trackRunningStats ?? true;
  }

  /** How the statistics lie in an input of this shape. */
  protected abstract viewOf(shape: readonly number[]): NormView;

  override build(inputShape: tf.Shape | tf.Shape[]): void {
    super.build(inputShape);
    if (!this.tracksRunningStats) return;
    const shape = [this.parameterCount(channelsOf(this, inputShape, 4))];
    const buffer = (name: string, value: 'ones' | 'zeros'): tf.LayerVariable =>
      this.addWeight(name, shape, 'float32', tf.initializers[value](), undefined, false);
    this.mean = buffer('running_mean', 'zeros');
    this.variance = buffer('running_var', 'ones');
    this.counter = this.addWeight(
      'num_batches_tracked',
      [],
      'int32',
      tf.initializers.zeros(),
      undefined,
      false,
    );
  }

  /** running <- (1 - f) running + f batch; f = momentum, or 1 / (batches so far, this one included). */
  private track(mean: tf.Tensor, variance: tf.Tensor, count: number): void {
    tf.tidy(() => {
      const counted = this.counter?.write(tf.add(this.counter.read(), tf.scalar(1, 'int32')));
      const factor =
        this.momentum === null
          ? tf.div(1, tf.cast(counted?.read() ?? tf.scalar(1), 'float32'))
          : tf.scalar(this.momentum);
      const average = (old: tf.LayerVariable | null, batch: tf.Tensor): void => {
        if (old === null) return;
        const value = tf.reshape(batch, old.read().shape);
        old.write(tf.add(tf.mul(old.read(), tf.sub(1, factor)), tf.mul(value, factor)));
      };
      // The reference's uncentered norms keep the biased variance and never write the mean.
      if (this.centered) average(this.mean, mean);
      average(this.variance, this.centered ? tf.mul(variance, count / Math.max(1, count - 1)) : variance);
    });
  }

  override call(inputs: tf.Tensor | tf.Tensor[], args: CallArgs): tf.Tensor {
    const training = args?.training === true;
    const explain = args?.explain === true;
    if (this.centered && training && explain) {
      throw new FactError({
        code: 'E_EXPLAIN_TRAIN',
        message: `${this.name}: a centered batch norm has no explanation mode while training`,
        remedy: 'Explain in evaluation mode, or build the network with uncentered norms (bnu, anu).',
      });
    }
    return tf.tidy(() => {
      const x = singleInput(inputs);
      const weight = this.scale?.read() ?? null;
      const bias = this.shift?.read() ?? null;
      if (!training && this.variance !== null) {
        const mean = this.centered && this.mean !== null ? this.mean.read() : null;
        return normaliseBy(x, mean, this.variance.read(), weight, bias, this.epsilon);
      }
      const view = this.viewOf(x.shape);
      const settings = {
        view,
        weight,
        bias,
        epsilon: this.epsilon,
        centered: this.centered,
        // Centered batch norms hold nothing constant, as in the reference.
        explain: explain && !this.centered,
      };
      const { y, statistics } = normalise(x, settings, training && this.tracksRunningStats);
      if (statistics !== null) {
        const count = view.axes.reduce((p, i) => p * view.view[i], 1);
        this.track(statistics.mean, statistics.variance, count);
        statistics.mean.dispose();
        statistics.variance.dispose();
      }
      return y;
    });
  }

  override getConfig(): tf.serialization.ConfigDict {
    return {
      ...super.getConfig(),
      momentum: this.momentum,
      trackRunningStats: this.tracksRunningStats,
    };
  }
}

/** Statistics of each channel over batch, height and width. */
export function perChannel(shape: readonly number[]): NormView {
  return { view: shape, axes: [0, 1, 2], parameters: [1, 1, 1, shape[3]] };
}

/** One statistic over everything. */
export function overAll(shape: readonly number[]): NormView {
  return { view: shape, axes: [0, 1, 2, 3], parameters: [1, 1, 1, 1] };
}

/** Statistics of each sample over height, width and the channels of a group; [N,H,W,C]. */
export function perGroup(shape: readonly number[], groups: number): NormView {
  const [n, h, w, c] = shape;
  const size = c / groups;
  return { view: [n, h, w, groups, size], axes: [1, 2, 4], parameters: [1, 1, 1, groups, size] };
}

/** Statistics over the last axis at each position. */
export function perPosition(shape: readonly number[]): NormView {
  const last = shape.length - 1;
  return { view: shape, axes: [last], parameters: shape.map((d, i) => (i === last ? d : 1)) };
}
