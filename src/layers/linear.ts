import * as tf from '@tensorflow/tfjs';
import { filterGradient, unitFilters } from './bcosScale.js';
import { channelsOf, oneOf, singleInput, singleShape, wholeNumber } from './checks.js';
import { closedForm } from './closedForm.js';
import { INITIAL_RULES, type InitialRule, initialBias, initialWeights } from './initialWeights.js';
import type { StateRule } from './stateRule.js';

export interface LinearConfig {
  name?: string;
  trainable?: boolean;
  outFeatures: number;
  /** Default true. */
  bias?: boolean;
  /** Rule of the initial weights, default `kaiming-fan-out`. */
  initial?: InitialRule;
  /** Of the initial weights, default 0. */
  seed?: number;
}

/** y = x W + b over the last axis; weight `weight` [in, out], `bias` [out]. [..., in] -> [..., out]. */
export class Linear extends tf.layers.Layer {
  static readonly className: string = 'Linear';
  readonly stateRules: Readonly<Record<string, StateRule>> = { weight: 'linear' };
  readonly outFeatures: number;
  readonly hasBias: boolean;
  readonly initial: InitialRule;
  readonly seed: number;
  private matrix: tf.LayerVariable | null = null;
  private shift: tf.LayerVariable | null = null;

  constructor(config: LinearConfig) {
    super(config as unknown as ConstructorParameters<typeof tf.layers.Layer>[0]);
    this.outFeatures = wholeNumber(this.name, 'outFeatures', config.outFeatures, 1);
    this.hasBias = config.bias ?? true;
    this.initial = oneOf(this.name, 'initial', config.initial ?? 'kaiming-fan-out', INITIAL_RULES);
    this.seed = wholeNumber(this.name, 'seed', config.seed ?? 0, 0);
  }

  override build(inputShape: tf.Shape | tf.Shape[]): void {
    const shape = [channelsOf(this, inputShape), this.outFeatures];
    const weights = initialWeights(this.initial, shape, this.seed, this.name);
    this.matrix = this.addWeight('weight', shape, 'float32', weights);
    if (this.hasBias) {
      const bias = initialBias(this.initial, shape, this.seed, this.name);
      this.shift = this.addWeight('bias', [this.outFeatures], 'float32', bias);
    }
    super.build(inputShape);
  }

  /** The matrix that multiplies x. */
  protected effective(w: tf.Tensor): tf.Tensor {
    return w;
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    return tf.tidy(() => {
      const x = singleInput(inputs);
      const w = this.effective(this.matrix?.read() as tf.Tensor) as tf.Tensor2D;
      const outer = x.shape.slice(0, -1);
      const rows = tf.reshape(x, [outer.reduce((p, d) => p * d, 1), w.shape[0]]) as tf.Tensor2D;
      const y = tf.reshape(tf.matMul(rows, w), [...outer, this.outFeatures]);
      return this.shift === null ? y : tf.add(y, this.shift.read());
    });
  }

  override computeOutputShape(inputShape: tf.Shape | tf.Shape[]): tf.Shape {
    return [...singleShape(inputShape).slice(0, -1), this.outFeatures];
  }

  override getConfig(): tf.serialization.ConfigDict {
    const { outFeatures, initial, seed } = this;
    return { ...super.getConfig(), outFeatures, bias: this.hasBias, initial, seed };
  }
}
tf.serialization.registerClass(Linear);

/** y = x W/||W|| + b: each output's weights have unit norm. */
export class NormedLinear extends Linear {
  static override readonly className = 'NormedLinear';

  protected override effective(w: tf.Tensor): tf.Tensor {
    return closedForm(
      [w],
      () => {
        const { unit, inverseNorm } = unitFilters(w);
        return { value: unit, saved: [unit, inverseNorm] };
      },
      (d, [unit, inverseNorm]) => [filterGradient(d, unit, inverseNorm, 1)],
    );
  }
}
tf.serialization.registerClass(NormedLinear);
