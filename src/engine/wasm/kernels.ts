/** Which kernels of the `wasm` backend are this package's: those that tfjs lacks there and those that it does slowly. */
import * as tf from '@tensorflow/tfjs';
import { FactError } from '../../core/errors.js';
import { indexError } from '../kernels/lastAxis.js';
import type { ConvConfig, PoolConfig } from '../kernels/windows.js';
import { avgPoolGrad } from './avgPoolGrad.js';
import { concat, gather, identity, tile } from './copies.js';
import { einsum } from './einsum.js';
import { batchMatMul, fusedMatMul } from './matMul.js';
import { type Native, nativeOf } from './native.js';
import { type ReduceAttrs, sumMiddle } from './reduce.js';
import {
  conv2d,
  conv2dFilterGrad,
  conv2dInputGrad,
  convGeometry,
  type Geometry,
  maxPoolGrad,
  poolGeometry,
  sumPool,
} from './windows.js';

/** Attributes of all kernels below in one record: each reads its own. */
interface Attrs extends ConvConfig, PoolConfig, ReduceAttrs {
  readonly inputShape: [number, number, number, number];
  readonly filterShape: [number, number, number, number];
  readonly depth: number;
  readonly numSegments: number;
  readonly transposeA: boolean;
  readonly transposeB: boolean;
  readonly reps: number[];
  readonly batchDims: number;
  readonly equation: string;
  readonly filterSize: number | [number, number];
  readonly activation: string;
  readonly leakyreluAlpha?: number;
  readonly strides: number | [number, number];
  readonly dilations: number | [number, number];
  readonly pad: 'same' | 'valid' | number | tf.backend_util.ExplicitPadding;
  readonly dimRoundingMode?: 'floor' | 'round' | 'ceil';
}

/** A kernel; null hands the work to tfjs's own kernel of that name. */
type Kernel = (native: Native, inputs: Record<string, tf.Tensor>, attrs: Attrs) => tf.TensorInfo | null;

/** The window of one of tfjs's own convolution kernels. */
function stockGeometry(
  image: [number, number, number, number],
  filter: [number, number, number, number],
  attrs: Attrs,
  depthwise: boolean,
): Geometry {
  const { strides, dilations, pad, dimRoundingMode } = attrs;
  const c = tf.backend_util.computeConv2DInfo(
    image,
    filter,
    strides,
    dilations ?? 1,
    pad,
    dimRoundingMode,
    depthwise,
    'channelsLast',
  );
  return {
    image,
    out: [c.outHeight, c.outWidth],
    filters: c.outChannels,
    kernel: [c.filterHeight, c.filterWidth],
    stride: [c.strideHeight, c.strideWidth],
    before: [c.padInfo.top, c.padInfo.left],
    dilation: [c.dilationHeight, c.dilationWidth],
    groups: depthwise ? c.inChannels : 1,
  };
}

/** The window of one of tfjs's own pooling kernels. */
function stockPool(image: [number, number, number, number], attrs: Attrs): Geometry {
  const { filterSize, strides, pad, dimRoundingMode } = attrs;
  const c = tf.backend_util.computePool2DInfo(image, filterSize, strides, 1, pad, dimRoundingMode);
  return {
    image,
    out: [c.outHeight, c.outWidth],
    filters: image[3],
    kernel: [c.filterHeight, c.filterWidth],
    stride: [c.strideHeight, c.strideWidth],
    before: [c.padInfo.top, c.padInfo.left],
    dilation: [1, 1],
    groups: image[3],
  };
}

function shape4(tensor: tf.Tensor): [number, number, number, number] {
  return tensor.shape as [number, number, number, number];
}

function lastOf(shape: readonly number[]): number {
  return shape[shape.length - 1];
}

function throwBadIndex(op: string, indices: tf.Tensor, at: number, depth: number): void {
  if (at >= 0) throw indexError(op, indices.dataSync()[at], depth);
}

const KERNELS: Readonly<Record<string, Kernel>> = {
  Identity: (native, { x }) => identity(native, x),
  Concat: (native, inputs, { axis }) => concat(native, Object.values(inputs), axis as number),
  Tile: (native, { x }, { reps }) => tile(native, x, reps),
  GatherV2: (native, { x, indices }, { axis, batchDims }) =>
    gather(native, x, indices, axis as number, batchDims),
  Sum: (native, { x }, attrs) => sumMiddle(native, x, attrs, false),
  Mean: (native, { x }, attrs) => sumMiddle(native, x, attrs, true),
  BatchMatMul: (native, { a, b }, attrs) => batchMatMul(native, a, b, attrs),
  _FusedMatMul: (native, inputs, attrs) => fusedMatMul(native, inputs, attrs),
  Conv2DBackpropInput: (native, { dy, filter }, attrs) =>
    conv2dInputGrad(native, stockGeometry(attrs.inputShape, shape4(filter), attrs, false), dy, filter),
  Conv2DBackpropFilter: (native, { x, dy }, attrs) => {
    const g = stockGeometry(shape4(x), attrs.filterShape, attrs, false);
    return conv2dFilterGrad(native, g, x, dy, attrs.filterShape);
  },
  DepthwiseConv2dNativeBackpropInput: (native, { dy, filter }, attrs) =>
    conv2dInputGrad(native, stockGeometry(attrs.inputShape, shape4(filter), attrs, true), dy, filter),
  DepthwiseConv2dNativeBackpropFilter: (native, { x, dy }, attrs) => {
    const g = stockGeometry(shape4(x), attrs.filterShape, attrs, true);
    return conv2dFilterGrad(native, g, x, dy, attrs.filterShape);
  },
  UnsortedSegmentSum: (native, { x, segmentIds }, { numSegments }) => {
    const rows = segmentIds.size;
    const rest = x.shape.slice(segmentIds.rank);
    const size = rest.reduce((a, b) => a * b, 1);
    const out = native.output([numSegments, ...rest], 'zeros');
    const [px, ids] = [native.pointer(x), native.pointer(segmentIds)];
    native.call('segmentSum', rows, size, numSegments, px, ids, native.pointer(out));
    return out;
  },
  Einsum: (_, inputs, { equation }) =>
    tf.tidy(() =>
      einsum(
        Object.keys(inputs).map((key) => inputs[key]),
        equation,
      ),
    ),
  AvgPoolGrad: (native, { dy, input }, attrs) =>
    tf.tidy(() =>
      tf.engine().makeTensorFromTensorInfo(avgPoolGrad(native, stockPool(shape4(input), attrs), dy)),
    ),
  MaxPoolGrad: (native, { dy, input }, attrs) =>
    maxPoolGrad(native, stockPool(shape4(input), attrs), input, dy),
  Conv3DBackpropInputV2: () => {
    throw new FactError({
      code: 'E_ENGINE_UNSUPPORTED',
      message: "engine wasm: conv3d's gradient to its input, which tfjs computes wrongly there",
      remedy: 'Use the onnx or the cpu engine.',
    });
  },
  FactConv2d: (native, { x, filter }, attrs) =>
    conv2d(native, convGeometry(x.shape, filter.shape, attrs), x, filter),
  FactConv2dInputGrad: (native, { dy, filter }, attrs) =>
    conv2dInputGrad(native, convGeometry(attrs.inputShape, filter.shape, attrs), dy, filter),
  FactConv2dFilterGrad: (native, { x, dy }, attrs) =>
    conv2dFilterGrad(native, convGeometry(x.shape, attrs.filterShape, attrs), x, dy, attrs.filterShape),
  FactSumPool2d: (native, { x }, attrs) => sumPool(native, poolGeometry(x.shape, attrs), x, 'sumPool'),
  FactSumPool2dGrad: (native, { dy }, attrs) =>
    sumPool(native, poolGeometry(attrs.inputShape, attrs), dy, 'sumPoolGrad'),
  FactGroupSum: (_, { x }, { groups }) => {
    const [n, h, w, channels] = shape4(x);
    return tf.tidy(() => tf.sum(tf.reshape(x, [n, h, w, groups, channels / groups]), -1));
  },
  FactScatterLast: (native, { values, indices }, { depth }) => {
    const k = lastOf(values.shape);
    const out = native.output([...values.shape.slice(0, -1), depth], 'zeros');
    const pointers = [values, indices, out].map((t) => native.pointer(t));
    throwBadIndex(
      'FactScatterLast',
      indices,
      native.call('scatterLast', values.size / k, k, depth, ...pointers),
      depth,
    );
    return out;
  },
  FactGatherLast: (native, { x, indices }) => {
    const k = lastOf(indices.shape);
    const depth = lastOf(x.shape);
    const out = native.output(indices.shape);
    const pointers = [x, indices, out].map((t) => native.pointer(t));
    throwBadIndex(
      'FactGatherLast',
      indices,
      native.call('gatherLast', indices.size / k, k, depth, ...pointers),
      depth,
    );
    return out;
  },
};

/** Names of the kernels that this package adds to, or replaces in, the `wasm` backend. */
export function ownWasmKernels(): string[] {
  return Object.keys(KERNELS);
}

let registered = false;

/** Registers them. Safe to call again. */
export function registerWasmKernels(): void {
  if (registered) return;
  registered = true;
  for (const [kernelName, run] of Object.entries(KERNELS)) {
    const stock = tf.getKernel(kernelName, 'wasm');
    if (stock !== undefined) tf.unregisterKernel(kernelName, 'wasm');
    tf.registerKernel({
      ...stock,
      kernelName,
      backendName: 'wasm',
      kernelFunc: (call) => {
        const native = nativeOf(call.backend as tf.KernelBackend);
        const own = run(native, call.inputs as Record<string, tf.Tensor>, call.attrs as unknown as Attrs);
        if (own !== null) return own;
        if (stock === undefined)
          throw new Error(`${kernelName}: no kernel for these inputs on the wasm engine`);
        return stock.kernelFunc(call);
      },
    });
  }
}
