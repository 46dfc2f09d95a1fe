/**
 * Convolution of a B-cosified network: that of the standard network it came from, times a power of how well patch and
 * filter agree. The filter is not normalised, B is a buffer of the layer, a bias is added behind the scale.
 *
 *     s = conv(x, W),  n = sqrt(boxsum(sum_c x^2) + 1e-6),  y = s (|s|/n + 1e-6)^(B-1) + bias          (stateExponent.ts)
 *     normal:   dx = convT(ds, W) + 2 x boxT(dP),  dP = -1/2 r^2 sum_o toNorm,  dW = filter gradient of ds,  dbias = sum g
 *     explain:  dx = convT(g a, W)
 */
import * as tf from '@tensorflow/tfjs';
import { type ConvConfig, conv2d, conv2dFilterGrad, conv2dInputGrad } from '../engine/ops.js';
import { finiteNumber } from './checks.js';
import { closedForm } from './closedForm.js';
import { Conv2dBase, type Conv2dBaseConfig } from './conv2dBase.js';
import { groupRows, spreadGroups } from './groupSums.js';
import { patchSquares, patchSquaresBack } from './patchNorm.js';
import { exponentGradients, scaleByExponent } from './stateExponent.js';

/** Inside the root of the patch norm. */
const NORM_EPSILON = 1e-6;

export interface BcosifiedConv2dConfig extends Conv2dBaseConfig {
  /** First value of the buffer `b`, >= 1; default 1: the plain convolution. */
  b?: number;
  /** Default false. */
  bias?: boolean;
}

/** x [N,H,W,Cin], w [kh,kw,Cin/groups,Cout], b scalar -> [N,H',W',Cout], without the bias; see the top of the file. */
export function bcosifiedConv2d(
  x: tf.Tensor4D,
  w: tf.Tensor4D,
  b: tf.Tensor,
  conv: ConvConfig,
  explain: boolean,
): tf.Tensor {
  const kernel: [number, number] = [w.shape[0], w.shape[1]];
  const inputShape = x.shape;
  const forward = () => {
    const s = conv2d(x, w, conv);
    const r = tf.rsqrt(tf.add(patchSquares(x, kernel, conv), NORM_EPSILON)) as tf.Tensor4D;
    return { ...scaleByExponent(s, spreadGroups(r, s.shape[3]), b), r };
  };
  if (explain)
    return closedForm(
      [x],
      () => {
        const { y, a } = forward();
        return { value: y, saved: [w, a] };
      },
      (g, [filters, a]) => [
        conv2dInputGrad(tf.mul(g, a) as tf.Tensor4D, filters as tf.Tensor4D, inputShape, conv),
      ],
    );
  return closedForm(
    [x, w],
    () => {
      const { y, a, c, r } = forward();
      return { value: y, saved: [x, w, b, y, a, c, r] };
    },
    (g, [image, filters, exponent, y, a, c, r]) => {
      const { ds, toNorm } = exponentGradients(g, y, a, c, exponent);
      const through = ds as tf.Tensor4D;
      const dw = conv2dFilterGrad(image as tf.Tensor4D, through, (filters as tf.Tensor4D).shape, conv);
      const dx = conv2dInputGrad(through, filters as tf.Tensor4D, inputShape, conv);
      // 2 dP = -r^2 sum over the outputs of the group; the factor 2 of d(x^2) cancels the 1/2 of the root.
      const plane = tf.mul(
        tf.neg(tf.square(r)),
        groupRows(toNorm as tf.Tensor4D, conv.groups),
      ) as tf.Tensor4D;
      return [tf.add(dx, tf.mul(image, patchSquaresBack(plane, inputShape, kernel, conv))), dw];
    },
  );
}

/** See the top of the file. Weights `linear.weight`, `linear.bias` where it has one; buffer `b`, one number. */
export class BcosifiedConv2d extends Conv2dBase {
  static readonly className = 'BcosifiedConv2d';
  readonly initialB: number;
  readonly hasBias: boolean;
  private exponent: tf.LayerVariable | null = null;
  private shift: tf.LayerVariable | null = null;

  constructor(config: BcosifiedConv2dConfig) {
    super(config, 'linear.weight');
    this.initialB = finiteNumber(this.name, 'b', config.b ?? 1, 1);
    this.hasBias = config.bias ?? false;
  }

  override build(inputShape: tf.Shape | tf.Shape[]): void {
    super.build(inputShape);
    if (this.hasBias)
      this.shift = this.addWeight('linear.bias', [this.outChannels], 'float32', tf.initializers.zeros());
    const first = tf.initializers.constant({ value: this.initialB });
    this.exponent = this.addWeight('b', [], 'float32', first, undefined, false);
  }

  protected compute(x: tf.Tensor4D, w: tf.Tensor4D, explain: boolean): tf.Tensor {
    const y = bcosifiedConv2d(x, w, this.exponent?.read() as tf.Tensor, this.conv, explain);
    return this.shift === null ? y : tf.add(y, this.shift.read());
  }

  override getConfig(): tf.serialization.ConfigDict {
    return { ...super.getConfig(), b: this.initialB, bias: this.hasBias };
  }
}
tf.serialization.registerClass(BcosifiedConv2d);
