/** Kernels that move or make elements: reshape, slice, pad, join, gather, scatter. */
import * as tf from '@tensorflow/tfjs';
import { DTYPES } from '../backend.js';
import { bool, int, string, type } from '../binding.js';
import { type Info, type Kernel, type KernelTable, listOf, sizeOf } from './kernel.js';

function axisOf(axis: number, shape: readonly number[]): number {
  return tf.util.parseAxisParam(axis, [...shape])[0];
}

function joined(op: string): Kernel<{ axis: number }> {
  return (backend, inputs, { axis }) => {
    const list = listOf(inputs);
    const attrs = { N: int(list.length), T: type(DTYPES[list[0].dtype] ?? 0) };
    if (op === 'Pack') return backend.run(op, list, { ...attrs, axis: int(axis) });
    return backend.run(op, [...list, backend.scalar(axisOf(axis, list[0].shape), 'int32')], attrs);
  };
}

const reshape: Kernel<{ shape: number[] }> = (backend, { x }, { shape }) => {
  const target = tf.util.inferFromImplicitShape(shape, sizeOf(x.shape));
  return backend.run('Reshape', [x, backend.list(target)]);
};

const slice: Kernel<{ begin: number | number[]; size: number | number[] }> = (backend, { x }, attrs) => {
  const [begin, size] = tf.slice_util.parseSliceParams(x as tf.Tensor, attrs.begin, attrs.size);
  return backend.run('Slice', [x, backend.list(begin), backend.list(size)]);
};

interface StridedSliceAttrs {
  readonly begin: number[];
  readonly end: number[];
  readonly strides: number[];
  readonly beginMask: number;
  readonly endMask: number;
  readonly ellipsisMask: number;
  readonly newAxisMask: number;
  readonly shrinkAxisMask: number;
}

const stridedSlice: Kernel<StridedSliceAttrs> = (backend, { x }, a) =>
  backend.run('StridedSlice', [x, backend.list(a.begin), backend.list(a.end), backend.list(a.strides)], {
    begin_mask: int(a.beginMask),
    end_mask: int(a.endMask),
    ellipsis_mask: int(a.ellipsisMask),
    new_axis_mask: int(a.newAxisMask),
    shrink_axis_mask: int(a.shrinkAxisMask),
  });

const split: Kernel<{ numOrSizeSplits: number | number[]; axis: number }> = (backend, { x }, attrs) => {
  const axis = axisOf(attrs.axis, x.shape);
  const sizes = tf.backend_util.prepareSplitSize(x as tf.Tensor, attrs.numOrSizeSplits, axis);
  const inputs = [x, backend.list(sizes), backend.scalar(axis, 'int32')];
  return backend.runMany('SplitV', inputs, { num_split: int(sizes.length) }, sizes.length);
};

const unpack: Kernel<{ axis: number }> = (backend, { value }, attrs) => {
  const axis = axisOf(attrs.axis, value.shape);
  const count = value.shape[axis];
  if (count === 0) return [];
  return backend.runMany('Unpack', [value], { num: int(count), axis: int(axis) }, count);
};

const pad: Kernel<{ paddings: [number, number][]; constantValue: number }> = (backend, { x }, attrs) => {
  const paddings = backend.list(attrs.paddings.flat(), [x.shape.length, 2]);
  if (x.shape.length === 0) return backend.share(x);
  if (attrs.constantValue === 0) return backend.run('Pad', [x, paddings]);
  const value = backend.scalar(attrs.constantValue, x.dtype === 'int32' ? 'int32' : 'float32');
  return backend.run('PadV2', [x, paddings, value]);
};

const gather: Kernel<{ axis: number; batchDims: number }> = (
  backend,
  { x, indices },
  { axis, batchDims },
) => {
  const at = axisOf(axis, x.shape);
  return backend.run('GatherV2', [x, indices, backend.scalar(at, 'int32')], {
    batch_dims: int(batchDims ?? 0),
  });
};

interface OneHotAttrs {
  readonly depth: number;
  readonly onValue: number;
  readonly offValue: number;
  readonly dtype?: tf.DataType;
}

const oneHot: Kernel<OneHotAttrs> = (backend, { indices }, { depth, onValue, offValue, dtype }) => {
  const isWhole = dtype === 'int32' || dtype === 'bool';
  const number = (value: number) => backend.scalar(value, isWhole ? 'int32' : 'float32');
  const made = (): Info =>
    backend.run('OneHot', [indices, backend.scalar(depth, 'int32'), number(onValue), number(offValue)]);
  if (dtype !== 'bool') return made();
  return backend.scoped(() => backend.run('Cast', [made()], { DstT: type(DTYPES.bool ?? 0) }));
};

const fill: Kernel<{ shape: number[]; value: number; dtype?: tf.DataType }> = (backend, _, attrs) => {
  const dtype = attrs.dtype ?? 'float32';
  const value = backend.scalar(attrs.value, dtype === 'float32' ? 'float32' : 'int32');
  const made = (): Info => backend.run('Fill', [backend.list(attrs.shape), value]);
  if (dtype !== 'bool') return made();
  return backend.scoped(() => backend.run('Cast', [made()], { DstT: type(DTYPES.bool ?? 0) }));
};

const range: Kernel<{ start: number; stop: number; step: number; dtype: 'float32' | 'int32' }> = (
  backend,
  _,
  { start, stop, step, dtype },
) => {
  const isEmpty = start === stop || (start < stop && step < 0) || (stop < start && step > 1);
  const count = isEmpty ? 0 : Math.abs(Math.ceil((stop - start) / step));
  const sign = stop < start && step === 1 ? -1 : step;
  const values = Array.from({ length: count }, (_unused, i) => start + i * sign);
  return backend.constant(
    dtype === 'int32' ? Int32Array.from(values) : Float32Array.from(values),
    [count],
    dtype,
  );
};

const linSpace: Kernel<{ start: number; stop: number; num: number }> = (backend, _, { start, stop, num }) => {
  const distance = num > 1 ? (stop - start) / (num - 1) : 0;
  const values = Float32Array.from({ length: num }, (_unused, i) => start + i * distance);
  return backend.constant(values, [num], 'float32');
};

export const LAYOUT: KernelTable = {
  BatchToSpaceND: ((backend, { x }, { blockShape, crops }) =>
    backend.run('BatchToSpaceND', [
      x,
      backend.list(blockShape),
      backend.list(crops.flat(), [crops.length, 2]),
    ])) as Kernel<{
    blockShape: number[];
    crops: number[][];
  }>,
  Concat: joined('ConcatV2'),
  DepthToSpace: ((backend, { x }, { blockSize, dataFormat }) =>
    backend.run('DepthToSpace', [x], {
      block_size: int(blockSize),
      data_format: string(dataFormat),
    })) as Kernel<{
    blockSize: number;
    dataFormat: string;
  }>,
  Diag: (backend, { x }) => backend.run('Diag', [x]),
  ExpandDims: ((backend, { input }, { dim }) =>
    backend.run('ExpandDims', [input, backend.scalar(dim, 'int32')])) as Kernel<{ dim: number }>,
  Fill: fill,
  FlipLeftRight: (backend, { image }) => backend.run('ReverseV2', [image, backend.list([2])]),
  GatherNd: (backend, { params, indices }) => backend.run('GatherNd', [params, indices]),
  GatherV2: gather,
  LinSpace: linSpace,
  MirrorPad: ((backend, { x }, { paddings, mode }) =>
    backend.run('MirrorPad', [x, backend.list(paddings.flat(), [x.shape.length, 2])], {
      mode: string(mode.toUpperCase()),
    })) as Kernel<{ paddings: [number, number][]; mode: string }>,
  OneHot: oneHot,
  Pack: joined('Pack'),
  PadV2: pad,
  Range: range,
  Reshape: reshape,
  Reverse: ((backend, { x }, { dims }) => {
    if (x.shape.length === 0) return backend.share(x);
    return backend.run('ReverseV2', [x, backend.list(tf.util.parseAxisParam(dims, x.shape))]);
  }) as Kernel<{ dims: number | number[] }>,
  ScatterNd: ((backend, { indices, updates }, { shape }) =>
    backend.run('ScatterNd', [indices, updates, backend.list(shape)])) as Kernel<{ shape: number[] }>,
  SearchSorted: ((backend, { sortedSequence, values }, { side }) =>
    backend.run(side === 'left' ? 'LowerBound' : 'UpperBound', [sortedSequence, values])) as Kernel<{
    side: 'left' | 'right';
  }>,
  Slice: slice,
  SpaceToBatchND: ((backend, { x }, { blockShape, paddings }) =>
    backend.run('SpaceToBatchND', [
      x,
      backend.list(blockShape),
      backend.list(paddings.flat(), [paddings.length, 2]),
    ])) as Kernel<{ blockShape: number[]; paddings: number[][] }>,
  SparseToDense: ((backend, inputs, { outputShape }) =>
    backend.run(
      'SparseToDense',
      [inputs.sparseIndices, backend.list(outputShape), inputs.sparseValues, inputs.defaultValue],
      { validate_indices: bool(true) },
    )) as Kernel<{ outputShape: number[] }>,
  SplitV: split,
  StridedSlice: stridedSlice,
  TensorScatterUpdate: (backend, { tensor, indices, updates }) =>
    backend.run('TensorScatterUpdate', [tensor, indices, updates]),
  Tile: ((backend, { x }, { reps }) => backend.run('Tile', [x, backend.list(reps)])) as Kernel<{
    reps: number[];
  }>,
  Transpose: ((backend, { x }, { perm }) => backend.run('Transpose', [x, backend.list(perm)])) as Kernel<{
    perm: number[];
  }>,
  Unpack: unpack,
};
