import * as tf from '@tensorflow/tfjs';
import { FactError } from '../../core/errors.js';
import { type DataId, holdData, releaseData } from '../tfInternals.js';
import {
  type ActiveTracer,
  isTensorInfo,
  type KernelInputs,
  type KernelResult,
  LIST_KERNELS,
  type OnnxBackend,
} from './backend.js';
import { callSite } from './callSite.js';
import { attrsKey, lower } from './eager.js';
import { isStoredAsFilter, storedShape, VIEW_ORDER } from './filterStorage.js';
import {
  asValues,
  Graph,
  type NumericDType,
  type Shape,
  type Sym,
  sameShape,
  sizeOf,
  type Values,
} from './graph.js';
import { cast } from './lower/elementwise.js';
import { pointwise } from './lower/index.js';
import { reshape } from './lower/layout.js';
import type { Attrs, Inputs } from './lower/lowering.js';
import { transposedView } from './lower/views.js';

/** Names of graph inputs that stand for variables begin so. */
export const VARIABLE_PREFIX = 'variable:';

/** Calls on constants with fewer elements than this are faster done again than looked up. */
const SMALL_FOLD = 64;

/** A variable whose value is part of a graph, and which value that was. */
export interface BakedVariable {
  readonly variable: tf.Variable;
  readonly dataId: DataId;
  readonly version: number;
}

/**
 * Records kernel calls on symbolic tensors as graph nodes. Symbolic are the function's arguments, what was computed
 * from them and, unless baked, variables; everything else has values and becomes a constant. Kernels with constant
 * inputs only are run at once, which folds constants without any further rule.
 */
export class Tracer implements ActiveTracer {
  readonly graph: Graph;
  /** Variables met so far that are inputs of the graph. */
  readonly fed: tf.Variable[] = [];
  /** The first read of a traced value, thrown when the function has returned. */
  violation: FactError | null = null;

  private readonly variables = new Map<DataId, tf.Variable>();
  private readonly variableSyms = new Map<DataId, Sym>();
  private readonly constants = new Map<DataId, Sym>();
  private readonly bakedIds = new Set<DataId>();
  private readonly folded = new Map<string, readonly tf.TensorInfo[] | tf.TensorInfo>();
  private readonly dataNumbers = new Map<DataId, number>();
  private kernel: string | null = null;

  constructor(
    private readonly backend: OnnxBackend,
    private readonly functionName: string,
    variables: readonly tf.Variable[],
    private readonly bake: boolean,
    isOneThread = false,
  ) {
    this.graph = new Graph(isOneThread);
    for (const variable of variables) this.variables.set(variable.dataId as DataId, variable);
  }

  /** Variables whose values the graph contains. */
  get baked(): BakedVariable[] {
    return [...this.bakedIds].flatMap((dataId) => {
      const variable = this.variables.get(dataId);
      return variable ? [{ variable, dataId, version: this.backend.record(dataId).version ?? 0 }] : [];
    });
  }

  isSymbolicCall(inputs: KernelInputs): boolean {
    const infos = Object.values(inputs).filter(isTensorInfo);
    // Every input is looked at, so that each baked variable is noted.
    return infos.map((info) => this.isSymbolic(info.dataId as DataId)).includes(true);
  }

  runKernel(kernel: string, inputs: KernelInputs, attrs: Attrs): KernelResult {
    if (kernel === 'ZerosLike' || kernel === 'OnesLike') {
      return this.backend.makeUniform(
        inputs.x.shape,
        inputs.x.dtype as NumericDType,
        kernel === 'OnesLike' ? 1 : 0,
      );
    }
    this.kernel = kernel;
    const named = Object.entries(inputs).filter(([, info]) => isTensorInfo(info));
    const syms: Inputs = Object.fromEntries(named.map(([name, info]) => [name, this.symOf(info)]));
    const results = lower(kernel, this.graph, syms, attrs).map((sym) => this.backend.makeSymbolic(sym));
    this.kernel = null;
    return results.length === 1 && !LIST_KERNELS.has(kernel) ? results[0] : results;
  }

  /** A kernel on constants whose elements are all equal gives such a constant: one number instead of an array. */
  foldUniform(
    kernel: string,
    inputs: KernelInputs,
    attrs: Attrs,
    cpu: tf.KernelFunc | undefined,
  ): tf.TensorInfo | undefined {
    if (kernel === 'Fill') {
      const { shape, value, dtype } = attrs as unknown as tf.FillAttrs;
      const kind = dtype ?? 'float32';
      return typeof value === 'number' && kind === 'float32'
        ? this.backend.makeUniform(shape, kind, value)
        : undefined;
    }
    if (!pointwise.has(kernel) || cpu === undefined) return undefined;
    const infos = Object.entries(inputs);
    let shape: number[] = [];
    for (const [, info] of infos) shape = tf.backend_util.assertAndGetBroadcastShape(shape, info.shape);
    if (sizeOf(shape) <= 1) return undefined;
    const scalars: Record<string, tf.TensorInfo> = {};
    for (const [name, info] of infos) {
      const value = this.backend.record(info.dataId as DataId).uniform;
      if (value === undefined) return undefined;
      scalars[name] = this.backend.makeTensorInfo([], info.dtype, Float32Array.of(value));
    }
    const result = cpu({
      inputs: scalars,
      attrs: attrs as tf.NamedAttrMap,
      backend: this.backend,
    }) as tf.TensorInfo;
    const [value] = this.backend.readSync(result.dataId as DataId) as Float32Array;
    for (const info of [...Object.values(scalars), result]) this.backend.disposeData(info.dataId as DataId);
    return this.backend.makeUniform(shape, result.dtype as NumericDType, Number(value));
  }

  /**
   * Names a call on constants. A function normalises the same weights once a forward pass; a trace of many passes does
   * so once in all.
   */
  foldKey(kernel: string, inputs: KernelInputs, attrs: Attrs): string | undefined {
    const infos = Object.entries(inputs).filter(([, info]) => isTensorInfo(info));
    if (infos.length === 0 || infos.every(([, info]) => sizeOf(info.shape) < SMALL_FOLD)) return undefined;
    const named = infos.map(
      ([name, { dataId, shape, dtype }]) => `${name}:${this.numberOf(dataId as DataId)}:${dtype}[${shape}]`,
    );
    return `${kernel} ${named.join()} ${attrsKey(attrs)}`;
  }

  recallFolded(key: string): KernelResult | undefined {
    const known = this.folded.get(key);
    if (known === undefined) return undefined;
    const infos = [known].flat() as tf.TensorInfo[];
    for (const { dataId } of infos) this.backend.incRef(dataId as DataId);
    return known as KernelResult;
  }

  rememberFolded(key: string, result: KernelResult): void {
    const infos = [result].flat();
    for (const { dataId } of infos) holdData(this.backend, dataId as DataId);
    const copies = infos.map(({ dataId, shape, dtype }) => ({ dataId, shape, dtype }));
    this.folded.set(key, Array.isArray(result) ? copies : copies[0]);
  }

  /** Lets go of what was remembered; to be called when the trace has ended. */
  forgetFolded(): void {
    for (const { dataId } of [...this.folded.values()].flat() as tf.TensorInfo[])
      releaseData(this.backend, dataId as DataId);
    this.folded.clear();
  }

  private numberOf(dataId: DataId): number {
    const known = this.dataNumbers.get(dataId) ?? this.dataNumbers.size;
    this.dataNumbers.set(dataId, known);
    return known;
  }

  /** The value of a tensor in the graph: symbolic, a variable's input, or a constant. */
  symOf(info: tf.TensorInfo): Sym {
    const dataId = info.dataId as DataId;
    const base = this.backend.record(dataId).sym ?? this.variableSym(dataId) ?? this.constantSym(info);
    // Tensors of other shape or dtype may share the data: a view of a variable, a cast of a bool.
    const shaped = sameShape(base.shape, info.shape) ? base : reshape(this.graph, base, info.shape);
    return cast(this.graph, shaped, info.dtype as NumericDType);
  }

  checkRead(dataId: DataId): void {
    if (!this.isSymbolic(dataId)) return;
    throw this.noteRead();
  }

  noteAsyncRead(dataId: DataId): boolean {
    if (!this.isSymbolic(dataId)) return false;
    this.noteRead();
    return true;
  }

  private noteRead(): FactError {
    const { operation, caller } = callSite(fullStack());
    const inKernel = this.kernel === null ? '' : ` (kernel ${this.kernel})`;
    const error = new FactError({
      code: 'E_TRACE_READ',
      message: `${this.functionName}: ${operation ?? 'an operation'}${inKernel} reads the values of a tensor while the function is compiled, at ${caller ?? 'an unknown place'}`,
      remedy:
        'Compute with tensors only: pass numbers that vary as tensors, choose with tf.where; or run with --no-compile.',
    });
    this.violation ??= error;
    return error;
  }

  private isSymbolic(dataId: DataId): boolean {
    if (this.variables.has(dataId)) {
      if (!this.bake) return true;
      this.bakedIds.add(dataId);
    }
    return this.backend.record(dataId).sym !== undefined;
  }

  private variableSym(dataId: DataId): Sym | undefined {
    const variable = this.variables.get(dataId);
    if (variable === undefined || this.bake) return undefined;
    const known = this.variableSyms.get(dataId);
    if (known !== undefined) return known;
    const name = `${VARIABLE_PREFIX}${variable.name}`;
    const sym = isStoredAsFilter(variable.shape, variable.dtype)
      ? transposedView(this.graph.input(name, storedShape(variable.shape), 'float32'), VIEW_ORDER)
      : this.graph.input(name, variable.shape, variable.dtype as NumericDType);
    this.variableSyms.set(dataId, sym);
    this.fed.push(variable);
    return sym;
  }

  private constantSym(info: tf.TensorInfo): Sym {
    const dataId = info.dataId as DataId;
    const known = this.constants.get(dataId);
    if (known !== undefined) return known;
    const record = this.backend.record(dataId);
    if (record.filter !== undefined) this.backend.materialize(dataId);
    const sym = this.newConstant(
      record.dtype as NumericDType,
      info.shape,
      record.values as Values | undefined,
      record.uniform,
    );
    this.constants.set(dataId, sym);
    return sym;
  }

  private newConstant(
    dtype: NumericDType,
    shape: Shape,
    values: Values | undefined,
    uniform: number | undefined,
  ): Sym {
    // The graph keeps the array after the tensor is gone.
    this.backend.buffers.escape(values);
    const first = values?.length === 1 ? Number(values[0]) : undefined;
    // tfjs's cpu kernels leave float arrays in some int32 and bool tensors.
    return { shape, dtype, values: values && asValues(values, dtype), uniform: uniform ?? first };
  }
}

/** The whole stack: tfjs alone often takes more than the ten frames that V8 keeps. */
function fullStack(): string {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 200;
  const stack = new Error().stack ?? '';
  Error.stackTraceLimit = limit;
  return stack;
}
