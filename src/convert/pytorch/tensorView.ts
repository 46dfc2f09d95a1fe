import type { CheckpointErrors } from '../checkpointError.js';
import { countOf, type DType, dtypeFacts } from '../dtypes.js';
import { COPY_FACTOR, FREE_COPY_BYTES, FREE_TENSOR_BYTES, MAX_AXES, TENSOR_FACTOR } from '../limits.js';
import { kindOf, type PickleValue, type PyStorage, type PyTensor } from './pickleValues.js';

/** Whole numbers >= 0 of a tuple or list (a shape or strides). Throws corrupt. */
function extents(errors: CheckpointErrors, where: string, what: string, value: PickleValue): number[] {
  if (value === null || typeof value !== 'object' || (value.kind !== 'tuple' && value.kind !== 'list'))
    throw errors.fault('corrupt', where, `${what} is a ${kindOf(value)}, expected a tuple`);
  if (value.items.length > MAX_AXES)
    throw errors.fault(
      'corrupt',
      where,
      `${what} has ${value.items.length} axes, at most ${MAX_AXES} are legal`,
    );
  return value.items.map((item) => {
    if (typeof item !== 'number' || !Number.isSafeInteger(item) || item < 0)
      throw errors.fault(
        'corrupt',
        where,
        `${what} holds ${typeof item === 'object' ? kindOf(item) : String(item)}, expected whole numbers from 0 to 2^53`,
      );
    return item;
  });
}

/**
 * A tensor as a view of a storage, checked: shape and strides whole numbers of one length, every element within the
 * storage. Nothing is rounded: products beyond 2^53 are refused. Throws corrupt.
 */
export function viewOfStorage(
  errors: CheckpointErrors,
  where: string,
  storage: PickleValue,
  dtype: DType | null,
  offsetValue: PickleValue,
  shapeValue: PickleValue,
  strideValue: PickleValue,
): PyTensor {
  if (storage === null || typeof storage !== 'object' || storage.kind !== 'storage')
    throw errors.fault('corrupt', where, `a tensor is built from a ${kindOf(storage)}, expected a storage`);
  const type = dtype ?? storage.dtype;
  if (type === null)
    throw errors.fault('corrupt', where, 'a tensor is built from an untyped storage without a dtype');
  if (dtype !== null && storage.dtype !== null && storage.dtype !== dtype)
    throw errors.fault('corrupt', where, `a ${dtype} tensor is built from a storage of ${storage.dtype}`);
  const [offset] = extents(errors, where, 'storage offset', { kind: 'tuple', items: [offsetValue] });
  const shape = extents(errors, where, 'shape', shapeValue);
  const stride = extents(errors, where, 'stride', strideValue);
  if (shape.length !== stride.length)
    throw errors.fault('corrupt', where, `shape has ${shape.length} axes but stride has ${stride.length}`);
  const available = Math.floor(storage.byteLength / (dtypeFacts(type).bits / 8));
  if (!shape.includes(0)) {
    let last = offset;
    for (let axis = 0; axis < shape.length; axis++) last += (shape[axis] - 1) * stride[axis];
    if (!Number.isSafeInteger(last) || last >= available)
      throw errors.fault(
        'corrupt',
        where,
        `shape [${shape}] with strides [${stride}] and offset ${offset} reaches past the ${available} elements of storage ${JSON.stringify(storage.key.slice(0, 40))}`,
      );
  }
  return { kind: 'tensor', storage, dtype: type, offset, shape, stride, isParameter: false };
}

/** True where the view's elements lie row-major without gaps. Axes of size 1 may have any stride. */
function isContiguous(shape: readonly number[], stride: readonly number[]): boolean {
  let expected = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    if (shape[axis] !== 1 && stride[axis] !== expected) return false;
    expected *= shape[axis];
  }
  return true;
}

/** A part of a storage, in bytes. */
export type ReadStorage = (from: number, length: number) => Uint8Array;

/**
 * Checks that contiguous copies of strided views, and all tensors together, stay within what the storages explain: names
 * may share tensors in doublings, and a view may repeat one number a million times. Throws too_large.
 */
export function checkAmounts(
  errors: CheckpointErrors,
  tensors: readonly PyTensor[],
  storageBytes: number,
): void {
  const copyLimit = FREE_COPY_BYTES + COPY_FACTOR * storageBytes;
  const limit = FREE_TENSOR_BYTES + TENSOR_FACTOR * storageBytes;
  let copied = 0;
  let total = 0;
  for (const { dtype, shape, stride } of tensors) {
    const length = countOf(shape) * (dtypeFacts(dtype).bits / 8);
    total += length;
    if (!isContiguous(shape, stride)) copied += length;
    if (!(copied <= copyLimit) || !(total <= limit))
      throw errors.fault(
        'too_large',
        '',
        `a view of shape [${shape}] and strides [${stride}] is larger than its storage allows (${copied <= copyLimit ? limit : copyLimit} bytes)`,
      );
  }
}

/** Row-major bytes of a checked view: the part of the storage where it is contiguous, else a copy. */
export function contiguousBytes(tensor: PyTensor, read: ReadStorage): Uint8Array {
  const size = dtypeFacts(tensor.dtype).bits / 8;
  const { shape, stride } = tensor;
  const count = countOf(shape);
  if (count === 0) return new Uint8Array(0);
  const start = tensor.storage.byteOffset + tensor.offset * size;
  if (isContiguous(shape, stride)) return read(start, count * size);
  const last = shape.reduce((sum, length, axis) => sum + (length - 1) * stride[axis], 0);
  const storage = read(start, (last + 1) * size);
  const target = new Uint8Array(count * size);
  const rank = shape.length;
  const index = new Array<number>(rank).fill(0);
  let from = 0;
  for (let to = 0; to < target.length; to += size) {
    for (let b = 0; b < size; b++) target[to + b] = storage[from + b];
    for (let axis = rank - 1; axis >= 0; axis--) {
      from += stride[axis] * size;
      if (++index[axis] < shape[axis]) break;
      from -= shape[axis] * stride[axis] * size;
      index[axis] = 0;
    }
  }
  return target;
}

/** Reverses the bytes of each element of a big-endian buffer; returns a new buffer. */
export function swapped(bytes: Uint8Array, width: number): Uint8Array {
  const out = new Uint8Array(bytes.length);
  for (let i = 0; i < bytes.length; i += width)
    for (let b = 0; b < width; b++) out[i + b] = bytes[i + width - 1 - b];
  return out;
}

/** Bytes of all elements of a storage that are swapped together. */
export function swapWidth(storage: PyStorage, dtype: DType | null): number {
  const type = dtype ?? storage.dtype;
  return type === null ? 1 : dtypeFacts(type).swap;
}
