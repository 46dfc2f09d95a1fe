import { type Graph, type NumericDType, ONNX_TYPE, type Shape, type Sym } from '../graph.js';
import { cast, toFloat } from './elementwise.js';
import { reshape } from './layout.js';
import { type Attrs, attrsOf, axesOf, type Lowering, type LoweringTable, positiveAxis } from './lowering.js';
import { transposedView } from './views.js';
import { toChannelsFirst, toChannelsLast } from './window.js';

/** Batch, height, width, channels; filters have as many. */
const IMAGE_AXES = 4;

interface ReduceAttrs {
  readonly axis?: number | readonly number[];
  readonly reductionIndices?: number | readonly number[];
  readonly keepDims?: boolean;
}

function reduce(graph: Graph, op: string, x: Sym, attrs: Attrs): Sym {
  const { axis, reductionIndices, keepDims } = attrsOf<ReduceAttrs>(attrs);
  const axes = axesOf(axis ?? reductionIndices, x.shape);
  if (axes.length === 0) return x;
  if (op === 'ReduceSum' && x.dtype === 'float32') return sum(graph, x, axes, keepDims === true);
  const shape = reducedShape(x.shape, axes, keepDims === true);
  const keepdims = keepDims ? 1 : 0;
  // In opset 17 ReduceSum takes the axes as an input, the others as an attribute.
  if (op === 'ReduceSum') return graph.node(op, [x, graph.ints(axes)], shape, x.dtype, { keepdims });
  return graph.node(op, [x], shape, x.dtype, { axes, keepdims });
}

function reducedShape(shape: Shape, axes: readonly number[], keepDims: boolean): number[] {
  return keepDims
    ? shape.map((size, i) => (axes.includes(i) ? 1 : size))
    : shape.filter((_, i) => !axes.includes(i));
}

/**
 * A sum of floats. Over an image's batch, height and width it is made of two: over the pixels of each channel, which
 * lie side by side, then over the images; layers that sum axis by axis get the same. That is several times faster than
 * starting with the images, and no partial sum runs over all values. A sum of squares reads the values themselves.
 */
function sum(graph: Graph, x: Sym, axes: readonly number[], keepDims: boolean): Sym {
  const before = x.sum;
  if (before !== undefined && keepDims && x.shape.length === IMAGE_AXES) {
    const union = [...new Set([...before.axes, ...axes])].sort((a, b) => a - b);
    return sum(graph, before.of, union, true);
  }
  const { view } = x;
  const isWhole = axes.length === x.shape.length;
  if (view !== undefined && (keepDims || isWhole)) {
    const of = x.square?.view === undefined ? view.of : { ...view.of, square: x.square.view.of };
    const inner = axes.map((axis) => view.perm[axis]).sort((a, b) => a - b);
    const sums = sum(graph, of, inner, keepDims);
    return isWhole ? sums : transposedView(sums, view.perm);
  }
  const later = axes.length > 1 && axes[0] === 0 && x.shape.length >= IMAGE_AXES ? [0] : [];
  const first = axes.filter((axis) => !later.includes(axis));
  const inner = sumNode(graph, x, first, keepDims);
  const outer = later.length > 0 ? sumNode(graph, inner, later, keepDims) : inner;
  return keepDims ? { ...outer, sum: { of: x, axes } } : outer;
}

function sumNode(graph: Graph, x: Sym, axes: readonly number[], keepDims: boolean): Sym {
  const shape = reducedShape(x.shape, axes, keepDims);
  const keepdims = keepDims ? 1 : 0;
  if (x.square !== undefined)
    return graph.node('ReduceSumSquare', [x.square], shape, 'float32', { axes, keepdims });
  return graph.node('ReduceSum', [x, graph.ints(axes)], shape, 'float32', { keepdims });
}

/** A reduction over booleans: through integers, which ONNX can reduce. */
function reduceBool(op: string): Lowering {
  return (graph, { x }, attrs) => cast(graph, reduce(graph, op, cast(graph, x, 'int32'), attrs), 'bool');
}

const plain =
  (op: string): Lowering =>
  (graph, { x }, attrs) =>
    reduce(graph, op, x, attrs);

/** Index of the greatest or least element; among equal ones the first, as tfjs does. */
function argument(op: 'ArgMax' | 'ArgMin'): Lowering {
  return (graph, { x }, attrs) => {
    const [axis] = axesOf(attrsOf<ReduceAttrs>(attrs).axis, x.shape);
    const shape = x.shape.filter((_, i) => i !== axis);
    const index = graph.emit(op, [graph.nameOf(x)], { axis, keepdims: 0 });
    return graph.node('Cast', [index], shape, 'int32', { to: ONNX_TYPE.int32 });
  };
}

function topK(graph: Graph, x: Sym, k: number): Sym[] {
  const shape = [...x.shape.slice(0, -1), k];
  const [values, places] = graph.emitAll('TopK', [graph.nameOf(x), graph.ints([k])], { axis: -1 }, 2);
  const indices = graph.node('Cast', [places], shape, 'int32', { to: ONNX_TYPE.int32 });
  return [{ shape, dtype: x.dtype, name: values }, indices];
}

/** Channels summed per group where ONNX keeps them: [1, C/G] ones times [N, G, C/G, pixels]; no layout changes. */
function groupSum(graph: Graph, x: Sym, groups: number): Sym {
  const [n, h, w, channels] = x.shape;
  const split = reshape(graph, toChannelsFirst(graph, x), [n, groups, channels / groups, h * w]);
  const ones: Sym = {
    shape: [1, channels / groups],
    dtype: 'float32',
    values: new Float32Array(channels / groups).fill(1),
  };
  const sums = graph.node('MatMul', [ones, split], [n, groups, 1, h * w], 'float32');
  return toChannelsLast(graph, reshape(graph, sums, [n, groups, h, w]));
}

export const reductions: LoweringTable = {
  FactGroupSum: (graph, { x }, attrs) => groupSum(graph, x, attrsOf<{ groups: number }>(attrs).groups),
  Sum: (graph, { x }, attrs) =>
    reduce(graph, 'ReduceSum', x.dtype === 'bool' ? cast(graph, x, 'int32') : x, attrs),
  Mean: (graph, { x }, attrs) => reduce(graph, 'ReduceMean', toFloat(graph, x), attrs),
  Max: plain('ReduceMax'),
  Min: plain('ReduceMin'),
  Prod: plain('ReduceProd'),
  All: reduceBool('ReduceMin'),
  Any: reduceBool('ReduceMax'),
  ArgMax: argument('ArgMax'),
  ArgMin: argument('ArgMin'),
  TopK: (graph, { x }, attrs) => topK(graph, x, attrsOf<{ k: number }>(attrs).k),
  Softmax: (graph, { logits }, attrs) =>
    graph.node('Softmax', [logits], logits.shape, 'float32', {
      axis: positiveAxis(attrsOf<{ dim: number }>(attrs).dim, logits.shape.length),
    }),
  LogSoftmax: (graph, { logits }, attrs) =>
    graph.node('LogSoftmax', [logits], logits.shape, 'float32', {
      axis: positiveAxis(attrsOf<{ axis: number }>(attrs).axis, logits.shape.length),
    }),
  Cumsum: (graph, { x }, attrs) => {
    const { axis, exclusive, reverse } = attrsOf<{ axis: number; exclusive?: boolean; reverse?: boolean }>(
      attrs,
    );
    const along = graph.constant('int64', [], BigInt64Array.of(BigInt(positiveAxis(axis, x.shape.length))));
    const flags = { exclusive: exclusive ? 1 : 0, reverse: reverse ? 1 : 0 };
    return graph.node('CumSum', [x, along], x.shape, x.dtype as NumericDType, flags);
  },
};
