import type * as tf from '@tensorflow/tfjs';
import type { Graph, Sym } from '../graph.js';
import { add, realDiv, sub } from './elementwise.js';
import { gatherPlaces } from './layout.js';
import { type Attrs, attrsOf, type Inputs, type LoweringTable } from './lowering.js';
import { toChannelsFirst, toChannelsLast } from './window.js';

/** (x - mean) scale / sqrt(variance + epsilon) + offset, the quotient made on the small vectors. */
function batchNorm(graph: Graph, { x, mean, variance, offset, scale }: Inputs, attrs: Attrs): Sym {
  const { varianceEpsilon } = attrsOf<tf.FusedBatchNormAttrs>(attrs);
  const shifted = add(graph, { a: variance, b: graph.scalarSym(varianceEpsilon) });
  const root = graph.node('Sqrt', [shifted], shifted.shape, 'float32');
  const factor = realDiv(graph, scale ?? graph.scalarSym(1), root);
  const normalized = graph.node('Mul', [sub(graph, { a: x, b: mean }), factor], x.shape, 'float32');
  return offset ? add(graph, { a: normalized, b: offset }) : normalized;
}

interface ResizeAttrs {
  readonly size: readonly [number, number];
  readonly alignCorners: boolean;
  readonly halfPixelCenters: boolean;
}

/** Distance between neighbouring output samples, in input pixels; as in tfjs's cpu kernels. */
function sampleStep(input: number, output: number, alignCorners: boolean): number {
  return alignCorners && output > 1 ? (input - 1) / (output - 1) : input / output;
}

function nearestPlaces(input: number, output: number, a: ResizeAttrs): Int32Array {
  const step = sampleStep(input, output, a.alignCorners);
  return Int32Array.from({ length: output }, (_, i) => {
    const at = a.halfPixelCenters ? step * (i + 0.5) : step * i;
    const place = Math.min(input - 1, a.alignCorners ? Math.round(at) : Math.floor(at));
    return a.halfPixelCenters ? Math.max(0, place) : place;
  });
}

/** The weights [output, input] of bilinear interpolation along one axis. */
function bilinearWeights(input: number, output: number, a: ResizeAttrs): Float32Array {
  const step = sampleStep(input, output, a.alignCorners);
  const weights = new Float32Array(output * input);
  for (let i = 0; i < output; i++) {
    const at = Math.max(0, a.halfPixelCenters ? step * (i + 0.5) - 0.5 : step * i);
    const low = Math.min(input - 1, Math.floor(at));
    const high = Math.min(input - 1, Math.ceil(at));
    weights[i * input + low] += 1 - (at - low);
    weights[i * input + high] += at - low;
  }
  return weights;
}

function nearestWeights(input: number, output: number, a: ResizeAttrs): Float32Array {
  const weights = new Float32Array(output * input);
  nearestPlaces(input, output, a).forEach((place, i) => {
    weights[i * input + place] = 1;
  });
  return weights;
}

type AxisWeights = (input: number, output: number, a: ResizeAttrs) => Float32Array;

/** Resizing is linear, rows by [H',H] and columns by [W',W] weights: y = R x C^T. Two small matrix products. */
function resize(graph: Graph, images: Sym, attrs: Attrs, weights: AxisWeights): Sym {
  const a = attrsOf<ResizeAttrs>(attrs);
  const [n, h, w, c] = images.shape;
  const [height, width] = a.size;
  const rows = graph.constant('float32', [height, h], weights(h, height, a));
  const columns = graph.constant('float32', [w, width], transposed(weights(w, width, a), width, w));
  const image = toChannelsFirst(graph, images);
  const tall = graph.node('MatMul', [rows, image], [n, c, height, w], 'float32');
  return toChannelsLast(graph, graph.node('MatMul', [tall, columns], [n, c, height, width], 'float32'));
}

/** The transpose of `resize`: dx = R^T dy C. */
function resizeGradient(graph: Graph, { images, dy }: Inputs, attrs: Attrs, weights: AxisWeights): Sym {
  const [n, h, w, c] = images.shape;
  const [, height, width] = dy.shape;
  const a: ResizeAttrs = { ...attrsOf<ResizeAttrs>(attrs), size: [height, width] };
  const rows = graph.constant('float32', [h, height], transposed(weights(h, height, a), height, h));
  const columns = graph.constant('float32', [width, w], weights(w, width, a));
  const tall = graph.node('MatMul', [rows, toChannelsFirst(graph, dy)], [n, c, h, width], 'float32');
  return toChannelsLast(graph, graph.node('MatMul', [tall, columns], [n, c, h, w], 'float32'));
}

function transposed(matrix: Float32Array, rows: number, columns: number): Float32Array {
  return Float32Array.from(matrix, (_, i) => matrix[(i % rows) * columns + Math.floor(i / rows)]);
}

export const misc: LoweringTable = {
  FusedBatchNorm: batchNorm,
  ResizeBilinear: (graph, { images }, attrs) => resize(graph, images, attrs, bilinearWeights),
  ResizeBilinearGrad: (graph, inputs, attrs) => resizeGradient(graph, inputs, attrs, bilinearWeights),
  ResizeNearestNeighbor: (graph, { images }, attrs) => {
    const a = attrsOf<ResizeAttrs>(attrs);
    const tall = gatherPlaces(graph, images, nearestPlaces(images.shape[1], a.size[0], a), 1);
    return gatherPlaces(graph, tall, nearestPlaces(images.shape[2], a.size[1], a), 2);
  },
  ResizeNearestNeighborGrad: (graph, inputs, attrs) => resizeGradient(graph, inputs, attrs, nearestWeights),
};
