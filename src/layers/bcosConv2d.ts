/**
 * B-cos convolution (Boehle et al., "B-cos Alignment for Inherently Interpretable CNNs and Vision Transformers", 2024).
 *
 *     s = conv(x, W/||W||),  MaxOut keeps the largest of M,  n = sqrt(boxsum(sum_c x^2) + 1e-6),  r = 1/n
 *     y = s |s| r  for B = 2;  y = s (|s| r + 1e-6)^(B-1) otherwise;  y = s for B = 1
 *     explain:  dx = convT(g a, w^)                                                       a = y/s
 *     normal:   ds = g a (B - ...),  dP = -1/2 r^2 sum_o toNorm,  dx = convT(ds, w^) + 2 x boxT(dP),
 *               dW = (D - w^ <w^, D>)/||W||  with D = the convolution's filter gradient for ds   (see bcosScale.ts)
 *
 * The sum over channels comes first, so that the box sum runs over one plane a group; a 1x1 kernel with stride 1 needs
 * none. Passes over memory for B = 2, M = 1, beside the convolutions themselves: forward 1 read of x (norm plane) and
 * 3 over y (s r, |.|, product); explain 1 over y; normal 2 over y, 2 over x. MaxOut adds 2 over s forward, 1 backward.
 */
import * as tf from '@tensorflow/tfjs';
import { type ConvConfig, conv2d, conv2dFilterGrad, conv2dInputGrad } from '../engine/ops.js';
import {
  applyScale,
  chooseMaxOut,
  filterGradient,
  scaleGradients,
  spreadMaxOut,
  unitFilters,
} from './bcosScale.js';
import { finiteNumber, wholeNumber } from './checks.js';
import { closedForm } from './closedForm.js';
import { Conv2dBase, type Conv2dBaseConfig } from './conv2dBase.js';
import { groupRows, spreadGroups } from './groupSums.js';
import { patchSquares, patchSquaresBack } from './patchNorm.js';

/** Inside the root of the patch norm. */
const NORM_EPSILON = 1e-6;

type Shape4 = [number, number, number, number];

export interface BcosConv2dConfig extends Conv2dBaseConfig {
  /** Exponent B >= 1, default 2. */
  b?: number;
  /** Filters an output, default 1. */
  maxOut?: number;
}

/** How to compute a B-cos convolution: the arguments of `bcosConv2d` that are not tensors. */
export interface BcosConvRule {
  readonly conv: ConvConfig;
  readonly b: number;
  readonly maxOut: number;
  /** The output is divided by it (1: not at all). */
  readonly divisor: number;
}

function times(x: tf.Tensor, factor: number): tf.Tensor4D {
  return (factor === 1 ? x : tf.mul(x, factor)) as tf.Tensor4D;
}

/** x [N,H,W,Cin], w [kh,kw,Cin/groups,Cout*maxOut] -> [N,H',W',Cout]; differentiable, see the top of the file. */
export function bcosConv2d(x: tf.Tensor4D, w: tf.Tensor4D, rule: BcosConvRule, explain: boolean): tf.Tensor {
  const { conv, b, maxOut } = rule;
  const kernel: [number, number] = [w.shape[0], w.shape[1]];
  const forward = () => {
    const filters = unitFilters(w);
    const unit = filters.unit as tf.Tensor4D;
    const response = conv2d(x, unit, conv);
    const choice = maxOut > 1 ? chooseMaxOut(response, maxOut) : null;
    const s = choice?.best ?? response;
    const index = choice === null ? [] : [choice.index];
    if (b === 1) return { y: s, unit, inverseNorm: filters.inverseNorm, index, kept: [], r: null };
    const r = tf.rsqrt(tf.add(patchSquares(x, kernel, conv), NORM_EPSILON)) as tf.Tensor4D;
    const outputs = s.shape[3] as number;
    const { y, kept } = applyScale(s, spreadGroups(r, outputs), b);
    return { y, unit, inverseNorm: filters.inverseNorm, index, kept, r };
  };
  const divided = (y: tf.Tensor): tf.Tensor => times(y, 1 / rule.divisor);
  const spread = (ds: tf.Tensor, index: tf.Tensor | undefined): tf.Tensor4D =>
    (index === undefined ? ds : spreadMaxOut(ds, index, maxOut)) as tf.Tensor4D;
  const choices = maxOut > 1 ? 1 : 0;
  const inputShape = x.shape;

  if (explain) {
    return closedForm(
      [x],
      () => {
        const { y, unit, index, kept } = forward();
        return { value: divided(y), saved: [unit, ...index, ...kept.slice(0, 1)] };
      },
      (dy, [unit, ...rest]) => {
        const g = divided(dy);
        const a = rest[choices];
        const ds = spread(a === undefined ? g : tf.mul(g, a), choices > 0 ? rest[0] : undefined);
        return [conv2dInputGrad(ds, unit as tf.Tensor4D, inputShape, conv)];
      },
    );
  }
  return closedForm(
    [x, w],
    () => {
      const { y, unit, inverseNorm, index, kept, r } = forward();
      const scale = r === null ? [] : [y, r, ...kept];
      return { value: divided(y), saved: [x, unit, inverseNorm, ...index, ...scale] };
    },
    (dy, [x, unit, inverseNorm, ...rest]) => {
      const g = divided(dy);
      const index = choices > 0 ? rest[0] : undefined;
      const [y, r, ...kept] = rest.slice(choices);
      const image = x as tf.Tensor4D;
      const scaled =
        y === undefined
          ? { ds: g, factor: 1, toNorm: null, givesAlong: false }
          : scaleGradients(g, y, kept, b);
      // The constant factor goes to whatever is smaller; so does the product of filters and their gradient.
      const isSmall = scaled.ds.size < unit.size;
      const [forErrors, forFilters] = isSmall ? [scaled.factor, 1] : [1, scaled.factor];
      const ds = spread(times(scaled.ds, forErrors), index);
      const throughFilters = conv2dInputGrad(ds, times(unit, forFilters), inputShape, conv);
      const d = conv2dFilterGrad(image, ds, unit.shape as Shape4, conv);
      const along =
        isSmall && index === undefined && scaled.givesAlong && scaled.toNorm !== null
          ? tf.mul(tf.sum(scaled.toNorm, [0, 1, 2], true), forErrors)
          : undefined;
      const dw = filterGradient(d, unit, inverseNorm, forFilters, along);
      if (scaled.toNorm === null) return [throughFilters, dw];
      // 2 dP = -r^2 sum over the outputs of the group; the factor 2 of d(x^2) cancels the 1/2 of the root.
      const plane = tf.mul(tf.neg(tf.square(r)), groupRows(scaled.toNorm as tf.Tensor4D, conv.groups));
      const back = patchSquaresBack(plane as tf.Tensor4D, inputShape, kernel, conv);
      return [tf.add(throughFilters, tf.mul(x, back)), dw];
    },
  );
}

/** See the top of the file. Weight `linear.weight` [kh,kw,in/groups,outChannels*maxOut]; no bias. */
export class BcosConv2d extends Conv2dBase {
  static readonly className: string = 'BcosConv2d';
  readonly b: number;
  readonly maxOut: number;

  constructor(config: BcosConv2dConfig) {
    super(config, 'linear.weight');
    this.b = finiteNumber(this.name, 'b', config.b ?? 2, 1);
    this.maxOut = wholeNumber(this.name, 'maxOut', config.maxOut ?? 1, 1);
  }

  protected override filterCount(): number {
    return this.outChannels * this.maxOut;
  }

  /** What the output is divided by; `BcosConv2dWithScale` overrides it. */
  protected divisor(_inChannels: number): number {
    return 1;
  }

  protected compute(x: tf.Tensor4D, w: tf.Tensor4D, explain: boolean): tf.Tensor {
    const { conv, b, maxOut } = this;
    return bcosConv2d(x, w, { conv, b, maxOut, divisor: this.divisor(x.shape[3]) }, explain);
  }

  override getConfig(): tf.serialization.ConfigDict {
    return { ...super.getConfig(), b: this.b, maxOut: this.maxOut };
  }
}
tf.serialization.registerClass(BcosConv2d);
