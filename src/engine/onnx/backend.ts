import * as tf from '@tensorflow/tfjs';
import { MathBackendCPU } from '@tensorflow/tfjs-backend-cpu';
import { FactError } from '../../core/errors.js';
import { type DataId, type DataRecord, silenceCpuBanner } from '../tfInternals.js';
import { BufferPool } from './buffers.js';
import { EagerKernels, type EagerOutput, eagerInput, lower } from './eager.js';
import { readFilter, type StoredFilter, storeFilter } from './filterStorage.js';
import {
  asValues,
  filled,
  Graph,
  type NumericDType,
  newValues,
  type Shape,
  type Sym,
  sizeOf,
  type Values,
} from './graph.js';
import { lowerings } from './lower/index.js';
import type { Attrs } from './lower/lowering.js';
import type { OrtRuntime } from './session.js';

export const ONNX_BACKEND = 'onnx';

/** A record of the data map: cpu backend's, and what tracing adds. */
export interface OnnxRecord extends DataRecord {
  /** The value in the graph being traced; such a record has no numbers. */
  sym?: Sym;
  /** All elements equal this number; `values` are made when somebody needs them. */
  uniform?: number;
  /** Counts the times a compiled function wrote new values in place. */
  version?: number;
  /** The value as compiled functions keep a filter; `values` are made from it when somebody needs them. */
  filter?: StoredFilter;
}

export type KernelInputs = Readonly<Record<string, tf.TensorInfo>>;
export type KernelResult = tf.TensorInfo | tf.TensorInfo[];

/** What the backend asks of a trace in progress; see tracer.ts. */
export interface ActiveTracer {
  isSymbolicCall(inputs: KernelInputs): boolean;
  runKernel(kernel: string, inputs: KernelInputs, attrs: Attrs): KernelResult;
  foldUniform(
    kernel: string,
    inputs: KernelInputs,
    attrs: Attrs,
    cpuKernel: tf.KernelFunc | undefined,
  ): tf.TensorInfo | undefined;
  /** The results of an equal call on the same constants earlier in this trace, with a reference for the caller. */
  recallFolded(key: string): KernelResult | undefined;
  /** Names a call on constants, for `recallFolded`; undefined where it is not worth remembering. */
  foldKey(kernel: string, inputs: KernelInputs, attrs: Attrs): string | undefined;
  rememberFolded(key: string, result: KernelResult): void;
  /** Throws FactError E_TRACE_READ where the data has no value yet. */
  checkRead(dataId: DataId): void;
  /** Notes such a read and returns true, for callers that cannot throw. */
  noteAsyncRead(dataId: DataId): boolean;
}

/** Kernels that only change the shape or share the data: nothing to compute, so eager leaves them to the cpu kernel. */
const FREE_KERNELS = new Set(['Identity', 'Reshape', 'ExpandDims']);
/** Kernels whose result is a list even when it has one element. */
export const LIST_KERNELS = new Set(['SplitV', 'Unpack']);
/** Below this many elements a cpu kernel in JavaScript is faster than a call of ONNX Runtime. */
const SMALL_CALL = 256;

/**
 * The tfjs backend `onnx`. A kernel call is either run at once (eager: a small ONNX Runtime session, or the cpu
 * kernel for tiny arrays and kernels without an ONNX form) or, while a function is traced, added to its graph.
 */
export class OnnxBackend extends MathBackendCPU {
  readonly buffers = new BufferPool();
  readonly eager: EagerKernels;
  /** Set while a function is traced. */
  tracer: ActiveTracer | null = null;
  /** Calls whose largest input has fewer elements than this run on cpu kernels. Tests set 0. */
  smallCall = SMALL_CALL;

  constructor(readonly runtime: OrtRuntime) {
    super();
    silenceCpuBanner(this);
    this.eager = new EagerKernels(runtime, (dtype, size) => this.buffers.allocate(dtype, size));
  }

  /** Changes the number of threads of sessions made from now on. */
  setThreads(threads: number): void {
    if (this.runtime.threads === threads) return;
    this.runtime.threads = threads;
    this.eager.dispose();
  }

  /** The record of a data id; data of another backend moves here on first use. */
  record(dataId: DataId): OnnxRecord {
    return this.data.get(dataId) as OnnxRecord;
  }

  override write(values: tf.backend_util.BackendValues, shape: number[], dtype: tf.DataType): DataId {
    this.buffers.escape(values);
    const dataId = super.write(values, shape, dtype);
    if (this.tracer !== null) this.record(dataId).uniform = uniformOf(values);
    return dataId;
  }

  override readSync(dataId: DataId): tf.backend_util.BackendValues {
    this.tracer?.checkRead(dataId);
    this.materialize(dataId);
    const values = super.readSync(dataId);
    this.buffers.escape(values);
    return values;
  }

  override async read(dataId: DataId): Promise<tf.backend_util.BackendValues> {
    // An async read inside a traced function would reject where nobody listens: the tracer reports it instead.
    if (this.tracer?.noteAsyncRead(dataId)) return new Promise(() => {});
    return this.readSync(dataId);
  }

  override disposeData(dataId: DataId, force = false): boolean {
    const record = this.data.has(dataId) ? this.record(dataId) : undefined;
    const isGone = super.disposeData(dataId, force);
    if (isGone && record !== undefined) {
      this.buffers.recycle(record.values);
      this.buffers.recycle(record.filter?.values);
    }
    return isGone;
  }

  override dispose(): void {
    this.eager.dispose();
  }

  /** One kernel call of tfjs. `cpuKernel` is the fallback, undefined for kernels that tfjs does not have. */
  runKernel(
    kernel: string,
    inputs: KernelInputs,
    attrs: Attrs,
    cpuKernel: tf.KernelFunc | undefined,
  ): KernelResult {
    if (this.tracer?.isSymbolicCall(inputs)) return this.tracer.runKernel(kernel, inputs, attrs);
    if (this.tracer !== null) {
      const uniform = this.tracer.foldUniform(kernel, inputs, attrs, cpuKernel);
      if (uniform !== undefined) return uniform;
    }
    const key = this.tracer?.foldKey(kernel, inputs, attrs);
    if (key === undefined) return this.compute(kernel, inputs, attrs, cpuKernel);
    const known = this.tracer?.recallFolded(key);
    if (known !== undefined) return known;
    const result = this.compute(kernel, inputs, attrs, cpuKernel);
    this.tracer?.rememberFolded(key, result);
    return result;
  }

  /** Runs a kernel on values. */
  private compute(
    kernel: string,
    inputs: KernelInputs,
    attrs: Attrs,
    cpuKernel: tf.KernelFunc | undefined,
  ): KernelResult {
    const infos = Object.values(inputs).filter(isTensorInfo);
    for (const info of infos) this.materialize(info.dataId as DataId);
    if (this.runsOnOrt(kernel, infos, cpuKernel)) return this.runEager(kernel, inputs, attrs);
    if (cpuKernel !== undefined) {
      const results = cpuKernel({
        inputs: inputs as tf.NamedTensorInfoMap,
        attrs: attrs as tf.NamedAttrMap,
        backend: this,
      });
      if (this.tracer !== null) this.noteUniform([results].flat());
      return results;
    }
    return this.zeroResults(kernel, inputs, attrs);
  }

  /** Notes whether all elements of an array are equal; traces before and after then record the same. */
  noteUniformValues(dataId: DataId): void {
    const record = this.record(dataId);
    if (record.values !== undefined && record.values !== null) record.uniform ??= uniformOf(record.values);
  }

  /** cpu kernels write zeros first and fill them afterwards: whether all elements are equal is known only now. */
  private noteUniform(infos: readonly tf.TensorInfo[]): void {
    for (const { dataId } of infos) {
      const record = this.record(dataId as DataId);
      if (record.values !== undefined && record.values !== null) record.uniform = uniformOf(record.values);
    }
  }

  /** A tensor record without numbers that stands for a value of the traced graph. */
  makeSymbolic(sym: Sym): tf.TensorInfo {
    const info = this.makeTensorInfo([...sym.shape], sym.dtype);
    this.record(info.dataId as DataId).sym = sym;
    return info;
  }

  /** A record whose elements are all equal; no array is made until one is needed. */
  makeUniform(shape: Shape, dtype: NumericDType, value: number): tf.TensorInfo {
    const info = this.makeTensorInfo([...shape], dtype);
    const record = this.record(info.dataId as DataId);
    record.uniform = value;
    record.values = undefined;
    lazySizes.set(record, sizeOf(shape));
    return info;
  }

  /** Wraps results of ONNX Runtime; their arrays stay in the pool's ownership. */
  wrap({ shape, dtype, values }: EagerOutput): tf.TensorInfo {
    const info = this.makeTensorInfo([...shape], dtype);
    this.record(info.dataId as DataId).values = values;
    return info;
  }

  /** The numbers of a variable with four axes in the order in which graphs keep filters; made when first asked for. */
  storedFilter(dataId: DataId, shape: Shape): Values {
    const record = this.record(dataId);
    if (record.filter === undefined) {
      this.materialize(dataId);
      const values = this.buffers.allocate('float32', sizeOf(shape));
      storeFilter(asValues(record.values as Values, 'float32'), shape, values);
      record.filter = { values, shape };
    }
    return record.filter.values;
  }

  /** Makes the numbers of a uniform record or a stored filter; complains about a traced value that outlived its trace. */
  materialize(dataId: DataId): void {
    const record = this.record(dataId);
    if (record.values !== undefined && record.values !== null) return;
    if (record.sym !== undefined) {
      throw new FactError({
        code: 'E_TRACE_ESCAPED',
        message: 'a tensor made inside a compiled function is used outside it, where it has no value',
        remedy: 'Return the tensor from the function, or assign it to a variable.',
      });
    }
    if (record.filter !== undefined) {
      const values = this.buffers.allocate('float32', record.filter.values.length);
      readFilter(record.filter.values, record.filter.shape, values);
      record.values = values;
      return;
    }
    const size = lazySizes.get(record);
    if (record.uniform !== undefined && size !== undefined) {
      record.values = filled(record.dtype as NumericDType, size, record.uniform);
    }
  }

  private runsOnOrt(
    kernel: string,
    infos: readonly tf.TensorInfo[],
    cpuKernel: tf.KernelFunc | undefined,
  ): boolean {
    if (!lowerings.has(kernel) || infos.length === 0) return false;
    const sizes = infos.map((info) => sizeOf(info.shape));
    if (sizes.includes(0) || infos.some((info) => !isNumeric(info.dtype))) return false;
    if (cpuKernel === undefined) return true;
    return !FREE_KERNELS.has(kernel) && Math.max(...sizes) >= this.smallCall;
  }

  private runEager(kernel: string, inputs: KernelInputs, attrs: Attrs): KernelResult {
    const given = Object.entries(inputs)
      .filter(([, info]) => isTensorInfo(info))
      .map(([name, info]) => eagerInput(name, info, this.record(info.dataId as DataId).values as Values));
    const results = this.eager.run(kernel, given, attrs).map((output) => this.wrap(output));
    return results.length === 1 && !LIST_KERNELS.has(kernel) ? results[0] : results;
  }

  /** The result of a kernel of ours on empty inputs: a sum over nothing. */
  private zeroResults(kernel: string, inputs: KernelInputs, attrs: Attrs): KernelResult {
    const graph = new Graph();
    const syms = Object.entries(inputs).map(([name, info]) => [
      name,
      graph.input(name, info.shape, info.dtype as NumericDType),
    ]);
    const results = lower(kernel, graph, Object.fromEntries(syms), attrs).map((sym) =>
      this.wrap({ ...sym, values: newValues(sym.dtype, sizeOf(sym.shape)) }),
    );
    return results.length === 1 ? results[0] : results;
  }
}

/** Sizes of uniform records, whose arrays do not exist yet. */
const lazySizes = new WeakMap<OnnxRecord, number>();

export function isTensorInfo(value: unknown): value is tf.TensorInfo {
  return (value as tf.TensorInfo | undefined)?.dataId !== undefined;
}

export function isNumeric(dtype: tf.DataType): dtype is NumericDType {
  return dtype === 'float32' || dtype === 'int32' || dtype === 'bool';
}

/** The value that all elements share, or undefined. */
function uniformOf(values: unknown): number | undefined {
  if (!ArrayBuffer.isView(values)) return undefined;
  const array = values as Values;
  const first = array[0];
  if (array.length === 0 || Number.isNaN(first)) return undefined;
  return array.every((value) => value === first) ? first : undefined;
}

/** Registers every kernel of the cpu backend and every lowering under the backend's name. */
export function registerKernels(): void {
  const names = new Set([
    ...tf.getKernelsForBackend('cpu').map((config) => config.kernelName),
    ...lowerings.keys(),
  ]);
  for (const kernelName of names) {
    const cpu = tf.getKernel(kernelName, 'cpu');
    tf.registerKernel({
      kernelName,
      backendName: ONNX_BACKEND,
      ...(cpu?.setupFunc ? { setupFunc: cpu.setupFunc } : {}),
      kernelFunc: ({ inputs, attrs, backend }) =>
        (backend as OnnxBackend).runKernel(
          kernelName,
          inputs as KernelInputs,
          attrs ?? {},
          tf.getKernel(kernelName, 'cpu')?.kernelFunc,
        ),
    });
  }
}
