import * as tf from '@tensorflow/tfjs';
import type { ConvConfig } from '../engine/ops.js';
import type { CallArgs } from './callArgs.js';
import {
  channelsOf,
  configError,
  oneOf,
  type Pair,
  singleInput,
  singleShape,
  wholeNumber,
  wholePair,
} from './checks.js';
import { INITIAL_RULES, type InitialRule, initialWeights } from './initialWeights.js';
import type { StateRule } from './stateRule.js';
import { windowLength } from './windowLength.js';

export interface Conv2dBaseConfig {
  name?: string;
  trainable?: boolean;
  outChannels: number;
  /** Default 1. */
  kernel?: Pair;
  /** Default 1. */
  stride?: Pair;
  /** Zeros on both sides. Default 0. */
  padding?: Pair;
  /** Default 1. */
  dilation?: Pair;
  /** Default 1. */
  groups?: number;
  /** Rule of the initial weights, default `kaiming-fan-out`. */
  initial?: InitialRule;
  /** Of the initial weights, default 0. */
  seed?: number;
}

/** Arguments, the weight [kh,kw,in/groups,filters] and shapes of a convolution. [N,H,W,C]. */
export abstract class Conv2dBase extends tf.layers.Layer {
  readonly stateRules: Readonly<Record<string, StateRule>>;
  readonly outChannels: number;
  readonly kernel: readonly [number, number];
  readonly conv: ConvConfig;
  readonly initial: InitialRule;
  readonly seed: number;
  private filters: tf.LayerVariable | null = null;

  constructor(
    config: Conv2dBaseConfig,
    private readonly weightName: 'weight' | 'linear.weight',
  ) {
    super(config as unknown as ConstructorParameters<typeof tf.layers.Layer>[0]);
    this.stateRules = { [weightName]: 'conv' };
    const at = this.name;
    this.outChannels = wholeNumber(at, 'outChannels', config.outChannels, 1);
    this.kernel = wholePair(at, 'kernel', config.kernel ?? 1, 1);
    this.conv = {
      stride: wholePair(at, 'stride', config.stride ?? 1, 1),
      padding: wholePair(at, 'padding', config.padding ?? 0, 0),
      dilation: wholePair(at, 'dilation', config.dilation ?? 1, 1),
      groups: wholeNumber(at, 'groups', config.groups ?? 1, 1),
    };
    this.initial = oneOf(at, 'initial', config.initial ?? 'kaiming-fan-out', INITIAL_RULES);
    this.seed = wholeNumber(at, 'seed', config.seed ?? 0, 0);
    if (this.outChannels % this.conv.groups !== 0)
      throw configError(at, 'outChannels', `a multiple of groups (${this.conv.groups})`, this.outChannels);
  }

  protected abstract compute(x: tf.Tensor4D, w: tf.Tensor4D, explain: boolean): tf.Tensor;

  /** Filters of the weight; MaxOut has several an output. */
  protected filterCount(): number {
    return this.outChannels;
  }

  override build(inputShape: tf.Shape | tf.Shape[]): void {
    const channels = channelsOf(this, inputShape, 4);
    const { groups } = this.conv;
    if (channels % groups !== 0)
      throw configError(this.name, 'groups', `a divisor of the ${channels} input channels`, groups);
    const shape = [...this.kernel, channels / groups, this.filterCount()];
    const initial = initialWeights(this.initial, shape, this.seed, this.name);
    this.filters = this.addWeight(this.weightName, shape, 'float32', initial);
    super.build(inputShape);
  }

  override call(inputs: tf.Tensor | tf.Tensor[], args: CallArgs): tf.Tensor {
    return tf.tidy(() => {
      const w = this.filters?.read() as tf.Tensor4D;
      return this.compute(singleInput(inputs) as tf.Tensor4D, w, args?.explain === true);
    });
  }

  override computeOutputShape(inputShape: tf.Shape | tf.Shape[]): tf.Shape {
    const [batch, height, width] = singleShape(inputShape);
    const { stride, padding, dilation } = this.conv;
    const along = (size: number | null, axis: 0 | 1): number | null =>
      windowLength(size, this.kernel[axis], stride[axis], padding[axis], dilation[axis]);
    return [batch, along(height, 0), along(width, 1), this.outChannels];
  }

  override getConfig(): tf.serialization.ConfigDict {
    const { stride, padding, dilation, groups } = this.conv;
    return {
      ...super.getConfig(),
      outChannels: this.outChannels,
      kernel: [...this.kernel],
      stride: [...stride],
      padding: [...padding],
      dilation: [...dilation],
      groups,
      initial: this.initial,
      seed: this.seed,
    };
  }
}
