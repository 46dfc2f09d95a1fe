import type * as tf from '@tensorflow/tfjs';
import { type Graph, type Shape, type Sym, sizeOf } from '../graph.js';
import { mul } from './elementwise.js';
import { broadcastTo, reshape, transpose } from './layout.js';
import { type Attrs, attrsOf, type LoweringTable } from './lowering.js';
import {
  isPadded,
  isUnitStride,
  outputPadding,
  paddedWindow,
  padImage,
  stockPooling,
  toChannelsFirst,
  toChannelsLast,
  type WindowGeometry,
  windowAttributes,
} from './window.js';

const FLOAT = 'float32';

type PoolAttrs = tf.AvgPoolAttrs;

function pooling(image: Shape, attrs: Attrs): WindowGeometry {
  return stockPooling(image, attrsOf<PoolAttrs>(attrs));
}

/** Pooling attributes: in opset 17 average pooling has no dilation. */
function poolAttributes(w: WindowGeometry): {
  kernel_shape: readonly number[];
  strides: readonly number[];
  pads: readonly number[];
} {
  const { kernel_shape, strides, pads } = windowAttributes(w);
  return { kernel_shape, strides, pads };
}

function ones(graph: Graph, channels: number, kernel: readonly [number, number]): Sym {
  const shape = [channels, 1, ...kernel];
  const values = new Float32Array(sizeOf(shape)).fill(1);
  return { shape, dtype: FLOAT, name: graph.constant(FLOAT, shape, values) };
}

/** Sum over a window of an NCHW image, zeros outside. */
function windowSum(graph: Graph, x: Sym, w: WindowGeometry): Sym {
  const area = w.kernel[0] * w.kernel[1];
  if (area === 1 && isUnitStride(w) && !isPadded(w)) return x;
  const shape = [x.shape[0], x.shape[1], ...w.output];
  const isDilated = w.dilation.some((rate) => rate !== 1);
  const isOverPadded = w.pads.some((amount, side) => amount >= w.kernel[side % 2]);
  if (isDilated || isOverPadded) {
    const attributes = { ...windowAttributes(w), group: x.shape[1] };
    return graph.node('Conv', [x, ones(graph, x.shape[1], w.kernel)], shape, FLOAT, attributes);
  }
  const mean = graph.node('AveragePool', [x], shape, FLOAT, { ...poolAttributes(w), count_include_pad: 1 });
  return area === 1 ? mean : mul(graph, { a: mean, b: graph.scalarSym(area) });
}

/** Transpose of `windowSum`: spreads each output's error over its window. dy NCHW -> NCHW of the input's size. */
function windowSpread(graph: Graph, dy: Sym, w: WindowGeometry): Sym {
  const reach = w.kernel.map((size, axis) => w.dilation[axis] * (size - 1));
  const pads = w.pads.map((amount, side) => reach[side % 2] - amount) as unknown as WindowGeometry['pads'];
  if (isUnitStride(w) && pads.every((amount) => amount >= 0)) {
    return windowSum(graph, dy, { ...w, pads, input: w.output, output: w.input });
  }
  const tiles = w.kernel.every((size, axis) => size === w.stride[axis]) && !isPadded(w);
  if (tiles) return spreadTiles(graph, dy, w);
  if (Math.max(...w.output) <= LONGEST_SPREAD) return spreadByAxis(graph, dy, w);
  const shape = [dy.shape[0], dy.shape[1], ...w.input];
  const attributes = { ...windowAttributes(w), group: dy.shape[1], output_padding: outputPadding(w) };
  return graph.node('ConvTranspose', [dy, ones(graph, dy.shape[1], w.kernel)], shape, FLOAT, attributes);
}

/** Positions along an axis up to which two matrix products spread faster than a transposed convolution; measured. */
const LONGEST_SPREAD = 128;

/** [output, input] along an axis: 1 where the window at an output covers an input. */
function coverage(w: WindowGeometry, axis: 0 | 1): Sym {
  const shape = [w.output[axis], w.input[axis]];
  const values = new Float32Array(sizeOf(shape));
  for (let at = 0; at < shape[0]; at++) {
    for (let tap = 0; tap < w.kernel[axis]; tap++) {
      const place = at * w.stride[axis] + tap * w.dilation[axis] - w.pads[axis];
      if (place >= 0 && place < shape[1]) values[at * shape[1] + place] = 1;
    }
  }
  return { shape, dtype: FLOAT, values };
}

/** A window's spread is that of its columns, then of its rows: two products with 0/1 matrices. */
function spreadByAxis(graph: Graph, dy: Sym, w: WindowGeometry): Sym {
  const [n, c, height] = dy.shape;
  const columns = graph.node('MatMul', [dy, coverage(w, 1)], [n, c, height, w.input[1]], FLOAT);
  const rows = transpose(graph, coverage(w, 0), [1, 0]);
  return graph.node('MatMul', [rows, columns], [n, c, ...w.input], FLOAT);
}

/** Windows side by side: every error repeated over its tile; what the tiles leave over at the end gets zeros. */
function spreadTiles(graph: Graph, dy: Sym, w: WindowGeometry): Sym {
  const [n, c] = dy.shape;
  const [height, width] = w.output;
  const [kh, kw] = w.kernel;
  const cells = reshape(graph, dy, [n, c, height, 1, width, 1]);
  const spread = reshape(graph, broadcastTo(graph, cells, [n, c, height, kh, width, kw]), [
    n,
    c,
    height * kh,
    width * kw,
  ]);
  return padImage(graph, spread, [0, 0, w.input[0] - height * kh, w.input[1] - width * kw]);
}

/** 1 / (number of pixels inside the image) for each window; tfjs's average pooling leaves the padding out. */
function inverseCounts(w: WindowGeometry): Float32Array {
  const count = (position: number, axis: 0 | 1): number => {
    const start = position * w.stride[axis] - w.pads[axis];
    return Math.min(start + w.kernel[axis], w.input[axis]) - Math.max(start, 0);
  };
  const [height, width] = w.output;
  return Float32Array.from(
    { length: height * width },
    (_, i) => 1 / (count(Math.floor(i / width), 0) * count(i % width, 1)),
  );
}

/** Gradient of average pooling: each error divided by its window's count, then spread. */
function averageGradient(graph: Graph, dy: Sym, input: Sym, attrs: Attrs): Sym {
  const w = pooling(input.shape, attrs);
  const errors = toChannelsFirst(graph, dy);
  const inverse: Sym = isPadded(w)
    ? { shape: [1, 1, ...w.output], dtype: FLOAT, values: inverseCounts(w) }
    : graph.scalarSym(1 / (w.kernel[0] * w.kernel[1]));
  return toChannelsLast(graph, windowSpread(graph, mul(graph, { a: errors, b: inverse }), w));
}

/**
 * Gradient of max pooling: ONNX's MaxPool also gives the place of each maximum (the first among equals, as tfjs
 * takes it) in the flattened NCHW image; the errors are added there.
 */
function maxGradient(graph: Graph, dy: Sym, input: Sym, attrs: Attrs): Sym {
  const w = pooling(input.shape, attrs);
  const image = toChannelsFirst(graph, input);
  const [, places] = graph.emitAll('MaxPool', [graph.nameOf(image)], poolAttributes(w), 2);
  const errors = reshape(graph, toChannelsFirst(graph, dy), [sizeOf(dy.shape)]);
  const flatPlaces = graph.emit('Reshape', [places, graph.ints([sizeOf(dy.shape)])]);
  const length = sizeOf(image.shape);
  const zeros = graph.emit('Expand', [graph.scalar(0), graph.ints([length])]);
  const flat = graph.node('ScatterElements', [zeros, flatPlaces, errors], [length], FLOAT, {
    axis: 0,
    reduction: 'add',
  });
  return toChannelsLast(graph, reshape(graph, flat, image.shape));
}

function maxPool(graph: Graph, x: Sym, attrs: Attrs): Sym {
  const w = pooling(x.shape, attrs);
  const shape = [x.shape[0], x.shape[3], ...w.output];
  return toChannelsLast(
    graph,
    graph.node('MaxPool', [toChannelsFirst(graph, x)], shape, FLOAT, poolAttributes(w)),
  );
}

function averagePool(graph: Graph, x: Sym, attrs: Attrs): Sym {
  const w = pooling(x.shape, attrs);
  const shape = [x.shape[0], x.shape[3], ...w.output];
  const attributes = { ...poolAttributes(w), count_include_pad: 0 };
  return toChannelsLast(
    graph,
    graph.node('AveragePool', [toChannelsFirst(graph, x)], shape, FLOAT, attributes),
  );
}

interface SumPoolAttrs {
  readonly kernel: readonly [number, number];
  readonly stride: readonly [number, number];
  readonly padding: readonly [number, number];
  readonly dilation: readonly [number, number];
  readonly inputShape: readonly number[];
}

/** [N,H,W,C] -> [N,1,H,W]-like views for one channel cost nothing; see toChannelsFirst for the rest. */
export const poolings: LoweringTable = {
  AvgPool: (graph, { x }, attrs) => averagePool(graph, x, attrs),
  AvgPoolGrad: (graph, { dy, input }, attrs) => averageGradient(graph, dy, input, attrs),
  MaxPool: (graph, { x }, attrs) => maxPool(graph, x, attrs),
  MaxPoolGrad: (graph, { dy, input }, attrs) => maxGradient(graph, dy, input, attrs),
  FactSumPool2d: (graph, { x }, attrs) => {
    const a = attrsOf<SumPoolAttrs>(attrs);
    return toChannelsLast(
      graph,
      windowSum(graph, toChannelsFirst(graph, x), paddedWindow(x.shape, a.kernel, a)),
    );
  },
  FactSumPool2dGrad: (graph, { dy }, attrs) => {
    const a = attrsOf<SumPoolAttrs>(attrs);
    return toChannelsLast(
      graph,
      windowSpread(graph, toChannelsFirst(graph, dy), paddedWindow(a.inputShape, a.kernel, a)),
    );
  },
};
