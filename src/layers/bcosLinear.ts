/**
 * B-cos linear map over the last axis.
 *
 *     s = x w^,  MaxOut keeps the largest of M,  n = ||x|| + 1e-12  (outside the root, unlike the convolution),  r = 1/n
 *     y = s |s| r  for B = 2;  y = s (|s| r + 1e-6)^(B-1) otherwise;  y = s for B = 1
 *     explain:  dx = (g a) w^T                                                            a = y/s
 *     normal:   ds = g a (B - ...),  dx = ds w^T - x r/||x|| sum_o toNorm  (0 where x = 0),
 *               dW = (D - w^ <w^, D>)/||W||,  D = x^T ds                                  (see bcosScale.ts)
 *
 * Passes over memory for B = 2, M = 1, beside the matrix products: forward 1 over x, 3 over y; explain 1 over y; normal
 * 2 over y, 2 over x.
 */
import * as tf from '@tensorflow/tfjs';
import {
  applyScale,
  chooseMaxOut,
  filterGradient,
  scaleGradients,
  spreadMaxOut,
  unitFilters,
} from './bcosScale.js';
import type { CallArgs } from './callArgs.js';
import { channelsOf, finiteNumber, oneOf, singleInput, singleShape, wholeNumber } from './checks.js';
import { closedForm } from './closedForm.js';
import { INITIAL_RULES, type InitialRule, initialWeights } from './initialWeights.js';
import type { StateRule } from './stateRule.js';

/** Added to the norm of a row. */
const NORM_EPSILON = 1e-12;

export interface BcosLinearConfig {
  name?: string;
  trainable?: boolean;
  outFeatures: number;
  /** Exponent B >= 1, default 2. */
  b?: number;
  /** Rows an output, default 1. */
  maxOut?: number;
  /** Rule of the initial weights, default `kaiming-fan-out`. */
  initial?: InitialRule;
  /** Of the initial weights, default 0. */
  seed?: number;
}

/** Differentiable B-cos linear map of rows: x [R,I], w [I,O*M] -> [R,O]; see the top of the file. */
export function bcosLinear(
  x: tf.Tensor,
  w: tf.Tensor,
  b: number,
  maxOut: number,
  explain: boolean,
): tf.Tensor {
  const forward = () => {
    const { unit, inverseNorm } = unitFilters(w);
    const response = tf.matMul(x as tf.Tensor2D, unit as tf.Tensor2D);
    const choice = maxOut > 1 ? chooseMaxOut(response, maxOut) : null;
    const s = choice?.best ?? response;
    const index = choice === null ? [] : [choice.index];
    if (b === 1) return { y: s, unit, inverseNorm, index, kept: [], norms: [] };
    const length = tf.sqrt(tf.sum(tf.square(x), 1, true));
    const r = tf.div(1, tf.add(length, NORM_EPSILON));
    return { ...applyScale(s, r, b), unit, inverseNorm, index, norms: [r, length] };
  };
  const choices = maxOut > 1 ? 1 : 0;
  const spread = (ds: tf.Tensor, index: tf.Tensor | undefined): tf.Tensor2D =>
    (index === undefined ? ds : spreadMaxOut(ds, index, maxOut)) as tf.Tensor2D;

  if (explain) {
    return closedForm(
      [x],
      () => {
        const { y, unit, index, kept } = forward();
        return { value: y, saved: [unit, ...index, ...kept.slice(0, 1)] };
      },
      (g, [unit, ...rest]) => {
        const a = rest[choices];
        const ds = spread(a === undefined ? g : tf.mul(g, a), choices > 0 ? rest[0] : undefined);
        return [tf.matMul(ds, unit as tf.Tensor2D, false, true)];
      },
    );
  }
  return closedForm(
    [x, w],
    () => {
      const { y, unit, inverseNorm, index, kept, norms } = forward();
      const scale = norms.length === 0 ? [] : [y, ...norms, ...kept];
      return { value: y, saved: [x, unit, inverseNorm, ...index, ...scale] };
    },
    (g, [x, unit, inverseNorm, ...rest]) => {
      const index = choices > 0 ? rest[0] : undefined;
      const [y, r, length, ...kept] = rest.slice(choices);
      const scaled = y === undefined ? { ds: g, factor: 1, toNorm: null } : scaleGradients(g, y, kept, b);
      const ds = spread(scaled.ds, index);
      const dx = tf.matMul(ds, tf.mul(unit, scaled.factor) as tf.Tensor2D, false, true);
      const d = tf.matMul(x as tf.Tensor2D, ds, true, false);
      const dw = filterGradient(d, unit, inverseNorm, scaled.factor);
      if (scaled.toNorm === null) return [dx, dw];
      // dL/dn = -r sum toNorm, dn/dx = x / ||x||, and 0 at x = 0 as in PyTorch.
      const along = tf.divNoNan(tf.mul(tf.sum(scaled.toNorm, 1, true), r), length);
      return [tf.sub(dx, tf.mul(x, along)), dw];
    },
  );
}

/** See the top of the file. [..., in] -> [..., outFeatures]; weight `linear.weight` [in, outFeatures*maxOut]. */
export class BcosLinear extends tf.layers.Layer {
  static readonly className = 'BcosLinear';
  readonly stateRules: Readonly<Record<string, StateRule>> = { 'linear.weight': 'linear' };
  readonly outFeatures: number;
  readonly b: number;
  readonly maxOut: number;
  readonly initial: InitialRule;
  readonly seed: number;
  private rows: tf.LayerVariable | null = null;

  constructor(config: BcosLinearConfig) {
    super(config as unknown as ConstructorParameters<typeof tf.layers.Layer>[0]);
    this.outFeatures = wholeNumber(this.name, 'outFeatures', config.outFeatures, 1);
    this.b = finiteNumber(this.name, 'b', config.b ?? 2, 1);
    this.maxOut = wholeNumber(this.name, 'maxOut', config.maxOut ?? 1, 1);
    this.initial = oneOf(this.name, 'initial', config.initial ?? 'kaiming-fan-out', INITIAL_RULES);
    this.seed = wholeNumber(this.name, 'seed', config.seed ?? 0, 0);
  }

  override build(inputShape: tf.Shape | tf.Shape[]): void {
    const shape = [channelsOf(this, inputShape), this.outFeatures * this.maxOut];
    const initial = initialWeights(this.initial, shape, this.seed, this.name);
    this.rows = this.addWeight('linear.weight', shape, 'float32', initial);
    super.build(inputShape);
  }

  override call(inputs: tf.Tensor | tf.Tensor[], args: CallArgs): tf.Tensor {
    return tf.tidy(() => {
      const x = singleInput(inputs);
      const w = this.rows?.read() as tf.Tensor;
      const outer = x.shape.slice(0, -1);
      const rows = tf.reshape(x, [outer.reduce((p, d) => p * d, 1), w.shape[0]]);
      const y = bcosLinear(rows, w, this.b, this.maxOut, args?.explain === true);
      return tf.reshape(y, [...outer, this.outFeatures]);
    });
  }

  override computeOutputShape(inputShape: tf.Shape | tf.Shape[]): tf.Shape {
    return [...singleShape(inputShape).slice(0, -1), this.outFeatures];
  }

  override getConfig(): tf.serialization.ConfigDict {
    const { outFeatures, b, maxOut, initial, seed } = this;
    return { ...super.getConfig(), outFeatures, b, maxOut, initial, seed };
  }
}
tf.serialization.registerClass(BcosLinear);
