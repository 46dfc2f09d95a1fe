/** Element types of tensors in files, named as PyTorch names them. */
export type DType =
  | 'float64'
  | 'float32'
  | 'float16'
  | 'bfloat16'
  | 'float8_e4m3fn'
  | 'float8_e4m3fnuz'
  | 'float8_e5m2'
  | 'float8_e5m2fnuz'
  | 'float8_e8m0fnu'
  | 'float6_e2m3'
  | 'float6_e3m2'
  | 'float4_e2m1'
  | 'int64'
  | 'int32'
  | 'int16'
  | 'int8'
  | 'uint64'
  | 'uint32'
  | 'uint16'
  | 'uint8'
  | 'bool'
  | 'complex128'
  | 'complex64'
  | 'complex32';

export interface DTypeFacts {
  readonly name: DType;
  /** Bits of one element; below 8 elements are packed, and only safetensors has such. */
  readonly bits: number;
  /** Bytes that are swapped together in a big-endian file (a complex number is two of them). */
  readonly swap: number;
  /** Code in a safetensors header, null where that format has none. */
  readonly safetensors: string | null;
  /** Typed storage class of PyTorch (`torch.FloatStorage`), null where it only has the untyped one. */
  readonly storage: string | null;
  /** PyTorch can save it. */
  readonly torch: boolean;
}

const row = (
  name: DType,
  bits: number,
  safetensors: string | null,
  storage: string | null,
  torch = true,
): DTypeFacts => ({
  name,
  bits,
  swap: Math.max(1, name.startsWith('complex') ? bits / 16 : bits / 8),
  safetensors,
  storage,
  torch,
});

/** Every element type that the readers know. */
export const DTYPES: readonly DTypeFacts[] = [
  row('float64', 64, 'F64', 'DoubleStorage'),
  row('float32', 32, 'F32', 'FloatStorage'),
  row('float16', 16, 'F16', 'HalfStorage'),
  row('bfloat16', 16, 'BF16', 'BFloat16Storage'),
  row('float8_e4m3fn', 8, 'F8_E4M3', null),
  row('float8_e4m3fnuz', 8, 'F8_E4M3FNUZ', null),
  row('float8_e5m2', 8, 'F8_E5M2', null),
  row('float8_e5m2fnuz', 8, 'F8_E5M2FNUZ', null),
  row('float8_e8m0fnu', 8, 'F8_E8M0', null),
  row('float6_e2m3', 6, 'F6_E2M3', null, false),
  row('float6_e3m2', 6, 'F6_E3M2', null, false),
  row('float4_e2m1', 4, 'F4', null, false),
  row('int64', 64, 'I64', 'LongStorage'),
  row('int32', 32, 'I32', 'IntStorage'),
  row('int16', 16, 'I16', 'ShortStorage'),
  row('int8', 8, 'I8', 'CharStorage'),
  row('uint64', 64, 'U64', null),
  row('uint32', 32, 'U32', null),
  row('uint16', 16, 'U16', null),
  row('uint8', 8, 'U8', 'ByteStorage'),
  row('bool', 8, 'BOOL', 'BoolStorage'),
  row('complex128', 128, null, 'ComplexDoubleStorage'),
  row('complex64', 64, 'C64', 'ComplexFloatStorage'),
  row('complex32', 32, null, null),
];

const byName = new Map<string, DTypeFacts>(DTYPES.map((facts) => [facts.name, facts]));

/** Facts of an element type. */
export function dtypeFacts(name: DType): DTypeFacts {
  const facts = byName.get(name);
  if (facts === undefined) throw new TypeError(`no such element type: ${name}`);
  return facts;
}

/** Number of elements of a shape: 1 for no axis. Exact or NaN: never a rounded product. */
export function countOf(shape: readonly number[]): number {
  if (shape.includes(0)) return 0;
  let count = 1;
  for (const size of shape) {
    count *= size;
    if (!Number.isSafeInteger(count)) return Number.NaN;
  }
  return count;
}

/** A tensor of a file: contiguous, row-major, little-endian. */
export interface NamedTensor {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  /**
   * Do not write to it. Of a tensor in a file these are read (and checked) at each access: take them once, one tensor
   * after the other, and a file of any size passes through little memory.
   */
  readonly bytes: Uint8Array;
  /** The same object for tensors that are known to be the same bytes (tied weights). */
  readonly tie?: object;
}

/** A tensor whose bytes are fetched when they are asked for. */
export function lazyTensor(
  name: string,
  dtype: DType,
  shape: readonly number[],
  load: () => Uint8Array,
  tie?: object,
): NamedTensor {
  // The tie is no part of the value: two reads of one file are equal.
  return Object.defineProperties(
    { name, dtype, shape },
    { bytes: { get: load, enumerable: true }, tie: { value: tie } },
  ) as NamedTensor;
}

/** The same tensor under another name; its bytes are not fetched. */
export function renamed(tensor: NamedTensor, name: string): NamedTensor {
  if (tensor.name === name) return tensor;
  return lazyTensor(name, tensor.dtype, tensor.shape, () => tensor.bytes, tensor.tie ?? tensor);
}

/** Length of a tensor's bytes, by its shape. */
export function byteLengthOf(tensor: Pick<NamedTensor, 'dtype' | 'shape'>): number {
  return (countOf(tensor.shape) * dtypeFacts(tensor.dtype).bits) / 8;
}
