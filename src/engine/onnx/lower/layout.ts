import * as tf from '@tensorflow/tfjs';
import { type Graph, newValues, type Shape, type Sym, sameShape, sizeOf } from '../graph.js';
import { cast, mul } from './elementwise.js';
import {
  type Attrs,
  attrsOf,
  axesOf,
  type Inputs,
  type LoweringTable,
  listOf,
  positiveAxis,
  unsupported,
} from './lowering.js';
import { reshape } from './reshape.js';
import { transposedView } from './views.js';

export { reshape } from './reshape.js';

export function transpose(graph: Graph, x: Sym, perm: readonly number[]): Sym {
  if (perm.every((axis, i) => axis === i)) return x;
  const { view } = x;
  if (view !== undefined) {
    return transpose(
      graph,
      view.of,
      perm.map((axis) => view.perm[axis]),
    );
  }
  return graph.node(
    'Transpose',
    [x],
    perm.map((axis) => x.shape[axis]),
    x.dtype,
    { perm },
  );
}

export function broadcastTo(graph: Graph, x: Sym, shape: Shape): Sym {
  if (sameShape(x.shape, shape)) return x;
  return graph.node('Expand', [x, graph.ints(shape)], shape, x.dtype);
}

function expandDims(graph: Graph, x: Sym, dim: number): Sym {
  const shape = [...x.shape];
  shape.splice(dim < 0 ? shape.length + dim + 1 : dim, 0, 1);
  return reshape(graph, x, shape);
}

/** The block of `size` that starts at `begin`. Names only the axes that are cut. */
export function slice(graph: Graph, x: Sym, begin: readonly number[], size: readonly number[]): Sym {
  const cut = x.shape.map((_, i) => i).filter((i) => begin[i] !== 0 || size[i] !== x.shape[i]);
  if (cut.length === 0) return x;
  const starts = graph.ints(cut.map((i) => begin[i]));
  const ends = graph.ints(cut.map((i) => begin[i] + size[i]));
  return graph.node('Slice', [x, starts, ends, graph.ints(cut)], size, x.dtype);
}

function sliceAttrs(x: Sym, attrs: Attrs): { begin: number[]; size: number[] } {
  const given = attrsOf<tf.SliceAttrs>(attrs);
  const input = { shape: [...x.shape], rank: x.shape.length } as tf.Tensor;
  const [begin, size] = tf.slice_util.parseSliceParams(input, given.begin, given.size);
  // ONNX cuts a slice that reaches over the end; tfjs refuses it.
  tf.slice_util.assertParamsValid(input, begin, size);
  return { begin, size };
}

function stridedSlice(graph: Graph, x: Sym, attrs: Attrs): Sym {
  const a = attrsOf<tf.StridedSliceAttrs>(attrs);
  const info = tf.slice_util.sliceInfo(
    [...x.shape],
    a.begin,
    a.end,
    a.strides,
    a.beginMask,
    a.endMask,
    a.ellipsisMask,
    a.newAxisMask,
    a.shrinkAxisMask,
  );
  const axes = x.shape.map((_, i) => i);
  // ONNX counts a negative end from the back; "before the first element" is any number below -size.
  const ends = info.end.map((end, i) => (info.strides[i] < 0 && end < 0 ? -x.shape[i] - 1 : end));
  const sizes = tf.slice_util.computeOutShape(info.begin, info.end, info.strides);
  const inputs = [x, graph.ints(info.begin), graph.ints(ends), graph.ints(axes), graph.ints(info.strides)];
  const block = graph.node('Slice', inputs, sizes, x.dtype);
  return reshape(graph, block, info.finalShape);
}

/** Pads with a constant, or by mirroring (`reflect`: without the border itself). */
function pad(
  graph: Graph,
  x: Sym,
  paddings: readonly (readonly [number, number])[],
  mode: string,
  value?: string,
): Sym {
  const before = paddings.map(([start]) => start);
  const after = paddings.map(([, end]) => end);
  const shape = x.shape.map((size, i) => size + before[i] + after[i]);
  const amounts = graph.ints([...before, ...after]);
  return graph.node('Pad', value === undefined ? [x, amounts] : [x, amounts, value], shape, x.dtype, {
    mode,
  });
}

/** Mirroring with the border included: ONNX 17 lacks it, so each axis is gathered by mirrored places. */
function padSymmetric(graph: Graph, x: Sym, paddings: readonly (readonly [number, number])[]): Sym {
  return paddings.reduce((current, [before, after], axis) => {
    if (before + after === 0) return current;
    const size = x.shape[axis];
    const places = Int32Array.from({ length: size + before + after }, (_, i) => {
      const at = i - before;
      if (at < 0) return -at - 1;
      return at < size ? at : 2 * size - 1 - at;
    });
    return gatherPlaces(graph, current, places, axis);
  }, x);
}

/** Reads the given places along an axis. */
export function gatherPlaces(graph: Graph, x: Sym, places: Int32Array, axis: number): Sym {
  const shape = x.shape.map((size, i) => (i === axis ? places.length : size));
  return graph.node('Gather', [x, graph.constant('int32', [places.length], places)], shape, x.dtype, {
    axis,
  });
}

export function concat(graph: Graph, parts: readonly Sym[], axis: number): Sym {
  const along = positiveAxis(axis, parts[0].shape.length);
  const filledParts = parts.filter((part) => sizeOf(part.shape) > 0);
  const kept = filledParts.length > 0 ? filledParts : parts.slice(0, 1);
  if (kept.length === 1) return kept[0];
  const total = kept.reduce((sum, part) => sum + part.shape[along], 0);
  const shape = kept[0].shape.map((size, i) => (i === along ? total : size));
  return graph.node('Concat', [...kept], shape, kept[0].dtype, { axis: along });
}

function split(graph: Graph, x: Sym, attrs: Attrs): Sym[] {
  const { numOrSizeSplits, axis } = attrsOf<tf.SplitVAttrs>(attrs);
  const along = positiveAxis(axis, x.shape.length);
  const sizes = tf.backend_util.prepareSplitSize(
    { shape: [...x.shape] } as tf.Tensor,
    numOrSizeSplits,
    along,
  );
  let start = 0;
  return sizes.map((size) => {
    const begin = x.shape.map((_, i) => (i === along ? start : 0));
    start += size;
    return slice(
      graph,
      x,
      begin,
      x.shape.map((whole, i) => (i === along ? size : whole)),
    );
  });
}

function unpack(graph: Graph, x: Sym, axis: number): Sym[] {
  const along = positiveAxis(axis, x.shape.length);
  const shape = x.shape.filter((_, i) => i !== along);
  return Array.from({ length: x.shape[along] }, (_, place) => {
    const begin = x.shape.map((_size, i) => (i === along ? place : 0));
    return reshape(
      graph,
      slice(
        graph,
        x,
        begin,
        x.shape.map((whole, i) => (i === along ? 1 : whole)),
      ),
      shape,
    );
  });
}

export function reverse(graph: Graph, x: Sym, dims: readonly number[]): Sym {
  const axes = dims.filter((axis) => x.shape[axis] > 1);
  if (axes.length === 0) return x;
  const { view } = x;
  if (view !== undefined) {
    const inner = axes.map((axis) => view.perm[axis]);
    return transposedView(reverse(graph, view.of, inner), view.perm);
  }
  const all = (value: (axis: number) => number): string => graph.ints(axes.map(value));
  const inputs = [x, all(() => -1), all((axis) => -x.shape[axis] - 1), all((axis) => axis), all(() => -1)];
  return graph.node('Slice', inputs, x.shape, x.dtype);
}

function gather(graph: Graph, { x, indices }: Inputs, attrs: Attrs): Sym {
  const { axis: given, batchDims: batch } = attrsOf<tf.GatherV2Attrs>(attrs);
  const [axis] = axesOf(given, x.shape);
  const places = cast(graph, indices, 'int32');
  if (!batch) {
    const shape = [...x.shape.slice(0, axis), ...indices.shape, ...x.shape.slice(axis + 1)];
    return graph.node('Gather', [x, places], shape, x.dtype, { axis });
  }
  if (axis !== batch) throw unsupported('GatherV2', `batchDims ${batch} and axis ${axis}`);
  const shape = [...x.shape.slice(0, axis), ...indices.shape.slice(batch), ...x.shape.slice(axis + 1)];
  return graph.node('GatherND', [x, wideIndices(graph, expandDims(graph, places, -1))], shape, x.dtype, {
    batch_dims: batch,
  });
}

/** Indices as int64, the only kind that GatherND and ScatterND take. */
function wideIndices(graph: Graph, indices: Sym): string {
  return graph.emit('Cast', [graph.nameOf(indices)], { to: 7 });
}

function oneHot(graph: Graph, indices: Sym, attrs: Attrs): Sym {
  const {
    depth,
    onValue,
    offValue,
    dtype = 'float32',
  } = attrsOf<tf.OneHotAttrs & { dtype?: 'float32' | 'int32' }>(attrs);
  const shape = [...indices.shape, depth];
  const classes = graph.constant(
    'int32',
    [depth],
    Int32Array.from({ length: depth }, (_, i) => i),
  );
  const isHot = graph.node(
    'Equal',
    [expandDims(graph, cast(graph, indices, 'int32'), -1), classes],
    shape,
    'bool',
  );
  const kind = dtype as 'float32' | 'int32';
  if (onValue === 1 && offValue === 0) return cast(graph, isHot, kind);
  return graph.node(
    'Where',
    [isHot, graph.scalarSym(onValue, kind), graph.scalarSym(offValue, kind)],
    shape,
    kind,
  );
}

/**
 * Adds rows to zeros: updates [n, width] at rows `places` int32 [n] of [rows, width]; places may repeat. ScatterND adds
 * from several threads at once without heed for equal places, and loses sums; it is used where a node has one thread.
 * ScatterElements adds one number after the other, always in order, at a tenth of the speed.
 */
function addRows(graph: Graph, rows: number, places: Sym, updates: Sym): Sym {
  const [n, width] = updates.shape;
  const shape = [rows, width];
  const zero = graph.constant(updates.dtype, [], newValues(updates.dtype, 1));
  const zeros = graph.emit('Expand', [zero, graph.ints(shape)]);
  const column = reshape(graph, places, [n, 1]);
  if (graph.isOneThread) {
    const inputs = [zeros, wideIndices(graph, column), updates];
    return graph.node('ScatterND', inputs, shape, updates.dtype, { reduction: 'add' });
  }
  const inputs = [zeros, broadcastTo(graph, column, [n, width]), updates];
  return graph.node('ScatterElements', inputs, shape, updates.dtype, { axis: 0, reduction: 'add' });
}

/** Adds the updates [..., rest] to zeros of the given shape at the places that the last axis of the indices names. */
function scatterNd(graph: Graph, shape: readonly number[], indices: Sym, updates: Sym): Sym {
  const depth = indices.shape[indices.shape.length - 1];
  const count = sizeOf(indices.shape) / depth;
  const [named, rest] = [shape.slice(0, depth), shape.slice(depth)];
  const strides = Int32Array.from(named, (_, i) => sizeOf(named.slice(i + 1)));
  const steps: Sym = { shape: [depth], dtype: 'int32', values: strides };
  const places = reshape(graph, cast(graph, indices, 'int32'), [count, depth]);
  const rows =
    depth === 1
      ? places
      : graph.node('ReduceSum', [mul(graph, { a: places, b: steps }), graph.ints([1])], [count], 'int32', {
          keepdims: 0,
        });
  const flat = reshape(graph, updates, [count, sizeOf(rest)]);
  return reshape(graph, addRows(graph, sizeOf(named), rows, flat), shape);
}

function tile(graph: Graph, x: Sym, reps: readonly number[]): Sym {
  const shape = x.shape.map((size, i) => size * reps[i]);
  if (x.shape.every((size, i) => size === 1 || reps[i] === 1)) return broadcastTo(graph, x, shape);
  return graph.node('Tile', [x, graph.ints(reps)], shape, x.dtype);
}

export const layout: LoweringTable = {
  Reshape: (graph, { x }, attrs) =>
    reshape(
      graph,
      x,
      tf.util.inferFromImplicitShape([...attrsOf<tf.ReshapeAttrs>(attrs).shape], sizeOf(x.shape)),
    ),
  ExpandDims: (graph, { input }, attrs) => expandDims(graph, input, attrsOf<tf.ExpandDimsAttrs>(attrs).dim),
  Transpose: (graph, { x }, attrs) => transpose(graph, x, attrsOf<tf.TransposeAttrs>(attrs).perm),
  BroadcastTo: (graph, { x }, attrs) => broadcastTo(graph, x, attrsOf<tf.BroadCastToAttrs>(attrs).shape),
  Tile: (graph, { x }, attrs) => tile(graph, x, attrsOf<tf.TileAttrs>(attrs).reps),
  Slice: (graph, { x }, attrs) => {
    const { begin, size } = sliceAttrs(x, attrs);
    return slice(graph, x, begin, size);
  },
  StridedSlice: (graph, { x }, attrs) => stridedSlice(graph, x, attrs),
  PadV2: (graph, { x }, attrs) => {
    const { paddings, constantValue } = attrsOf<tf.PadV2Attrs>(attrs);
    return pad(graph, x, paddings, 'constant', graph.nameOf(graph.scalarSym(constantValue, x.dtype)));
  },
  MirrorPad: (graph, { x }, attrs) => {
    const { paddings, mode } = attrsOf<tf.MirrorPadAttrs>(attrs);
    return mode === 'reflect' ? pad(graph, x, paddings, 'reflect') : padSymmetric(graph, x, paddings);
  },
  Concat: (graph, inputs, attrs) => {
    const parts = listOf(inputs);
    const { axis } = attrsOf<tf.ConcatAttrs>(attrs);
    const joined = concat(graph, parts, axis);
    const [x, inverse] = parts;
    const isLast = positiveAxis(axis, x.shape.length) === x.shape.length - 1;
    const isPair = parts.length === 2 && isLast && inverse.oneMinus === x;
    return isPair ? { ...joined, withInverse: x } : joined;
  },
  SplitV: (graph, { x }, attrs) => split(graph, x, attrs),
  Pack: (graph, inputs, attrs) => {
    const { axis } = attrsOf<tf.PackAttrs>(attrs);
    return concat(
      graph,
      listOf(inputs).map((part) => expandDims(graph, part, axis)),
      positiveAxis(axis, inputs[0].shape.length + 1),
    );
  },
  Unpack: (graph, { value }, attrs) => unpack(graph, value, attrsOf<tf.UnpackAttrs>(attrs).axis),
  Reverse: (graph, { x }, attrs) => reverse(graph, x, axesOf(attrsOf<tf.ReverseAttrs>(attrs).dims, x.shape)),
  GatherV2: gather,
  GatherNd: (graph, { params, indices }) => {
    const depth = indices.shape[indices.shape.length - 1];
    const shape = [...indices.shape.slice(0, -1), ...params.shape.slice(depth)];
    return graph.node('GatherND', [params, wideIndices(graph, indices)], shape, params.dtype);
  },
  ScatterNd: (graph, { indices, updates }, attrs) =>
    scatterNd(graph, attrsOf<tf.ScatterNdAttrs>(attrs).shape, indices, updates),
  UnsortedSegmentSum: (graph, { x, segmentIds }, attrs) => {
    const rows = [
      attrsOf<tf.UnsortedSegmentSumAttrs>(attrs).numSegments,
      ...x.shape.slice(segmentIds.shape.length),
    ];
    return scatterNd(graph, rows, expandDims(graph, segmentIds, -1), x);
  },
  OneHot: (graph, { indices }, attrs) => oneHot(graph, indices, attrs),
  FactScatterLast: (graph, { values, indices }, attrs) => {
    const shape = [...values.shape.slice(0, -1), attrsOf<{ depth: number }>(attrs).depth];
    const zeros = graph.emit('Expand', [graph.scalar(0), graph.ints(shape)]);
    return graph.node('ScatterElements', [zeros, indices, values], shape, values.dtype, { axis: -1 });
  },
  FactGatherLast: (graph, { x, indices }) =>
    graph.node('GatherElements', [x, indices], indices.shape, x.dtype, { axis: -1 }),
};
