import { countOf, type DType, dtypeFacts } from '../dtypes.js';
import { MAX_AXES } from '../limits.js';
import type { NumpyArray, NumpyDType, PickleValue } from './pickleValues.js';
import { swapped } from './tensorView.js';

/** How numpy pickles arrays and scalars: `dtype('f8')`, `scalar(dtype, bytes)`, `_reconstruct` followed by BUILD. */

type Fail = (what: string) => Error;

const CODES = new Map<string, DType>([
  ['f8', 'float64'],
  ['f4', 'float32'],
  ['f2', 'float16'],
  ['i8', 'int64'],
  ['i4', 'int32'],
  ['i2', 'int16'],
  ['i1', 'int8'],
  ['u8', 'uint64'],
  ['u4', 'uint32'],
  ['u2', 'uint16'],
  ['u1', 'uint8'],
  ['b1', 'bool'],
  ['c16', 'complex128'],
  ['c8', 'complex64'],
]);

/** `numpy.dtype(code, ...)`; null for a type that cannot be read (objects, text, dates, records). */
export function numpyDType(args: readonly PickleValue[]): NumpyDType | null {
  const [code] = args;
  const dtype = typeof code === 'string' ? CODES.get(code) : undefined;
  return dtype === undefined ? null : { kind: 'numpyDType', dtype, isBigEndian: false };
}

/** BUILD of a dtype: `(version, byte order, ...)`. */
export function setNumpyDTypeState(fail: Fail, target: NumpyDType, state: PickleValue): void {
  const order =
    state !== null && typeof state === 'object' && state.kind === 'tuple' ? state.items[1] : undefined;
  if (order !== '<' && order !== '>' && order !== '|' && order !== '=')
    throw fail('the state of a numpy dtype is malformed');
  target.isBigEndian = order === '>';
}

function littleEndian(dtype: NumpyDType, bytes: Uint8Array): Uint8Array {
  return dtype.isBigEndian ? swapped(bytes, dtypeFacts(dtype.dtype).swap) : bytes;
}

/** `scalar(dtype, bytes)`. */
export function numpyScalar(fail: Fail, args: readonly PickleValue[]): NumpyArray {
  const [dtype, data] = args;
  if (dtype === undefined || dtype === null || typeof dtype !== 'object' || dtype.kind !== 'numpyDType')
    throw fail('a numpy scalar without a dtype');
  if (data === undefined || data === null || typeof data !== 'object' || data.kind !== 'bytes')
    throw fail('a numpy scalar without bytes');
  if (data.data.length !== dtypeFacts(dtype.dtype).bits / 8) throw fail('a numpy scalar of the wrong size');
  return {
    kind: 'ndarray',
    isScalar: true,
    dtype: dtype.dtype,
    shape: [],
    bytes: littleEndian(dtype, data.data),
  };
}

/** `_reconstruct(ndarray, (0,), b'b')`: an empty array that BUILD fills. */
export function numpyArray(): NumpyArray {
  return { kind: 'ndarray', isScalar: false, dtype: 'int8', shape: [0], bytes: new Uint8Array(0) };
}

/** BUILD of an array: `(version, shape, dtype, is Fortran order, bytes)`. */
export function setNumpyArrayState(fail: Fail, target: NumpyArray, state: PickleValue): void {
  if (state === null || typeof state !== 'object' || state.kind !== 'tuple' || state.items.length !== 5)
    throw fail('the state of a numpy array is malformed');
  const [, shapeValue, dtype, isFortran, data] = state.items;
  if (shapeValue === null || typeof shapeValue !== 'object' || shapeValue.kind !== 'tuple')
    throw fail('a numpy array without a shape');
  if (dtype === null || typeof dtype !== 'object' || dtype.kind !== 'numpyDType')
    throw fail('a numpy array without a dtype');
  if (data === null || typeof data !== 'object' || data.kind !== 'bytes')
    throw fail('a numpy array without bytes');
  const shape = shapeValue.items.map((size) => {
    if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0)
      throw fail('a numpy array with a bad shape');
    return size;
  });
  const size = dtypeFacts(dtype.dtype).bits / 8;
  if (shape.length > MAX_AXES || countOf(shape) * size !== data.data.length)
    throw fail(`a numpy array of shape [${shape}] and ${data.data.length} bytes`);
  const bytes = littleEndian(dtype, data.data);
  target.dtype = dtype.dtype;
  target.shape = shape;
  target.bytes = isFortran === true ? rowMajor(bytes, shape, size) : bytes;
}

/** Column-major bytes in row-major order. */
function rowMajor(bytes: Uint8Array, shape: readonly number[], size: number): Uint8Array {
  const out = new Uint8Array(bytes.length);
  const stride: number[] = [];
  let step = size;
  for (const length of shape) {
    stride.push(step);
    step *= length;
  }
  const index = new Array<number>(shape.length).fill(0);
  let from = 0;
  for (let to = 0; to < out.length; to += size) {
    for (let b = 0; b < size; b++) out[to + b] = bytes[from + b];
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      from += stride[axis];
      if (++index[axis] < shape[axis]) break;
      from -= shape[axis] * stride[axis];
      index[axis] = 0;
    }
  }
  return out;
}
