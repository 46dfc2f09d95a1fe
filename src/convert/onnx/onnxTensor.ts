import type onnxProto from 'onnx-proto';
import type { ByteSource } from '../byteSource.js';
import type { CheckpointErrors } from '../checkpointError.js';
import { countOf, type DType, dtypeFacts, lazyTensor, type NamedTensor } from '../dtypes.js';
import { MAX_AXES } from '../limits.js';
import { type ExternalFiles, externalRange } from './externalData.js';
import type { DataRange } from './skeleton.js';

/** Element types by TensorProto.DataType: https://onnx.ai/onnx/api/classes.html#tensorproto. */
const DTYPE_BY_CODE = new Map<number, DType>([
  [1, 'float32'],
  [2, 'uint8'],
  [3, 'int8'],
  [4, 'uint16'],
  [5, 'int16'],
  [6, 'int32'],
  [7, 'int64'],
  [9, 'bool'],
  [10, 'float16'],
  [11, 'float64'],
  [12, 'uint32'],
  [13, 'uint64'],
  [14, 'complex64'],
  [15, 'complex128'],
  [16, 'bfloat16'],
  [17, 'float8_e4m3fn'],
  [18, 'float8_e4m3fnuz'],
  [19, 'float8_e5m2'],
  [20, 'float8_e5m2fnuz'],
]);
/** Types whose elements may stand one by one in `int32_data`, as bits where they are no whole numbers. */
const IN_INT32: readonly DType[] = [
  'int32',
  'int16',
  'int8',
  'uint16',
  'uint8',
  'bool',
  'float16',
  'bfloat16',
  'float8_e4m3fn',
  'float8_e4m3fnuz',
  'float8_e5m2',
  'float8_e5m2fnuz',
];
/** Data fields that hold one type only. */
const FIELD_DTYPE = new Map<number, DType>([
  [4, 'float32'],
  [10, 'float64'],
]);
/** TensorProto.DataLocation.EXTERNAL. */
const EXTERNAL = 1;

type Proto = onnxProto.onnx.ITensorProto;

/** What is needed to find the numbers of a tensor. */
export interface OnnxContent {
  readonly source: ByteSource;
  readonly ranges: readonly DataRange[];
  /** Files beside the model; null where the model is only in memory. */
  readonly files: ExternalFiles | null;
  readonly errors: CheckpointErrors;
}

/** A whole number of a protobuf message as a plain one; NaN where it is missing or beyond 2^53. */
export function wholeOf(value: unknown): number {
  const number = typeof value === 'object' && value !== null ? Number(String(value)) : Number(value);
  return Number.isSafeInteger(number) ? number : Number.NaN;
}

/**
 * A TensorProto of a skeleton, its numbers on demand. Throws E_CKPT_CORRUPT, E_CKPT_UNSUPPORTED, E_CKPT_UNSAFE.
 * @param where the place for messages
 */
export function onnxTensor(proto: Proto, name: string, where: string, content: OnnxContent): NamedTensor {
  const { errors } = content;
  const fail = (what: string): Error => errors.fault('corrupt', where, what);
  const code = wholeOf(proto.dataType ?? 0);
  const dtype = DTYPE_BY_CODE.get(code);
  if (dtype === undefined)
    throw errors.fault('unsupported', where, `its elements are of type ${code}, which cannot be read`);
  if (proto.segment != null) throw errors.fault('unsupported', where, 'it is a segment of a tensor');
  const shape = (proto.dims ?? []).map(wholeOf);
  if (shape.length > MAX_AXES || shape.some((size) => !(size >= 0)))
    throw fail(`its shape is [${shape.slice(0, 8)}]`);
  const count = countOf(shape);
  const size = dtypeFacts(dtype).bits / 8;
  const length = count * size;
  if (Number.isNaN(length)) throw fail(`shape [${shape}] has more than 2^53 elements`);
  const check = (found: number): void => {
    if (found !== length) throw fail(`shape [${shape}] of ${dtype} needs ${length} bytes, it has ${found}`);
  };
  if (wholeOf(proto.dataLocation ?? 0) === EXTERNAL) {
    if (proto.rawData != null && proto.rawData.length > 0) throw fail('it has data here and in another file');
    const range = externalRange(proto.externalData ?? [], where, content.files, errors);
    check(range.length ?? length);
    range.checkEnd(length);
    return lazyTensor(name, dtype, shape, () => range.read(length));
  }
  if ((proto.externalData ?? []).length > 0) throw fail('it names another file, but is said to be here');
  const token = proto.rawData;
  if (token != null && token.length > 0) {
    // What stands here in a skeleton is the number of a range, never the file's own bytes.
    const index =
      token.length === 4 ? new DataView(token.buffer, token.byteOffset, 4).getUint32(0, true) : -1;
    const range = content.ranges[index];
    if (range === undefined) throw fail('its data lie nowhere: the file contradicts itself');
    const needed = FIELD_DTYPE.get(range.field);
    if (needed !== undefined && needed !== dtype) throw fail(`its data field does not fit its type ${dtype}`);
    check(range.length);
    return lazyTensor(name, dtype, shape, () => content.source.read(range.start, range.length));
  }
  const bytes = listedBytes(proto, dtype, count, fail);
  check(bytes.length);
  return lazyTensor(name, dtype, shape, () => bytes);
}

/** Numbers that stand one by one in the message. */
function listedBytes(proto: Proto, dtype: DType, count: number, fail: (what: string) => Error): Uint8Array {
  const bytesOf = (values: { buffer: ArrayBufferLike }): Uint8Array => new Uint8Array(values.buffer);
  const { floatData, int32Data, int64Data, doubleData, uint64Data, stringData } = proto;
  if ((stringData ?? []).length > 0) throw fail('it holds text');
  const lists = [floatData, int32Data, int64Data, doubleData, uint64Data].filter((l) => (l ?? []).length > 0);
  if (lists.length > 1) throw fail('it has two fields of data');
  const [list] = lists;
  if (list == null) {
    if (count !== 0) throw fail('it has no data');
    return new Uint8Array(0);
  }
  if (list === floatData && dtype === 'float32') return bytesOf(Float32Array.from(floatData));
  if (list === doubleData && dtype === 'float64') return bytesOf(Float64Array.from(doubleData));
  if (list === int64Data && dtype === 'int64')
    return bytesOf(BigInt64Array.from(int64Data, (value) => BigInt(String(value))));
  if (list === uint64Data && (dtype === 'uint64' || dtype === 'uint32')) {
    const wide = BigUint64Array.from(uint64Data, (value) => BigInt(String(value)));
    return dtype === 'uint64' ? bytesOf(wide) : bytesOf(Uint32Array.from(wide, Number));
  }
  if (list === int32Data && IN_INT32.includes(dtype)) {
    const { bits } = dtypeFacts(dtype);
    if (bits === 32) return bytesOf(Int32Array.from(int32Data));
    return bits === 16 ? bytesOf(Uint16Array.from(int32Data)) : bytesOf(Uint8Array.from(int32Data));
  }
  throw fail(`its data field does not fit its type ${dtype}`);
}
