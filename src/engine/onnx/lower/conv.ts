import type * as tf from '@tensorflow/tfjs';
import type { Graph, Shape, Sym } from '../graph.js';
import { activate, add, mul, sub } from './elementwise.js';
import { filterGradient } from './filterGradient.js';
import { concat, reshape, reverse, slice, transpose } from './layout.js';
import { type Attrs, attrsOf, type LoweringTable, unsupported } from './lowering.js';
import { convolveTiny, isTiny } from './tinyConv.js';
import {
  isUnitStride,
  outputPadding,
  paddedWindow,
  stockConvolution,
  taps,
  toChannelsFirst,
  toChannelsLast,
  type WindowGeometry,
  windowAttributes,
} from './window.js';

/**
 * Convolutions and their two gradients. Images are NHWC, filters HWIO with I the input channels of one group:
 * output channel o belongs to group floor(o / (O / groups)).
 */

interface OwnAttrs {
  readonly stride: readonly [number, number];
  readonly padding: readonly [number, number];
  readonly dilation: readonly [number, number];
  readonly groups: number;
}

type StockAttrs = tf.Conv2DAttrs & { readonly filterShape?: number[]; readonly inputShape?: number[] };

const FLOAT = 'float32';

/** Whether the graph computes or is given the filter; ONNX Runtime has faster ways for constant ones. */
function isComputed(filter: Sym): boolean {
  return filter.values === undefined && filter.uniform === undefined;
}

/** HWIO -> OIHW; the groups' order along O is ONNX's. */
function toOihw(graph: Graph, filter: Sym): Sym {
  return transpose(graph, filter, [3, 2, 0, 1]);
}

function convolve(graph: Graph, x: Sym, weights: Sym, w: WindowGeometry, group: number, bias?: Sym): Sym {
  const shape = [x.shape[0], weights.shape[0], ...w.output];
  const inputs = [toChannelsFirst(graph, x), weights, ...(bias ? [bias] : [])];
  return toChannelsLast(graph, graph.node('Conv', inputs, shape, FLOAT, { ...windowAttributes(w), group }));
}

/**
 * Convolution of [x, 1 - x] with weights [A, B]: that of [x, 1] with [A - B, sum of B], the ones zero in the padding. For
 * filters that the graph computes; passes/inverseChannels.ts does the same, and more, where they are constants.
 */
function convolveInverse(graph: Graph, x: Sym, weights: Sym, w: WindowGeometry): Sym {
  const [outputs, inputs, kh, kw] = weights.shape;
  const half = inputs / 2;
  const [a, b] = [0, half].map((start) => slice(graph, weights, [0, start, 0, 0], [outputs, half, kh, kw]));
  const sum = graph.node('ReduceSum', [b, graph.ints([1])], [outputs, 1, kh, kw], FLOAT, { keepdims: 1 });
  const joined = concat(graph, [sub(graph, { a, b }), sum], 1);
  const ones: Sym = { shape: [...x.shape.slice(0, 3), 1], dtype: FLOAT, uniform: 1 };
  return convolve(graph, concat(graph, [x, ones], 3), joined, w, 1);
}

function convolveTransposed(graph: Graph, dy: Sym, weights: Sym, w: WindowGeometry, group: number): Sym {
  const shape = [dy.shape[0], weights.shape[1] * group, ...w.input];
  const attributes = { ...windowAttributes(w), group, output_padding: outputPadding(w) };
  return toChannelsLast(
    graph,
    graph.node('ConvTranspose', [toChannelsFirst(graph, dy), weights], shape, FLOAT, attributes),
  );
}

/** Most taps that a matrix product turns round: faster than a slice with negative steps, of which one thread runs. */
const MOST_TURNED = 49;

/** OIHW or IOHW with the taps in reverse order. */
function turned(graph: Graph, weights: Sym): Sym {
  const [a, b, h, w] = weights.shape;
  const area = h * w;
  if (area === 1) return weights;
  if (area > MOST_TURNED) return reverse(graph, weights, [2, 3]);
  const values = new Float32Array(area * area);
  for (let tap = 0; tap < area; tap++) values[tap * area + area - 1 - tap] = 1;
  const backwards: Sym = { shape: [area, area], dtype: FLOAT, values };
  const rows = reshape(graph, weights, [a * b, area]);
  const product = graph.node('MatMul', [rows, backwards], [a * b, area], FLOAT);
  return reshape(graph, product, weights.shape);
}

function isConstant(filter: Sym): boolean {
  return filter.values !== undefined || filter.uniform !== undefined;
}

/** HWIO -> the weights of the reverse convolution: turned in H and W, input and output channels swapped per group. */
function toReversed(graph: Graph, filter: Sym, groups: number): Sym {
  const stored = toOihw(graph, filter);
  // Constant filters are turned round when the graph is loaded, in a form that passes see through.
  const backwards = isConstant(filter) ? reverse(graph, stored, [2, 3]) : turned(graph, stored);
  if (groups === 1) return transpose(graph, backwards, [1, 0, 2, 3]);
  const [outputs, inputs, h, w] = backwards.shape;
  const split = reshape(graph, backwards, [groups, outputs / groups, inputs, h, w]);
  const swapped = transpose(graph, split, [0, 2, 1, 3, 4]);
  return reshape(graph, swapped, [groups * inputs, outputs / groups, h, w]);
}

/** The geometry of dx = conv(dy, reversed filter) for stride 1, or undefined where its padding would be negative. */
function reversedWindow(w: WindowGeometry): WindowGeometry | undefined {
  if (!isUnitStride(w)) return undefined;
  const reach = w.kernel.map((size, axis) => w.dilation[axis] * (size - 1));
  const pads = w.pads.map((amount, side) => reach[side % 2] - amount) as unknown as WindowGeometry['pads'];
  return pads.some((amount) => amount < 0) ? undefined : { ...w, pads, input: w.output, output: w.input };
}

function inputGradient(graph: Graph, dy: Sym, filter: Sym, w: WindowGeometry, groups: number): Sym {
  const reversed = reversedWindow(w);
  if (reversed && groups === 1 && isComputed(filter) && isTiny(dy.shape[0], filter.shape[2], reversed))
    return convolveTiny(graph, dy, transpose(graph, toOihw(graph, filter), [1, 0, 2, 3]), reversed, true);
  if (reversed) return convolve(graph, dy, toReversed(graph, filter, groups), reversed, groups);
  return convolveTransposed(graph, dy, toOihw(graph, filter), w, groups);
}

/** Depthwise: each tap times dy, summed over images and pixels; filter [kh,kw,C,multiplier] or [kh,kw,1,C]. */
function depthwiseFilterGradient(graph: Graph, x: Sym, dy: Sym, filterShape: Shape, w: WindowGeometry): Sym {
  const channels = x.shape[3];
  const multiplier = dy.shape[3] / channels;
  const errors = toChannelsFirst(graph, dy);
  const [n, , h, wide] = errors.shape;
  const split = multiplier === 1 ? errors : reshape(graph, errors, [n, channels, multiplier, h, wide]);
  const axes = graph.ints(multiplier === 1 ? [0, 2, 3] : [0, 3, 4]);
  const sums = taps(graph, x, w).map((tap) => {
    const block = multiplier === 1 ? tap : reshape(graph, tap, [n, channels, 1, h, wide]);
    const product = mul(graph, { a: block, b: split });
    const sum = graph.node(
      'ReduceSum',
      [product, axes],
      multiplier === 1 ? [channels] : [channels, multiplier],
      FLOAT,
      { keepdims: 0 },
    );
    return reshape(graph, sum, [1, channels * multiplier]);
  });
  return reshape(graph, concat(graph, sums, 0), filterShape);
}

/** tfjs's depthwise filter [h,w,C,m] -> ONNX weights [C m, 1, h, w]. */
function depthwiseWeights(graph: Graph, filter: Sym): Sym {
  const [h, w, channels, multiplier] = filter.shape;
  return reshape(graph, transpose(graph, filter, [2, 3, 0, 1]), [channels * multiplier, 1, h, w]);
}

function stock(attrs: Attrs): StockAttrs {
  return attrsOf<StockAttrs>(attrs);
}

function required(shape: number[] | undefined, kernel: string, name: string): number[] {
  if (shape === undefined) throw unsupported(kernel, `no ${name}`);
  return shape;
}

function ownWindow(image: Shape, filter: Shape, attrs: Attrs): { w: WindowGeometry; groups: number } {
  const own = attrsOf<OwnAttrs>(attrs);
  return { w: paddedWindow(image, [filter[0], filter[1]], own), groups: own.groups };
}

export const convolutions: LoweringTable = {
  Conv2D: (graph, { x, filter }, attrs) =>
    convolve(
      graph,
      x,
      toOihw(graph, filter),
      stockConvolution(x.shape, filter.shape, stock(attrs), false),
      1,
    ),
  FusedConv2D: (graph, { x, filter, bias, preluActivationWeights }, attrs) => {
    const { activation, leakyreluAlpha } = attrsOf<tf.FusedConv2DAttrs>(attrs);
    const w = stockConvolution(x.shape, filter.shape, stock(attrs), false);
    const isVector = bias?.shape.length === 1;
    const product = convolve(graph, x, toOihw(graph, filter), w, 1, isVector ? bias : undefined);
    const biased = bias && !isVector ? add(graph, { a: product, b: bias }) : product;
    return activate(graph, biased, activation, { alpha: leakyreluAlpha, weights: preluActivationWeights });
  },
  Conv2DBackpropInput: (graph, { dy, filter }, attrs) => {
    const image = required(stock(attrs).inputShape, 'Conv2DBackpropInput', 'inputShape');
    return inputGradient(graph, dy, filter, stockConvolution(image, filter.shape, stock(attrs), false), 1);
  },
  Conv2DBackpropFilter: (graph, { x, dy }, attrs) => {
    const shape = required(stock(attrs).filterShape, 'Conv2DBackpropFilter', 'filterShape');
    return filterGradient(graph, x, dy, shape, stockConvolution(x.shape, shape, stock(attrs), false), 1);
  },
  DepthwiseConv2dNative: (graph, { x, filter }, attrs) => {
    const w = stockConvolution(x.shape, filter.shape, stock(attrs), true);
    return convolve(graph, x, depthwiseWeights(graph, filter), w, x.shape[3]);
  },
  DepthwiseConv2dNativeBackpropInput: (graph, { dy, filter }, attrs) => {
    const image = required(stock(attrs).inputShape, 'DepthwiseConv2dNativeBackpropInput', 'inputShape');
    const w = stockConvolution(image, filter.shape, stock(attrs), true);
    return convolveTransposed(graph, dy, depthwiseWeights(graph, filter), w, image[3]);
  },
  DepthwiseConv2dNativeBackpropFilter: (graph, { x, dy }, attrs) => {
    const shape = required(stock(attrs).filterShape, 'DepthwiseConv2dNativeBackpropFilter', 'filterShape');
    return depthwiseFilterGradient(graph, x, dy, shape, stockConvolution(x.shape, shape, stock(attrs), true));
  },
  FactConv2d: (graph, { x, filter }, attrs) => {
    const { w, groups } = ownWindow(x.shape, filter.shape, attrs);
    const weights = toOihw(graph, filter);
    if (groups === 1 && isComputed(filter)) {
      if (x.withInverse !== undefined) return convolveInverse(graph, x.withInverse, weights, w);
      if (isTiny(x.shape[0], weights.shape[0], w)) return convolveTiny(graph, x, weights, w, false);
    }
    return convolve(graph, x, weights, w, groups);
  },
  FactConv2dInputGrad: (graph, { dy, filter }, attrs) => {
    const { w, groups } = ownWindow(attrsOf<{ inputShape: number[] }>(attrs).inputShape, filter.shape, attrs);
    return inputGradient(graph, dy, filter, w, groups);
  },
  FactConv2dFilterGrad: (graph, { x, dy }, attrs) => {
    const { filterShape } = attrsOf<{ filterShape: number[] }>(attrs);
    const { w, groups } = ownWindow(x.shape, filterShape, attrs);
    const isDepthwise = groups === x.shape[3] && groups > 1 && filterShape[3] === groups;
    if (isDepthwise) return depthwiseFilterGradient(graph, x, dy, filterShape, w);
    return filterGradient(graph, x, dy, filterShape, w, groups);
  },
};
