import type { DType } from '../dtypes.js';

/**
 * What a pickle describes, as plain tagged data: no value of a file ever becomes a JavaScript object with names of
 * the file's choosing. Whole numbers are `number` (`bigint` beyond 2^53), Python floats are `PyFloat`.
 */
export type PickleValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | PyFloat
  | PyBytes
  | PyList
  | PyTuple
  | PyDict
  | PySet
  | PyGlobal
  | PyStorage
  | PyTensor
  | PyDType
  | PyOpaque
  | NumpyDType
  | NumpyArray;

export interface PyFloat {
  readonly kind: 'float';
  readonly value: number;
}
export interface PyBytes {
  readonly kind: 'bytes';
  readonly data: Uint8Array;
}
export interface PyList {
  readonly kind: 'list';
  readonly items: PickleValue[];
}
export interface PyTuple {
  readonly kind: 'tuple';
  readonly items: readonly PickleValue[];
}
/** Any dict; in order of insertion. The map's key is `keyText` of the entry's key. */
export interface PyDict {
  readonly kind: 'dict';
  readonly entries: Map<string, readonly [PickleValue, PickleValue]>;
}
export interface PySet {
  readonly kind: 'set';
  readonly entries: Map<string, PickleValue>;
}
/** A reference to an allow-listed Python name, e.g. `torch._utils._rebuild_tensor_v2`. */
export interface PyGlobal {
  readonly kind: 'global';
  readonly name: string;
}
/** The raw numbers that tensors are views of. */
export interface PyStorage {
  readonly kind: 'storage';
  readonly key: string;
  /** null: untyped bytes. */
  readonly dtype: DType | null;
  /** Length in bytes. */
  readonly byteLength: number;
  /** Where this storage begins in the bytes of `key`: not 0 only for storage views of legacy files. */
  readonly byteOffset: number;
}
/** A view of a storage; checked to lie within it. */
export interface PyTensor {
  readonly kind: 'tensor';
  readonly storage: PyStorage;
  readonly dtype: DType;
  /** Elements, not bytes. */
  readonly offset: number;
  readonly shape: readonly number[];
  /** Elements, not bytes. */
  readonly stride: readonly number[];
  /** An `nn.Parameter`. */
  readonly isParameter: boolean;
}
export interface PyDType {
  readonly kind: 'dtype';
  readonly dtype: DType;
}
/** An object of a known harmless class whose content was dropped; `refuse` says what to call a tensor of an unreadable kind. */
export interface PyOpaque {
  readonly kind: 'opaque';
  readonly className: string;
  readonly refuse?: string;
}
export interface NumpyDType {
  readonly kind: 'numpyDType';
  readonly dtype: DType;
  isBigEndian: boolean;
}
/** A numpy array, or a scalar (`isScalar`); little-endian, row-major. */
export interface NumpyArray {
  readonly kind: 'ndarray';
  readonly isScalar: boolean;
  dtype: DType;
  shape: readonly number[];
  bytes: Uint8Array;
}

/** Short name of a value's type for messages. */
export function kindOf(value: PickleValue | undefined): string {
  if (value === null) return 'None';
  if (value === undefined) return 'nothing';
  return typeof value === 'object' ? value.kind : typeof value;
}
