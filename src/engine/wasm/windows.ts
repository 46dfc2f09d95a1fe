/** Convolutions and window sums of the `wasm` backend on native/conv2d.c, native/depthwise.c and native/maxPool.c. */
import type * as tf from '@tensorflow/tfjs';
import { type ConvConfig, type PoolConfig, windowOutput } from '../kernels/windows.js';
import type { Native, NativeName } from './native.js';

/** Everything that the C code must know about a window; see native/window.h. */
export interface Geometry {
  readonly image: readonly number[];
  readonly out: readonly [number, number];
  readonly filters: number;
  readonly kernel: readonly [number, number];
  readonly stride: readonly [number, number];
  /** Zeros above and to the left; those below and to the right follow from `out`. */
  readonly before: readonly [number, number];
  readonly dilation: readonly [number, number];
  readonly groups: number;
}

export function convGeometry(image: readonly number[], filter: readonly number[], c: ConvConfig): Geometry {
  const kernel: [number, number] = [filter[0], filter[1]];
  const out = windowOutput(image[1], image[2], kernel, c);
  const { stride, padding: before, dilation, groups } = c;
  return { image, out, filters: filter[3], kernel, stride, before, dilation, groups };
}

export function poolGeometry(image: readonly number[], p: PoolConfig): Geometry {
  const out = windowOutput(image[1], image[2], p.kernel, p);
  const { kernel, stride, padding: before, dilation } = p;
  return { image, out, filters: image[3], kernel, stride, before, dilation, groups: image[3] };
}

function integers(g: Geometry): number[] {
  const rest = [...g.kernel, ...g.stride, ...g.before, ...g.dilation, g.groups];
  return [...g.image, ...g.out, g.filters, ...rest];
}

/** Every channel by itself, one filter each. */
function isDepthwise(g: Geometry): boolean {
  return g.groups === g.image[3] && g.filters === g.groups && g.groups > 1;
}

/** Runs a convolution kernel of three tensors; `name` for any groups, `depthwise` for one channel a group. */
function runConv(
  native: Native,
  g: Geometry,
  [name, depthwise]: readonly [NativeName, NativeName],
  tensors: readonly tf.TensorInfo[],
  outShape: readonly number[],
): tf.TensorInfo {
  const byChannel = isDepthwise(g);
  const needsZeros = byChannel || name === 'conv2dInputGrad';
  const result = native.output(outShape, needsZeros ? 'zeros' : 'undefined');
  const pointers = [...tensors, result].map((t) => native.pointer(t));
  native.withIntegers(integers(g), (window) => {
    if (byChannel) native.call(depthwise, window, ...pointers);
    else {
      const tapBytes = 12 * g.kernel[0] * g.kernel[1];
      native.withMemory(tapBytes, (taps) => native.call(name, window, ...pointers, taps, native.scratch));
    }
  });
  return result;
}

/** y of a convolution. */
export function conv2d(native: Native, g: Geometry, x: tf.TensorInfo, filter: tf.TensorInfo): tf.TensorInfo {
  const shape = [g.image[0], ...g.out, g.filters];
  return runConv(native, g, ['conv2d', 'depthwise'], [x, filter], shape);
}

/** Gradient to the image. */
export function conv2dInputGrad(
  native: Native,
  g: Geometry,
  dy: tf.TensorInfo,
  filter: tf.TensorInfo,
): tf.TensorInfo {
  return runConv(native, g, ['conv2dInputGrad', 'depthwiseInputGrad'], [dy, filter], g.image);
}

/** Gradient to the filter, in the shape given. */
export function conv2dFilterGrad(
  native: Native,
  g: Geometry,
  x: tf.TensorInfo,
  dy: tf.TensorInfo,
  filterShape: readonly number[],
): tf.TensorInfo {
  return runConv(native, g, ['conv2dFilterGrad', 'depthwiseFilterGrad'], [x, dy], filterShape);
}

/** Sum over a window (x -> y), or its gradient (dy -> dx). */
export function sumPool(
  native: Native,
  g: Geometry,
  from: tf.TensorInfo,
  name: 'sumPool' | 'sumPoolGrad',
): tf.TensorInfo {
  const shape = name === 'sumPool' ? [g.image[0], ...g.out, g.filters] : g.image;
  const result = native.output(shape, 'zeros');
  native.withIntegers(integers(g), (window) =>
    native.withMemory(4 * g.image[1] * g.out[1] * g.filters, (rows) =>
      native.call(name, window, native.pointer(from), native.pointer(result), rows),
    ),
  );
  return result;
}

/** Gradient of max pooling (x, dy -> dx): each error goes to the first largest pixel of its window. */
export function maxPoolGrad(native: Native, g: Geometry, x: tf.TensorInfo, dy: tf.TensorInfo): tf.TensorInfo {
  const result = native.output(g.image, 'zeros');
  native.withIntegers(integers(g), (window) =>
    native.call('maxPoolGrad', window, native.pointer(x), native.pointer(dy), native.pointer(result)),
  );
  return result;
}
