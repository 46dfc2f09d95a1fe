import * as tf from '@tensorflow/tfjs';
import { FactError } from '../../core/errors.js';
import type { DataId } from '../tfInternals.js';
import {
  type Handle,
  type HostValues,
  type OpAttrs,
  type TensorflowBinding,
  TF_BOOL,
  TF_FLOAT,
  TF_INT32,
} from './binding.js';

/** The name of the tfjs backend: not `tensorflow`, which @tensorflow/tfjs-node takes where a program loads it. */
export const TENSORFLOW_BACKEND = 'fact-tensorflow';

/** TensorFlow's number of each element type that tensors here can have. */
export const DTYPES: Readonly<Partial<Record<tf.DataType, number>>> = {
  float32: TF_FLOAT,
  int32: TF_INT32,
  bool: TF_BOOL,
};
const NAMES: Readonly<Record<number, tf.DataType>> = {
  [TF_FLOAT]: 'float32',
  [TF_INT32]: 'int32',
  [TF_BOOL]: 'bool',
};

/** Values of a tensor: on the host until an operation needs them, then inside TensorFlow. */
interface Stored {
  values: HostValues | null;
  handle: Handle | null;
  readonly shape: readonly number[];
  readonly dtype: tf.DataType;
  refCount: number;
}

/** Small whole-number constants (axes, shapes, paddings) kept inside TensorFlow; the oldest go first. */
const MAX_CONSTANTS = 2048;

/** The tfjs backend of engine `tensorflow`: tensors are TensorFlow's, every kernel is one or a few of its operations. */
export class TensorflowBackend extends tf.KernelBackend {
  private readonly data: tf.DataStorage<Stored>;
  private readonly constants = new Map<string, Handle>();
  /** Results made since the outermost `scoped` began, null outside of one. */
  private made: tf.TensorInfo[] | null = null;

  constructor(readonly binding: TensorflowBinding) {
    super();
    this.data = new tf.DataStorage(this, tf.engine());
  }

  override write(values: tf.backend_util.BackendValues, shape: number[], dtype: tf.DataType): DataId {
    const dataId = {};
    this.move(dataId, values, shape, dtype, 1);
    return dataId;
  }

  override move(
    dataId: DataId,
    values: tf.backend_util.BackendValues,
    shape: number[],
    dtype: tf.DataType,
    refCount: number,
  ): void {
    this.data.set(dataId, { values: hostValues(values, shape, dtype), handle: null, shape, dtype, refCount });
  }

  override readSync(dataId: DataId): tf.backend_util.BackendValues {
    const stored = this.data.get(dataId);
    return stored.values ?? this.binding.read(this.handleOf(stored));
  }

  override async read(dataId: DataId): Promise<tf.backend_util.BackendValues> {
    return this.readSync(dataId);
  }

  override disposeData(dataId: DataId, force = false): boolean {
    if (!this.data.has(dataId)) return true;
    const stored = this.data.get(dataId);
    stored.refCount--;
    if (!force && stored.refCount > 0) return false;
    if (stored.handle !== null) this.binding.release(stored.handle);
    this.data.delete(dataId);
    return true;
  }

  override incRef(dataId: DataId): void {
    this.data.get(dataId).refCount++;
  }

  override refCount(dataId: DataId): number {
    return this.data.has(dataId) ? this.data.get(dataId).refCount : 0;
  }

  override numDataIds(): number {
    return this.data.numDataIds();
  }

  override memory(): { unreliable: boolean } {
    return { unreliable: true };
  }

  override timerAvailable(): boolean {
    return false;
  }

  override floatPrecision(): 32 {
    return 32;
  }

  override epsilon(): number {
    return 1e-7;
  }

  override dispose(): void {
    for (const handle of this.constants.values()) this.binding.release(handle);
    this.constants.clear();
  }

  /** The same values under another tensor. */
  share(x: tf.TensorInfo): tf.TensorInfo {
    this.incRef(x.dataId as DataId);
    return { dataId: x.dataId, shape: x.shape, dtype: x.dtype };
  }

  /** A new tensor of given values; they must not change afterwards. */
  constant(values: HostValues, shape: number[], dtype: tf.DataType): tf.TensorInfo {
    return this.track({ dataId: this.write(values, shape, dtype), shape, dtype });
  }

  /** A number as a float32 (or int32) scalar, kept for the next use. */
  scalar(value: number, dtype: 'float32' | 'int32' = 'float32'): Handle {
    return this.kept(`${dtype}${value}`, () =>
      this.binding.create(
        dtype === 'float32' ? TF_FLOAT : TF_INT32,
        [],
        dtype === 'float32' ? Float32Array.of(value) : Int32Array.of(value),
      ),
    );
  }

  /** Whole numbers as an int32 list (or a tensor of `shape`), kept for the next use. */
  list(values: readonly number[], shape: readonly number[] = [values.length]): Handle {
    return this.kept(`${values}:${shape}`, () =>
      this.binding.create(TF_INT32, shape, Int32Array.from(values)),
    );
  }

  /** A constant by a key, made at its first use and kept for the next; the oldest of many go first. */
  kept(key: string, make: () => Handle): Handle {
    const known = this.constants.get(key);
    if (known !== undefined) return known;
    if (this.constants.size >= MAX_CONSTANTS) {
      for (const [old, handle] of this.constants) {
        this.constants.delete(old);
        this.binding.release(handle);
        break;
      }
    }
    const handle = make();
    this.constants.set(key, handle);
    return handle;
  }

  /** Runs one operation with one result. Inputs are tensors or handles from `scalar` and `list`. */
  run(op: string, inputs: readonly (tf.TensorInfo | Handle)[], attrs: OpAttrs = {}): tf.TensorInfo {
    return this.runMany(op, inputs, attrs, 1)[0];
  }

  /** Runs one operation with several results. Throws FactError E_MEMORY, E_ENGINE_OPERATION. */
  runMany(
    op: string,
    inputs: readonly (tf.TensorInfo | Handle)[],
    attrs: OpAttrs,
    outputs: number,
  ): tf.TensorInfo[] {
    const handles = inputs.map((input) =>
      typeof input === 'object' ? this.handleOf(this.data.get(input.dataId as DataId)) : input,
    );
    return this.binding.execute(op, handles, attrs, outputs).map(({ handle, shape, dtype }) => {
      const dataId = {};
      this.data.set(dataId, { values: null, handle, shape, dtype: NAMES[dtype] ?? 'float32', refCount: 1 });
      return this.track({ dataId, shape, dtype: NAMES[dtype] ?? 'float32' });
    });
  }

  /** Runs several operations; of what they made only the result stays. */
  scoped<R extends tf.TensorInfo | tf.TensorInfo[]>(body: () => R): R {
    const outer = this.made;
    const made: tf.TensorInfo[] = [];
    this.made = made;
    let kept: readonly tf.TensorInfo[] = [];
    try {
      const result = body();
      kept = Array.isArray(result) ? result : [result];
      return result;
    } finally {
      this.made = outer;
      for (const info of made) {
        if (!kept.some((result) => result.dataId === info.dataId)) this.disposeData(info.dataId as DataId);
        else outer?.push(info);
      }
    }
  }

  private track(info: tf.TensorInfo): tf.TensorInfo {
    this.made?.push(info);
    return info;
  }

  private handleOf(stored: Stored): Handle {
    if (stored.handle === null) {
      const dtype = DTYPES[stored.dtype];
      if (dtype === undefined || stored.values === null) throw unsupported(stored.dtype);
      stored.handle = this.binding.create(dtype, stored.shape, stored.values);
      stored.values = null;
    }
    return stored.handle;
  }
}

function unsupported(dtype: string): FactError {
  return new FactError({
    code: 'E_ENGINE_UNSUPPORTED',
    message: `engine tensorflow: tensors of dtype ${dtype} are not supported`,
    remedy: 'Use float32, int32 or bool tensors, or the cpu engine.',
  });
}

/** Values as the arrays that TensorFlow's element types take. */
function hostValues(
  values: tf.backend_util.BackendValues | null,
  shape: readonly number[],
  dtype: tf.DataType,
): HostValues {
  const size = shape.reduce((a, b) => a * b, 1);
  if (dtype === 'float32')
    return values instanceof Float32Array ? values : Float32Array.from(numbersOf(values, size));
  if (dtype === 'int32')
    return values instanceof Int32Array ? values : Int32Array.from(numbersOf(values, size));
  if (dtype === 'bool')
    return values instanceof Uint8Array ? values : Uint8Array.from(numbersOf(values, size));
  throw unsupported(dtype);
}

function numbersOf(values: tf.backend_util.BackendValues | null, size: number): ArrayLike<number> {
  if (values === null) return new Float32Array(size);
  if (values.length > 0 && typeof values[0] !== 'number' && typeof values[0] !== 'boolean')
    throw unsupported('string');
  return values as unknown as ArrayLike<number>;
}
