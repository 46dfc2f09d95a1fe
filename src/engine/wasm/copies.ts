/** Concatenation, tiling and gathering of the `wasm` backend: tfjs walks these value by value there. */
import * as tf from '@tensorflow/tfjs';
import { indexError } from '../kernels/lastAxis.js';
import type { Native } from './native.js';

function product(shape: readonly number[]): number {
  return shape.reduce((a, b) => a * b, 1);
}

/** Whether the values take 32 bits each, as the C code moves them. */
function isWide(tensors: readonly tf.TensorInfo[]): boolean {
  return tensors.every(({ dtype }) => dtype === 'float32' || dtype === 'int32');
}

/** Tensors joined along an axis; null hands the work to tfjs. */
export function concat(
  native: Native,
  tensors: readonly tf.TensorInfo[],
  axisGiven: number,
): tf.TensorInfo | null {
  const filled = tensors.filter((t) => product(t.shape) > 0);
  const dtype = tensors[0].dtype;
  if (filled.length < 2 || !isWide(tensors) || tensors.some((t) => t.dtype !== dtype)) return null;
  const shapes = filled.map((t) => t.shape);
  const [axis] = tf.util.parseAxisParam(axisGiven, shapes[0]);
  tf.backend_util.assertParamsConsistent(shapes, axis);
  const shape = tf.backend_util.computeOutShape(shapes, axis);
  const out = native.output(shape, 'undefined', dtype);
  const rows = product(shape.slice(0, axis));
  const row = product(shape.slice(axis));
  let at = native.pointer(out);
  for (const tensor of filled) {
    const count = product(tensor.shape.slice(axis));
    native.call('copyRows', rows, count, native.pointer(tensor), count, at, row);
    at += 4 * count;
  }
  return out;
}

/** x repeated along each axis; null hands the work to tfjs. One pass over memory an axis that is really repeated. */
export function tile(native: Native, x: tf.TensorInfo, reps: readonly number[]): tf.TensorInfo | null {
  const axes = reps.flatMap((count, axis) => (count === 1 ? [] : [axis]));
  if (axes.length === 0 || !isWide([x]) || reps.includes(0) || product(x.shape) === 0) return null;
  return tf.tidy(() => {
    let current = x;
    for (const axis of axes.reverse()) {
      const shape = current.shape.map((size, i) => (i === axis ? size * reps[axis] : size));
      const next = native.output(shape, 'undefined', x.dtype);
      const [outer, block] = [product(shape.slice(0, axis)), product(current.shape.slice(axis))];
      native.call('repeatBlocks', outer, reps[axis], block, native.pointer(current), native.pointer(next));
      current = tf.engine().makeTensorFromTensorInfo(next);
    }
    return current as tf.Tensor;
  });
}

/** Slices of x at int32 indices along an axis; null hands the work to tfjs. Throws FactError E_INDEX. */
export function gather(
  native: Native,
  x: tf.Tensor,
  indices: tf.Tensor,
  axis: number,
  batchDims: number,
): tf.TensorInfo | null {
  if (!isWide([x]) || indices.dtype !== 'int32' || x.size === 0 || indices.size === 0) return null;
  const [at] = tf.util.parseAxisParam(axis, x.shape);
  const info = tf.backend_util.segment_util.collectGatherOpShapeInfo(x, indices, at, batchDims);
  const out = native.output(info.outputShape, 'undefined', x.dtype);
  const { batchSize, outerSize, dimSize, sliceSize } = info;
  const pointers = [x, indices, out].map((t) => native.pointer(t));
  const count = indices.size / batchSize;
  const bad = native.call('gather', batchSize, outerSize, dimSize, sliceSize, count, ...pointers);
  if (bad >= 0) throw indexError('gather', indices.dataSync()[bad], dimSize);
  return out;
}

/** The same values under another tensor: no copy, where tfjs's own kernel makes one for every tensor it saves. */
export function identity(native: Native, x: tf.TensorInfo): tf.TensorInfo {
  native.pointer(x); // values of another backend move here first
  native.backend.incRef(x.dataId);
  return { dataId: x.dataId, shape: x.shape, dtype: x.dtype };
}
