/**
 * Closed forms of the norms. A norm is described by a view: x is seen with shape `view`, statistics run over `axes` of
 * it, N values each, and weight and bias have shape `parameters` there (1 where they repeat). m mean, v biased
 * variance (mean of (x-m)^2, two passes: the one-pass form loses digits where |m| >> sqrt(v)), q = 1/sqrt(v + eps).
 *
 * uncentered: y = x q w + b            centered: y = (x - m) q w + b
 *     explain (q constant):    dx = g q w                      dx = h - mean(h),  h = g q w
 *     normal, h = g x w:       dx = g q w - (x-m) q^3 sum(h)/N
 *     normal, centered, h=g w: dx = q (h - mean(h)) - (x-m) q^3 mean(h (x-m))
 *     dw = sum(g q x) or sum(g q (x-m)) over the axes where w repeats,  db = sum(g) there
 *
 * Passes over memory: forward 1 and two sums for the statistics, 1 for y; explain backward 1 (2 centered); normal
 * backward 4 and a sum (5 and two centered; one more where parameters and statistics lie along different axes, and x-m
 * is not kept).
 */
import * as tf from '@tensorflow/tfjs';
import { closedForm } from './closedForm.js';

export interface NormView {
  readonly view: readonly number[];
  readonly axes: readonly number[];
  readonly parameters: readonly number[];
}

export interface NormArguments {
  readonly view: NormView;
  readonly weight: tf.Tensor | null;
  readonly bias: tf.Tensor | null;
  readonly epsilon: number;
  readonly centered: boolean;
  readonly explain: boolean;
}

export interface Statistics {
  readonly mean: tf.Tensor;
  /** Biased: divided by the number of values. */
  readonly variance: tf.Tensor;
}

export interface NormResult {
  readonly y: tf.Tensor;
  /** Batch statistics, kept beyond `tidy`: the caller disposes. Null unless asked for. */
  readonly statistics: Statistics | null;
}

/**
 * Sum over axes, one axis after the other from the outermost: every partial sum is short, so float32 keeps its digits
 * where one sum over 10^4 to 10^5 values would lose two, and the inner axes stay contiguous.
 */
function sumOver(x: tf.Tensor, axes: readonly number[]): tf.Tensor {
  return axes.reduce((sum, axis) => (sum.shape[axis] === 1 ? sum : tf.sum(sum, axis, true)), x);
}

function meanOver(x: tf.Tensor, axes: readonly number[]): tf.Tensor {
  const count = axes.reduce((p, axis) => p * x.shape[axis], 1);
  return tf.mul(sumOver(x, axes), 1 / count);
}

function statisticsOf(x: tf.Tensor, axes: readonly number[]): Statistics & { centred: tf.Tensor } {
  const mean = meanOver(x, axes);
  const centred = tf.sub(x, mean);
  return { mean, centred, variance: meanOver(tf.square(centred), axes) };
}

function rootOf(variance: tf.Tensor, epsilon: number): tf.Tensor {
  return tf.rsqrt(tf.add(variance, epsilon));
}

function times(x: tf.Tensor, w: tf.Tensor | null): tf.Tensor {
  return w === null ? x : tf.mul(x, w);
}

/** Sum over the axes along which the parameters repeat, in the shape of the parameters' view. */
function toParameters(x: tf.Tensor, parameters: readonly number[]): tf.Tensor {
  const axes = x.shape.map((_, i) => i).filter((i) => parameters[i] === 1 && x.shape[i] !== 1);
  return sumOver(x, axes);
}

/** A norm by the statistics of its input; see the top of the file. x and y have the layer's own shape. */
export function normalise(input: tf.Tensor, a: NormArguments, keepStatistics: boolean): NormResult {
  const { view, axes, parameters } = a.view;
  const shape = input.shape;
  const count = axes.reduce((p, i) => p * view[i], 1);
  let statistics: Statistics | null = null;
  const parts = [a.weight, a.bias].filter((t) => t !== null);
  const hasWeight = a.weight !== null;
  const asParameters = (t: tf.Tensor): tf.Tensor => tf.reshape(t, [...parameters]);

  const forward = () => {
    const x = tf.reshape(input, [...view]);
    const { mean, centred, variance } = statisticsOf(x, axes);
    if (keepStatistics) statistics = { mean: tf.keep(mean.clone()), variance: tf.keep(variance.clone()) };
    const q = rootOf(variance, a.epsilon);
    const scale = times(q, a.weight === null ? null : asParameters(a.weight));
    const scaled = tf.mul(a.centered ? centred : x, scale);
    const y = a.bias === null ? scaled : tf.add(scaled, asParameters(a.bias));
    return { x, mean, centred, q, scale, y: tf.reshape(y, shape) };
  };

  if (a.explain) {
    const y = closedForm(
      [input],
      () => {
        const { scale, y } = forward();
        return { value: y, saved: [scale] };
      },
      (dy, [scale]) => {
        const h = tf.mul(tf.reshape(dy, [...view]), scale);
        return [tf.reshape(a.centered ? tf.sub(h, meanOver(h, axes)) : h, shape)];
      },
    );
    return { y, statistics };
  }

  /** Whether each parameter has its own statistic. */
  const isShared = (q: tf.Tensor): boolean => q.shape.every((d, i) => d === parameters[i]);

  const y = closedForm(
    [input, ...parts],
    () => {
      const { x, mean, centred, q, scale, y } = forward();
      const weight = a.weight === null ? [] : [asParameters(a.weight)];
      const deviation = a.centered || isShared(q) ? centred : x;
      return { value: y, saved: [a.centered ? centred : x, deviation, mean, q, scale, ...weight] };
    },
    (dy, [factor, deviation, mean, q, scale, ...rest]) => {
      const w = hasWeight ? rest[0] : null;
      const g = tf.reshape(dy, [...view]);
      const product = tf.mul(g, factor);
      const shared = isShared(q);
      // Where each parameter has its own statistic, one sum serves both dx and dw.
      const bySum = shared ? toParameters(product, parameters) : null;
      const toScale = bySum === null ? sumOver(times(product, w), axes) : times(bySum, w);
      const curvature = tf.mul(tf.mul(toScale, tf.mul(tf.square(q), q)), 1 / count);
      const direct = tf.mul(g, scale);
      // Uncentered, from x itself: (x - m) curvature = x curvature - m curvature.
      let level = direct;
      if (a.centered) level = tf.sub(direct, meanOver(direct, axes));
      else if (!shared) level = tf.add(direct, tf.mul(mean, curvature));
      const dx = tf.reshape(tf.sub(level, tf.mul(deviation, curvature)), shape);
      const gradients = [dx];
      if (w !== null) {
        const dw = bySum === null ? toParameters(tf.mul(product, q), parameters) : tf.mul(bySum, q);
        gradients.push(tf.reshape(dw, a.weight?.shape ?? []));
      }
      if (a.bias !== null) gradients.push(tf.reshape(toParameters(g, parameters), a.bias.shape));
      return gradients;
    },
  );
  return { y, statistics };
}

/**
 * A norm by given statistics [of the parameters' count]: affine in x, so the tape's own gradient is exact and
 * explanation mode changes nothing. `mean` null: uncentered.
 */
export function normaliseBy(
  x: tf.Tensor,
  mean: tf.Tensor | null,
  variance: tf.Tensor,
  weight: tf.Tensor | null,
  bias: tf.Tensor | null,
  epsilon: number,
): tf.Tensor {
  const scale = times(rootOf(variance, epsilon), weight);
  const y = tf.mul(mean === null ? x : tf.sub(x, mean), scale);
  return bias === null ? y : tf.add(y, bias);
}
