/**
 * Linear map of a B-cosified network over the last axis: rows keep their norm, B is a buffer of the layer, a bias is added
 * behind the scale.
 *
 *     s = x W,  n = ||x|| + 1e-12,  y = s (|s|/n + 1e-6)^(B-1) + bias                                (stateExponent.ts)
 *     normal:   dx = ds W^T - x r/||x|| sum_o toNorm  (0 where x = 0),  dW = x^T ds,  dbias = sum g
 *     explain:  dx = (g a) W^T
 */
import * as tf from '@tensorflow/tfjs';
import type { CallArgs } from './callArgs.js';
import { channelsOf, finiteNumber, oneOf, singleInput, singleShape, wholeNumber } from './checks.js';
import { closedForm } from './closedForm.js';
import { INITIAL_RULES, type InitialRule, initialWeights } from './initialWeights.js';
import { exponentGradients, scaleByExponent } from './stateExponent.js';
import type { StateRule } from './stateRule.js';

/** Added to the norm of a row. */
const NORM_EPSILON = 1e-12;

export interface BcosifiedLinearConfig {
  name?: string;
  trainable?: boolean;
  outFeatures: number;
  /** First value of the buffer `b`, >= 1; default 1: the plain map. */
  b?: number;
  /** Default false. */
  bias?: boolean;
  /** Rule of the initial weights, default `kaiming-fan-out`. */
  initial?: InitialRule;
  /** Of the initial weights, default 0. */
  seed?: number;
}

/** Rows x [R,I], w [I,O], b scalar -> [R,O], without the bias; see the top of the file. */
export function bcosifiedLinear(x: tf.Tensor2D, w: tf.Tensor2D, b: tf.Tensor, explain: boolean): tf.Tensor2D {
  const forward = () => {
    const s = tf.matMul(x, w);
    const length = tf.sqrt(tf.sum(tf.square(x), 1, true));
    const r = tf.div(1, tf.add(length, NORM_EPSILON));
    return { ...scaleByExponent(s, r, b), r, length };
  };
  if (explain)
    return closedForm(
      [x],
      () => {
        const { y, a } = forward();
        return { value: y, saved: [w, a] };
      },
      (g, [rows, a]) => [tf.matMul(tf.mul(g, a) as tf.Tensor2D, rows as tf.Tensor2D, false, true)],
    ) as tf.Tensor2D;
  return closedForm(
    [x, w],
    () => {
      const { y, a, c, r, length } = forward();
      return { value: y, saved: [x, w, b, y, a, c, r, length] };
    },
    (g, [input, rows, exponent, y, a, c, r, length]) => {
      const { ds, toNorm } = exponentGradients(g, y, a, c, exponent);
      const through = ds as tf.Tensor2D;
      // dL/dn = -r sum toNorm, dn/dx = x / ||x||, and 0 at x = 0.
      const along = tf.divNoNan(tf.mul(tf.sum(toNorm, 1, true), r), length);
      const dx = tf.sub(tf.matMul(through, rows as tf.Tensor2D, false, true), tf.mul(input, along));
      return [dx, tf.matMul(input as tf.Tensor2D, through, true, false)];
    },
  ) as tf.Tensor2D;
}

/**
 * See the top of the file. [..., in] -> [..., outFeatures]; weights `linear.weight` [in, outFeatures], `linear.bias` where
 * it has one; buffer `b`, one number.
 */
export class BcosifiedLinear extends tf.layers.Layer {
  static readonly className = 'BcosifiedLinear';
  readonly stateRules: Readonly<Record<string, StateRule>> = { 'linear.weight': 'linear' };
  readonly outFeatures: number;
  readonly initialB: number;
  readonly hasBias: boolean;
  readonly initial: InitialRule;
  readonly seed: number;
  private rows: tf.LayerVariable | null = null;
  private shift: tf.LayerVariable | null = null;
  private exponent: tf.LayerVariable | null = null;

  constructor(config: BcosifiedLinearConfig) {
    super(config as unknown as ConstructorParameters<typeof tf.layers.Layer>[0]);
    this.outFeatures = wholeNumber(this.name, 'outFeatures', config.outFeatures, 1);
    this.initialB = finiteNumber(this.name, 'b', config.b ?? 1, 1);
    this.hasBias = config.bias ?? false;
    this.initial = oneOf(this.name, 'initial', config.initial ?? 'kaiming-fan-out', INITIAL_RULES);
    this.seed = wholeNumber(this.name, 'seed', config.seed ?? 0, 0);
  }

  override build(inputShape: tf.Shape | tf.Shape[]): void {
    const shape = [channelsOf(this, inputShape), this.outFeatures];
    const weights = initialWeights(this.initial, shape, this.seed, this.name);
    this.rows = this.addWeight('linear.weight', shape, 'float32', weights);
    if (this.hasBias)
      this.shift = this.addWeight('linear.bias', [this.outFeatures], 'float32', tf.initializers.zeros());
    const first = tf.initializers.constant({ value: this.initialB });
    this.exponent = this.addWeight('b', [], 'float32', first, undefined, false);
    super.build(inputShape);
  }

  override call(inputs: tf.Tensor | tf.Tensor[], args: CallArgs): tf.Tensor {
    return tf.tidy(() => {
      const x = singleInput(inputs);
      const w = this.rows?.read() as tf.Tensor2D;
      const outer = x.shape.slice(0, -1);
      const rows = tf.reshape(x, [outer.reduce((p, d) => p * d, 1), w.shape[0]]) as tf.Tensor2D;
      const b = this.exponent?.read() as tf.Tensor;
      const y = tf.reshape(bcosifiedLinear(rows, w, b, args?.explain === true), [...outer, this.outFeatures]);
      return this.shift === null ? y : tf.add(y, this.shift.read());
    });
  }

  override computeOutputShape(inputShape: tf.Shape | tf.Shape[]): tf.Shape {
    return [...singleShape(inputShape).slice(0, -1), this.outFeatures];
  }

  override getConfig(): tf.serialization.ConfigDict {
    const { outFeatures, initial, seed } = this;
    return { ...super.getConfig(), outFeatures, b: this.initialB, bias: this.hasBias, initial, seed };
  }
}
tf.serialization.registerClass(BcosifiedLinear);
