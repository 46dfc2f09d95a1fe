/**
 * Pools. TensorFlow pools what lies inside the image; a padding given as numbers is written out first, with the
 * smallest number for maxima. Sums over a window are a convolution of every channel with ones.
 */
import * as tf from '@tensorflow/tfjs';
import { composedSumPool2d, composedSumPool2dGrad } from '../../kernels/composedSumPool2d.js';
import type { PoolConfig } from '../../kernels/windows.js';
import type { TensorflowBackend } from '../backend.js';
import { type Handle, ints, type OpAttrs, string, TF_FLOAT } from '../binding.js';
import { asTensor, type Info, type Kernel, type KernelTable } from './kernel.js';
import {
  ownWindow,
  type Shape4,
  type StockAttrs,
  stockPoolWindow,
  type Window,
  windowAttrs,
} from './window.js';

const LOWEST = -3.4028234663852886e38;

function shape4(t: Info): Shape4 {
  return t.shape as Shape4;
}

function isPadded({ pads }: Window): boolean {
  return pads.some((size) => size > 0);
}

/** Attributes of a pool without padding. */
function poolAttrs({ kernel, stride }: Window): OpAttrs {
  return {
    ksize: ints([1, kernel[0], kernel[1], 1]),
    strides: ints([1, stride[0], stride[1], 1]),
    padding: string('VALID'),
  };
}

function paddings({ pads: [top, bottom, left, right] }: Window): [number, number][] {
  return [
    [0, 0],
    [top, bottom],
    [left, right],
    [0, 0],
  ];
}

function padded(x: Info, window: Window, value: number): tf.Tensor4D {
  return isPadded(window) ? tf.pad(x as tf.Tensor4D, paddings(window), value) : (x as tf.Tensor4D);
}

/** The part of a padded image's gradient that belongs to the image. */
function inner(dx: tf.Tensor4D, image: Shape4, { pads }: Window): tf.Tensor4D {
  return tf.slice(dx, [0, pads[0], pads[2], 0], image);
}

/** 1 over the number of pixels of the image that each window holds: [1,H',W',1]. */
function shares({ kernel, stride, pads, out }: Window, image: Shape4): tf.Tensor4D {
  const inside = (at: number, size: number, k: number): number => Math.min(at + k, size) - Math.max(at, 0);
  const values = new Float32Array(out[0] * out[1]);
  for (let i = 0; i < out[0]; i++) {
    for (let j = 0; j < out[1]; j++) {
      const rows = inside(i * stride[0] - pads[0], image[1], kernel[0]);
      const columns = inside(j * stride[1] - pads[2], image[2], kernel[1]);
      values[i * out[1] + j] = 1 / (rows * columns);
    }
  }
  return tf.tensor4d(values, [1, out[0], out[1], 1]);
}

const maxPool: Kernel<StockAttrs> = (backend, { x }, attrs) => {
  const window = stockPoolWindow(shape4(x), attrs);
  if (!isPadded(window)) return backend.run('MaxPool', [x], poolAttrs(window));
  return tf.tidy(() =>
    asTensor(backend.run('MaxPool', [padded(x, window, LOWEST)], poolAttrs(window)), backend),
  );
};

const maxPoolGrad: Kernel<StockAttrs> = (backend, { dy, input, output }, attrs) => {
  const window = stockPoolWindow(shape4(input), attrs);
  if (!isPadded(window)) return backend.run('MaxPoolGrad', [input, output, dy], poolAttrs(window));
  return tf.tidy(() => {
    const image = padded(input, window, LOWEST);
    const dx = asTensor(backend.run('MaxPoolGrad', [image, output, dy], poolAttrs(window)), backend);
    return inner(dx as tf.Tensor4D, shape4(input), window);
  });
};

const avgPool: Kernel<StockAttrs> = (backend, { x }, attrs) => {
  const window = stockPoolWindow(shape4(x), attrs);
  if (!isPadded(window)) return backend.run('AvgPool', [x], poolAttrs(window));
  const area = window.kernel[0] * window.kernel[1];
  return tf.tidy(() => {
    const means = backend.run('AvgPool', [padded(x, window, 0)], poolAttrs(window));
    return tf.mul(asTensor(means, backend), tf.mul(shares(window, shape4(x)), area));
  });
};

const avgPoolGrad: Kernel<StockAttrs> = (backend, { dy, input }, attrs) => {
  const image = shape4(input);
  const window = stockPoolWindow(image, attrs);
  const size = (pads: readonly number[]): Shape4 => [
    image[0],
    image[1] + pads[0] + pads[1],
    image[2] + pads[2] + pads[3],
    image[3],
  ];
  const run = (gradient: Info): Info =>
    backend.run('AvgPoolGrad', [backend.list(size(window.pads)), gradient], poolAttrs(window));
  if (!isPadded(window)) return run(dy);
  const area = window.kernel[0] * window.kernel[1];
  return tf.tidy(() => {
    const shared = tf.mul(dy as tf.Tensor4D, tf.mul(shares(window, image), area));
    return inner(asTensor(run(shared), backend) as tf.Tensor4D, image, window);
  });
};

interface Attrs3d {
  readonly filterSize: number | [number, number, number];
  readonly strides: number | [number, number, number];
  readonly dilations?: number | [number, number, number];
  readonly pad: 'valid' | 'same';
  readonly inputShape: [number, number, number, number, number];
  readonly filterShape: [number, number, number, number, number];
}

function triple(value: number | readonly number[]): readonly number[] {
  return typeof value === 'number' ? [value, value, value] : value;
}

function attrs3d({ filterSize, strides, pad }: Attrs3d): OpAttrs {
  return {
    ...(filterSize === undefined ? {} : { ksize: ints([1, ...triple(filterSize), 1]) }),
    strides: ints([1, ...triple(strides), 1]),
    padding: string(String(pad).toUpperCase()),
  };
}

const VOLUMES: KernelTable = {
  AvgPool3D: ((backend, { x }, attrs) => backend.run('AvgPool3D', [x], attrs3d(attrs))) as Kernel<Attrs3d>,
  AvgPool3DGrad: ((backend, { dy, input }, attrs) =>
    backend.run('AvgPool3DGrad', [backend.list(input.shape), dy], attrs3d(attrs))) as Kernel<Attrs3d>,
  Conv3D: ((backend, { x, filter }, attrs) =>
    backend.run('Conv3D', [x, filter], attrs3d(attrs))) as Kernel<Attrs3d>,
  Conv3DBackpropFilterV2: ((backend, { x, dy }, attrs) =>
    backend.run(
      'Conv3DBackpropFilterV2',
      [x, backend.list(attrs.filterShape), dy],
      attrs3d(attrs),
    )) as Kernel<Attrs3d>,
  Conv3DBackpropInputV2: ((backend, { dy, filter }, attrs) =>
    backend.run(
      'Conv3DBackpropInputV2',
      [backend.list(attrs.inputShape), filter, dy],
      attrs3d(attrs),
    )) as Kernel<Attrs3d>,
  MaxPool3D: ((backend, { x }, attrs) => backend.run('MaxPool3D', [x], attrs3d(attrs))) as Kernel<Attrs3d>,
  MaxPool3DGrad: ((backend, { dy, input, output }, attrs) =>
    backend.run('MaxPool3DGrad', [input, output, dy], attrs3d(attrs))) as Kernel<Attrs3d>,
};

interface SumAttrs extends PoolConfig {
  readonly inputShape: Shape4;
}

/** Height and width of a kernel with its gaps. */
function dilatedKernel({ kernel, dilation }: PoolConfig): [number, number] {
  return [dilation[0] * (kernel[0] - 1) + 1, dilation[1] * (kernel[1] - 1) + 1];
}

/** The depthwise filter [kh,kw,C,1] that sums: ones at the taps, zeros in the gaps. */
function tapsOfOnes(backend: TensorflowBackend, channels: number, p: PoolConfig): Handle {
  const [h, w] = dilatedKernel(p);
  return backend.kept(`taps ${h} ${w} ${p.dilation} ${channels}`, () => {
    const values = new Float32Array(h * w * channels);
    for (let i = 0; i < h; i += p.dilation[0])
      for (let j = 0; j < w; j += p.dilation[1])
        values.fill(1, (i * w + j) * channels, (i * w + j + 1) * channels);
    return backend.binding.create(TF_FLOAT, [h, w, channels, 1], values);
  });
}

function depthwiseSum(
  backend: TensorflowBackend,
  x: Info,
  p: PoolConfig,
  padding: readonly [number, number],
): Info {
  const window = ownWindow(dilatedKernel(p), { stride: p.stride, padding, dilation: [1, 1] });
  return backend.run(
    'DepthwiseConv2dNative',
    [x, tapsOfOnes(backend, x.shape[3], p)],
    windowAttrs(window, [x.shape[1], x.shape[2]]),
  );
}

export const POOLS: KernelTable = {
  AvgPool: avgPool,
  AvgPoolGrad: avgPoolGrad,
  MaxPool: maxPool,
  MaxPoolGrad: maxPoolGrad,
  ...VOLUMES,
  FactSumPool2d: ((backend, { x }, p) => {
    if (x.shape[3] > 1 && p.stride[0] === p.stride[1]) return depthwiseSum(backend, x, p, p.padding);
    return tf.tidy(() => composedSumPool2d(x as tf.Tensor4D, p));
  }) as Kernel<SumAttrs>,
  FactSumPool2dGrad: ((backend, { dy }, p) => {
    const { inputShape, stride, padding } = p;
    const [h, w] = dilatedKernel(p).map((size, axis) => size - 1 - padding[axis]);
    const channels = inputShape[3];
    // One pixel at a time, the transpose of a sum over windows is a sum over windows.
    if (channels > 1 && stride[0] === 1 && stride[1] === 1 && h >= 0 && w >= 0)
      return depthwiseSum(backend, dy, p, [h, w]);
    if (channels === 1 || stride[0] !== stride[1])
      return tf.tidy(() => composedSumPool2dGrad(dy as tf.Tensor4D, inputShape, p));
    const ones = tapsOfOnes(backend, channels, p);
    const attrs = windowAttrs(ownWindow(dilatedKernel(p), { stride, padding, dilation: [1, 1] }), [
      inputShape[1],
      inputShape[2],
    ]);
    return backend.run('DepthwiseConv2dNativeBackpropInput', [backend.list(inputShape), ones, dy], attrs);
  }) as Kernel<SumAttrs>,
};
