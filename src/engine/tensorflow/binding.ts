/**
 * What the backend needs of TensorFlow, whoever provides it: the C library called directly (`nativeBinding.ts`) or the
 * compiled addon of an installed @tensorflow/tfjs-node (`officialBinding.ts`).
 */

/** A tensor inside TensorFlow; released by its owner, once. */
export type Handle = number | bigint;

/** Values as they cross the border. */
export type HostValues = Float32Array | Int32Array | Uint8Array;

/** TensorFlow's numbers of the element types in use (tf_datatype.h). */
export const TF_FLOAT = 1;
export const TF_INT32 = 3;
export const TF_BOOL = 10;

/** An attribute of an operation, with the type that TensorFlow declares for it. */
export type Attr =
  | { readonly kind: 'type' | 'int' | 'float'; readonly value: number }
  | { readonly kind: 'bool'; readonly value: boolean }
  | { readonly kind: 'string'; readonly value: string }
  | { readonly kind: 'ints'; readonly value: readonly number[] };

export type OpAttrs = Readonly<Record<string, Attr>>;

export interface OpOutput {
  readonly handle: Handle;
  readonly shape: number[];
  /** TensorFlow's number of the element type. */
  readonly dtype: number;
}

export interface TensorflowBinding {
  /** Version of libtensorflow, for example 2.18.1. */
  readonly version: string;
  readonly device: 'CPU' | 'GPU';
  /** Where it comes from, for `fact engine list`. */
  readonly origin: string;
  /** Copies values into a new tensor. */
  create(dtype: number, shape: readonly number[], values: HostValues): Handle;
  /** Copies the values of a tensor out. */
  read(handle: Handle): HostValues;
  release(handle: Handle): void;
  /**
   * Runs one operation. Attributes of element types that follow from the inputs may be left out.
   * Throws FactError E_MEMORY where memory runs out and E_ENGINE_OPERATION with TensorFlow's own words otherwise.
   */
  execute(op: string, inputs: readonly Handle[], attrs: OpAttrs, outputs: number): OpOutput[];
}

export const type = (value: number): Attr => ({ kind: 'type', value });
export const int = (value: number): Attr => ({ kind: 'int', value });
export const float = (value: number): Attr => ({ kind: 'float', value });
export const bool = (value: boolean): Attr => ({ kind: 'bool', value });
export const string = (value: string): Attr => ({ kind: 'string', value });
export const ints = (value: readonly number[]): Attr => ({ kind: 'ints', value });
