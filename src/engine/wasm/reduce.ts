/**
 * Sums and means over axes that are not the last ones: tfjs's wasm backend transposes the whole tensor first, this walks
 * it in place. Channel statistics of NHWC tensors are such sums.
 */
import * as tf from '@tensorflow/tfjs';
import type { Native } from './native.js';

export interface ReduceAttrs {
  readonly axis: number | number[];
  readonly keepDims?: boolean;
}

type Plan = {
  readonly outer: number;
  readonly count: number;
  readonly inner: number;
  readonly shape: number[];
};

function product(shape: readonly number[]): number {
  return shape.reduce((a, b) => a * b, 1);
}

/** [outer, count, inner] for axes that lie side by side and end before the last one; else null. */
function planOf(shape: readonly number[], attrs: ReduceAttrs): Plan | null {
  const axes = tf.util.parseAxisParam(attrs.axis, [...shape]).sort((a, b) => a - b);
  const [first, last] = [axes[0], axes[axes.length - 1]];
  if (axes.length === 0 || last - first !== axes.length - 1 || last === shape.length - 1) return null;
  const kept = shape.flatMap((size, i) => (i < first || i > last ? [size] : attrs.keepDims ? [1] : []));
  return {
    outer: product(shape.slice(0, first)),
    count: product(shape.slice(first, last + 1)),
    inner: product(shape.slice(last + 1)),
    shape: kept,
  };
}

/** Sum (or mean) of x over the axes, or null where tfjs's own kernel is to be used. */
export function sumMiddle(
  native: Native,
  x: tf.TensorInfo,
  attrs: ReduceAttrs,
  isMean: boolean,
): tf.TensorInfo | null {
  const plan = x.dtype === 'float32' ? planOf(x.shape, attrs) : null;
  if (plan === null) return null;
  const { outer, count, inner, shape } = plan;
  const out = native.output(shape);
  native.withMemory(4 * inner, (block) => {
    const [from, to] = [native.pointer(x), native.pointer(out)];
    native.call('sumMiddle', outer, count, inner, isMean ? 1 / count : 1, from, to, block);
  });
  return out;
}
