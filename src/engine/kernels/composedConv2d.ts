/**
 * The convolution kernels composed of stock tfjs kernels: correct on every backend that has `Conv2D` and its two
 * gradients, with no claim to speed. Groups are split, convolved and joined; the gradients of a dilated filter are
 * those of the same filter with zeros between its taps.
 */
import * as tf from '@tensorflow/tfjs';
import type { ConvConfig, WindowConfig } from './windows.js';

type Shape4 = readonly [number, number, number, number];

function stock(name: string, inputs: Record<string, tf.Tensor>, attrs: Record<string, unknown>): tf.Tensor4D {
  return tf.engine().runKernel(name, inputs as tf.NamedTensorMap, attrs as unknown as tf.NamedAttrMap);
}

function stockAttrs(c: WindowConfig): Record<string, unknown> {
  const [h, w] = c.padding;
  return {
    strides: [...c.stride],
    pad: [
      [0, 0],
      [h, h],
      [w, w],
      [0, 0],
    ],
    dataFormat: 'NHWC',
    dimRoundingMode: 'floor',
  };
}

function dilatedSize(kernel: number, dilation: number): number {
  return dilation * (kernel - 1) + 1;
}

/** Puts dilation - 1 zeros between the taps of a filter [kh,kw,...]. Runs in the caller's tidy. */
export function dilateFilter(filter: tf.Tensor4D, dilation: readonly [number, number]): tf.Tensor4D {
  const [dh, dw] = dilation;
  if (dh === 1 && dw === 1) return filter;
  const [kh, kw, ci, co] = filter.shape;
  let t = tf.reshape(filter, [kh, 1, kw, 1, ci * co]);
  t = tf.pad(t, [
    [0, 0],
    [0, dh - 1],
    [0, 0],
    [0, dw - 1],
    [0, 0],
  ]);
  const spread = tf.reshape(t, [kh * dh, kw * dw, ci, co]);
  return tf.slice(spread, [0, 0, 0, 0], [dilatedSize(kh, dh), dilatedSize(kw, dw), ci, co]) as tf.Tensor4D;
}

/** The taps of a dilated filter: the reverse of `dilateFilter`. Runs in the caller's tidy. */
export function undilateFilter(
  filter: tf.Tensor4D,
  shape: Shape4,
  dilation: readonly [number, number],
): tf.Tensor4D {
  const [dh, dw] = dilation;
  if (dh === 1 && dw === 1) return filter;
  const [kh, kw, ci, co] = shape;
  const rows = kh * dh;
  const columns = kw * dw;
  const padded = tf.pad(filter, [
    [0, rows - filter.shape[0]],
    [0, columns - filter.shape[1]],
    [0, 0],
    [0, 0],
  ]);
  const split = tf.reshape(padded, [kh, dh, kw, dw, ci * co]);
  return tf.reshape(tf.slice(split, [0, 0, 0, 0, 0], [kh, 1, kw, 1, ci * co]), [
    kh,
    kw,
    ci,
    co,
  ]) as tf.Tensor4D;
}

function splitLast(t: tf.Tensor4D, groups: number): tf.Tensor4D[] {
  return groups === 1 ? [t] : (tf.split(t, groups, 3) as tf.Tensor4D[]);
}

function joinLast(parts: tf.Tensor4D[]): tf.Tensor4D {
  return parts.length === 1 ? parts[0] : tf.concat(parts, 3);
}

/** y of `conv2d` in ops.ts. Runs in the caller's tidy. */
export function composedConv2d(x: tf.Tensor4D, filter: tf.Tensor4D, c: ConvConfig): tf.Tensor4D {
  const filters = splitLast(filter, c.groups);
  const attrs = { ...stockAttrs(c), dilations: [...c.dilation] };
  const parts = splitLast(x, c.groups).map((part, g) =>
    stock('Conv2D', { x: part, filter: filters[g] }, attrs),
  );
  return joinLast(parts);
}

/** dx of `conv2dInputGrad` in ops.ts. Runs in the caller's tidy. */
export function composedConv2dInputGrad(
  dy: tf.Tensor4D,
  filter: tf.Tensor4D,
  inputShape: Shape4,
  c: ConvConfig,
): tf.Tensor4D {
  const [n, h, w, channels] = inputShape;
  const filters = splitLast(dilateFilter(filter, c.dilation), c.groups);
  const attrs = { ...stockAttrs(c), inputShape: [n, h, w, channels / c.groups] };
  const parts = splitLast(dy, c.groups).map((part, g) =>
    stock('Conv2DBackpropInput', { dy: part, filter: filters[g] }, attrs),
  );
  return joinLast(parts);
}

/** df of `conv2dFilterGrad` in ops.ts. Runs in the caller's tidy. */
export function composedConv2dFilterGrad(
  x: tf.Tensor4D,
  dy: tf.Tensor4D,
  filterShape: Shape4,
  c: ConvConfig,
): tf.Tensor4D {
  const [kh, kw, ci, co] = filterShape;
  const shape: Shape4 = [kh, kw, ci, co / c.groups];
  const dilated = [dilatedSize(kh, c.dilation[0]), dilatedSize(kw, c.dilation[1]), ci, co / c.groups];
  const attrs = { ...stockAttrs(c), filterShape: dilated };
  const dys = splitLast(dy, c.groups);
  const parts = splitLast(x, c.groups).map((part, g) => {
    const gradient = stock('Conv2DBackpropFilter', { x: part, dy: dys[g] }, attrs);
    return undilateFilter(gradient, shape, c.dilation);
  });
  return joinLast(parts);
}
