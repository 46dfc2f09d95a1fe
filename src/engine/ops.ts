/**
 * Operations that stock tfjs lacks or gets wrong: convolutions with numeric padding, dilation and groups and their
 * two gradients, the sum over a window, scatter and gather along the last axis. Every engine implements the eight
 * kernels named here. They are plain functions of tensors, unknown to the tape: layers use them inside
 * `tf.customGrad`. Layout NHWC, float32; the caller owns the results.
 *
 * All are linear. With y = conv2d(x, f):
 *     y[n,p,q,o] = sum over i,j,c of f[i,j,c,o] x[n, p s - P + i d, q s - P + j d, c]      (c within the group of o)
 * `conv2dInputGrad` is its transpose in x, `conv2dFilterGrad` its transpose in f.
 */
import * as tf from '@tensorflow/tfjs';
import { FactError } from '../core/errors.js';
import { type ConvConfig, type PoolConfig, type WindowConfig, windowOutput } from './kernels/windows.js';

export type { ConvConfig, PoolConfig, WindowConfig } from './kernels/windows.js';

export const CONV_2D = 'FactConv2d';
export const CONV_2D_INPUT_GRAD = 'FactConv2dInputGrad';
export const CONV_2D_FILTER_GRAD = 'FactConv2dFilterGrad';
export const SUM_POOL_2D = 'FactSumPool2d';
export const SUM_POOL_2D_GRAD = 'FactSumPool2dGrad';
export const SCATTER_LAST = 'FactScatterLast';
export const GATHER_LAST = 'FactGatherLast';
export const GROUP_SUM = 'FactGroupSum';

type Shape4 = readonly [number, number, number, number];

function shapeError(op: string, message: string): FactError {
  return new FactError({
    code: 'E_SHAPE',
    message: `${op}: ${message}`,
    remedy: 'Check the shapes of the tensors that the layer gives to this operation.',
  });
}

function show(shape: readonly number[]): string {
  return `[${shape.join(',')}]`;
}

function expectShape(
  op: string,
  what: string,
  received: readonly number[],
  expected: readonly number[],
): void {
  if (received.length !== expected.length || received.some((size, i) => size !== expected[i]))
    throw shapeError(op, `${what} has shape ${show(received)}, expected ${show(expected)}`);
}

function expectRank4(op: string, what: string, shape: readonly number[]): Shape4 {
  if (shape.length !== 4) throw shapeError(op, `${what} has shape ${show(shape)}, expected four axes`);
  return shape as unknown as Shape4;
}

function expectFloat(op: string, what: string, tensor: tf.Tensor): void {
  if (tensor.dtype !== 'float32') throw shapeError(op, `${what} is ${tensor.dtype}, expected float32`);
}

function expectPair(op: string, what: string, pair: readonly number[], least: number): void {
  if (pair.length !== 2 || pair.some((v) => !Number.isInteger(v) || v < least))
    throw shapeError(op, `${what} is ${show(pair)}, expected two whole numbers >= ${least}`);
}

function outputOf(
  op: string,
  image: Shape4,
  kernel: readonly [number, number],
  c: WindowConfig,
): [number, number] {
  expectPair(op, 'kernel', kernel, 1);
  expectPair(op, 'stride', c.stride, 1);
  expectPair(op, 'padding', c.padding, 0);
  expectPair(op, 'dilation', c.dilation, 1);
  const [height, width] = windowOutput(image[1], image[2], kernel, c);
  if (height < 1 || width < 1) {
    throw shapeError(
      op,
      `a kernel of ${show(kernel)} (dilation ${show(c.dilation)}) does not fit into an image of ${image[1]}x${image[2]} with padding ${show(c.padding)}`,
    );
  }
  return [height, width];
}

/** Checks image, filter and config against each other; returns the output's shape. */
function convOutput(
  op: string,
  image: Shape4,
  filter: Shape4,
  c: ConvConfig,
): [number, number, number, number] {
  const { groups } = c;
  if (!Number.isInteger(groups) || groups < 1) throw shapeError(op, `groups is ${groups}, expected a count`);
  if (image[3] !== filter[2] * groups || filter[3] % groups !== 0) {
    throw shapeError(
      op,
      `a filter of shape ${show(filter)} in ${groups} group(s) does not fit ${image[3]} input channels`,
    );
  }
  const [height, width] = outputOf(op, image, [filter[0], filter[1]], c);
  return [image[0], height, width, filter[3]];
}

function windowAttrs(c: WindowConfig): Record<string, number[]> {
  return { stride: [...c.stride], padding: [...c.padding], dilation: [...c.dilation] };
}

function runKernel<R extends tf.Tensor>(
  name: string,
  inputs: Record<string, tf.Tensor>,
  attrs: Record<string, number | number[]>,
  outputShape: readonly number[],
): R {
  const isEmpty = outputShape.includes(0) || Object.values(inputs).some((t) => t.size === 0);
  if (isEmpty) return tf.zeros([...outputShape]) as R;
  return tf.engine().runKernel(name, inputs, attrs) as R;
}

/**
 * Convolution. x [N,H,W,Cin], filter [kh,kw,Cin/groups,Cout] -> [N,H',W',Cout].
 * Throws FactError E_SHAPE.
 */
export function conv2d(x: tf.Tensor4D, filter: tf.Tensor4D, c: ConvConfig): tf.Tensor4D {
  expectFloat(CONV_2D, 'x', x);
  expectFloat(CONV_2D, 'filter', filter);
  const image = expectRank4(CONV_2D, 'x', x.shape);
  const shape = convOutput(CONV_2D, image, expectRank4(CONV_2D, 'filter', filter.shape), c);
  return runKernel(CONV_2D, { x, filter }, { ...windowAttrs(c), groups: c.groups }, shape);
}

/** Gradient of `conv2d` to its image: dy [N,H',W',Cout], filter -> inputShape [N,H,W,Cin]. Throws FactError E_SHAPE. */
export function conv2dInputGrad(
  dy: tf.Tensor4D,
  filter: tf.Tensor4D,
  inputShape: Shape4,
  c: ConvConfig,
): tf.Tensor4D {
  const op = CONV_2D_INPUT_GRAD;
  expectFloat(op, 'dy', dy);
  expectFloat(op, 'filter', filter);
  const image = expectRank4(op, 'inputShape', inputShape);
  expectShape(op, 'dy', dy.shape, convOutput(op, image, expectRank4(op, 'filter', filter.shape), c));
  const attrs = { ...windowAttrs(c), groups: c.groups, inputShape: [...inputShape] };
  return runKernel(op, { dy, filter }, attrs, inputShape);
}

/** Gradient of `conv2d` to its filter: x [N,H,W,Cin], dy [N,H',W',Cout] -> filterShape. Throws FactError E_SHAPE. */
export function conv2dFilterGrad(
  x: tf.Tensor4D,
  dy: tf.Tensor4D,
  filterShape: Shape4,
  c: ConvConfig,
): tf.Tensor4D {
  const op = CONV_2D_FILTER_GRAD;
  expectFloat(op, 'x', x);
  expectFloat(op, 'dy', dy);
  const image = expectRank4(op, 'x', x.shape);
  expectShape(op, 'dy', dy.shape, convOutput(op, image, expectRank4(op, 'filterShape', filterShape), c));
  const attrs = { ...windowAttrs(c), groups: c.groups, filterShape: [...filterShape] };
  return runKernel(op, { x, dy }, attrs, filterShape);
}

/**
 * Sum of each channel over a window, zeros outside the image: x [N,H,W,C] -> [N,H',W',C]. Divided by the kernel's
 * area it is PyTorch's average pooling with `count_include_pad`. Throws FactError E_SHAPE.
 */
export function sumPool2d(x: tf.Tensor4D, p: PoolConfig): tf.Tensor4D {
  expectFloat(SUM_POOL_2D, 'x', x);
  const image = expectRank4(SUM_POOL_2D, 'x', x.shape);
  const [height, width] = outputOf(SUM_POOL_2D, image, p.kernel, p);
  const attrs = { ...windowAttrs(p), kernel: [...p.kernel] };
  return runKernel(SUM_POOL_2D, { x }, attrs, [image[0], height, width, image[3]]);
}

/** Gradient of `sumPool2d`: dy [N,H',W',C] -> inputShape [N,H,W,C]. Throws FactError E_SHAPE. */
export function sumPool2dGrad(dy: tf.Tensor4D, inputShape: Shape4, p: PoolConfig): tf.Tensor4D {
  const op = SUM_POOL_2D_GRAD;
  expectFloat(op, 'dy', dy);
  const image = expectRank4(op, 'inputShape', inputShape);
  const [height, width] = outputOf(op, image, p.kernel, p);
  expectShape(op, 'dy', dy.shape, [image[0], height, width, image[3]]);
  const attrs = { ...windowAttrs(p), kernel: [...p.kernel], inputShape: [...inputShape] };
  return runKernel(op, { dy }, attrs, inputShape);
}

function expectIndices(op: string, indices: tf.Tensor): void {
  if (indices.dtype !== 'int32') throw shapeError(op, `indices are ${indices.dtype}, expected int32`);
  if (indices.rank < 1) throw shapeError(op, 'indices are a scalar, expected at least one axis');
}

/**
 * Writes values to places along the last axis, zeros elsewhere: values [...,k], int32 indices [...,k] in [0, depth)
 * -> [...,depth]. The indices of a row must differ. Throws FactError E_SHAPE.
 */
export function scatterLast(values: tf.Tensor, indices: tf.Tensor, depth: number): tf.Tensor {
  expectFloat(SCATTER_LAST, 'values', values);
  expectIndices(SCATTER_LAST, indices);
  expectShape(SCATTER_LAST, 'indices', indices.shape, values.shape);
  if (!Number.isInteger(depth) || depth < 1) throw shapeError(SCATTER_LAST, `depth is ${depth}`);
  const shape = [...values.shape.slice(0, -1), depth];
  return runKernel(SCATTER_LAST, { values, indices }, { depth }, shape);
}

/**
 * Reads places along the last axis: x [...,K], int32 indices [...,k] in [0, K) -> [...,k]; the gradient of
 * `scatterLast` and the reverse. Throws FactError E_SHAPE.
 */
export function gatherLast(x: tf.Tensor, indices: tf.Tensor): tf.Tensor {
  expectFloat(GATHER_LAST, 'x', x);
  expectIndices(GATHER_LAST, indices);
  const k = indices.shape[indices.rank - 1];
  expectShape(GATHER_LAST, 'indices', indices.shape, [...x.shape.slice(0, -1), k]);
  return runKernel(GATHER_LAST, { x, indices }, {}, indices.shape);
}

/**
 * Sum over the consecutive channels of each group: [N,H,W,C] -> [N,H,W,groups]. One pass over x. (A matrix product
 * with ones: several times faster on ONNX Runtime than a reduction over channels.)
 * Throws FactError E_SHAPE.
 */
export function groupSum(x: tf.Tensor4D, groups: number): tf.Tensor4D {
  const [, , , channels] = expectRank4('groupSum', 'x', x.shape);
  expectFloat('groupSum', 'x', x);
  if (!Number.isInteger(groups) || groups < 1 || channels % groups !== 0)
    throw shapeError('groupSum', `${channels} channels do not divide into ${groups} groups`);
  return tf.engine().runKernel(GROUP_SUM, { x }, { groups });
}
