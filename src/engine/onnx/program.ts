import * as tf from '@tensorflow/tfjs';
import { FactError, messageOf } from '../../core/errors.js';
import { buildTree, type TensorTree } from '../tensorTree.js';
import { type DataId, holdData, releaseData, tensorFromInfo } from '../tfInternals.js';
import type { OnnxBackend, OnnxRecord } from './backend.js';
import type { EagerOutput } from './eager.js';
import { isStoredAsFilter, type StoredFilter, storedShape } from './filterStorage.js';
import { asValues, type NumericDType, type Shape, sizeOf, type Values } from './graph.js';
import { optimise } from './passes/index.js';
import { serializeModel } from './proto.js';
import type { GraphSession, NamedOrtTensors } from './session.js';
import type { GraphLayout } from './storedGraph.js';
import { type ArgumentSpec, type Trace, updateName } from './trace.js';
import { VARIABLE_PREFIX } from './tracer.js';

type Layout = Omit<Trace, 'parts'>;

/**
 * A traced function loaded into ONNX Runtime. Arguments and variables are fed where they lie. A variable that the
 * function assigns has a second array: the run writes there, and once it has succeeded the two change places, so a
 * failed run changes nothing.
 */
export class GraphProgram {
  private readonly spares = new Map<tf.Variable, Values>();

  private constructor(
    private readonly backend: OnnxBackend,
    private readonly name: string,
    private readonly session: GraphSession,
    readonly specs: readonly ArgumentSpec[],
    private readonly layout: Layout,
    private readonly fedNames: ReadonlySet<string>,
  ) {}

  /**
   * @param saveTo where ONNX Runtime writes its optimised form of the graph; that this fails (a full disk) is no reason
   * not to run it. Throws FactError E_COMPILE where ONNX Runtime refuses the graph.
   */
  static async load(
    backend: OnnxBackend,
    name: string,
    specs: readonly ArgumentSpec[],
    trace: Trace,
    saveTo?: string,
  ): Promise<GraphProgram> {
    const { parts, ...layout } = trace;
    const fedNames = new Set(parts.inputs.map((port) => port.name));
    try {
      const bytes = serializeModel(optimise(parts), name);
      const { isOneThread } = layout;
      const plain = () => backend.runtime.graphSession(bytes, { isOneThread });
      const session =
        saveTo === undefined
          ? await plain()
          : await backend.runtime.graphSession(bytes, { saveTo, isOneThread }).catch(plain);
      return new GraphProgram(backend, name, session, specs, layout, fedNames);
    } catch (error) {
      throw new FactError({
        code: 'E_COMPILE',
        message: `${name}: ONNX Runtime refuses its graph of ${parts.nodes.length} nodes: ${messageOf(error).split('\n')[0]}`,
        remedy:
          'This is a fault in the onnx engine: please report it; --no-compile runs the same code meanwhile.',
        cause: error,
      });
    }
  }

  /** Whether every variable inside the graph still has the value that was put there. */
  get isCurrent(): boolean {
    return this.layout.baked.every(
      ({ variable, dataId, version }) =>
        variable.isDisposed ||
        (variable.dataId === dataId && (this.backend.record(dataId).version ?? 0) === version),
    );
  }

  /** Runs the graph once; the caller owns the tensors of the result and has seen to it that runs do not overlap. */
  async run(args: readonly tf.Tensor[]): Promise<TensorTree> {
    const results = this.outputs.map(({ shape, dtype }) => allocateResult(this.backend, shape, dtype));
    const held = args.map((arg) => arg.dataId as DataId);
    for (const dataId of held) holdData(this.backend, dataId);
    try {
      await this.execute(
        args.map((arg) => valuesOf(this.backend, arg)),
        results.map((result) => result.values),
      );
    } catch (error) {
      for (const { values } of results) this.backend.buffers.recycle(values);
      throw error;
    } finally {
      for (const dataId of held) releaseData(this.backend, dataId);
    }
    return this.treeOf(results);
  }

  /** The result in the function's own form. */
  treeOf(results: readonly EagerOutput[]): TensorTree {
    const tensors = results.map((result) => tensorFromInfo(this.backend.wrap(result), this.backend));
    return buildTree(this.layout.form, tensors);
  }

  /**
   * Runs the graph on arrays of the arguments' sizes and writes into arrays of the results' sizes, then gives the
   * assigned variables their new values, unless the function said that they do not count. Throws FactError E_COMPILED_RUN; then nothing has changed.
   */
  async execute(args: readonly Values[], results: readonly Values[]): Promise<void> {
    const { updated, fed } = this.layout;
    const feeds = this.feeds(args);
    const fetches: NamedOrtTensors = {};
    this.outputs.forEach(({ name, shape, dtype }, i) => {
      fetches[name] = this.backend.runtime.tensor(dtype, results[i], shape);
    });
    const news = updated.map((variable) => this.spare(variable));
    updated.forEach((variable, i) => {
      fetches[updateName(variable)] = this.variableTensor(variable, news[i]);
    });
    const held = fed.map((variable) => variable.dataId as DataId);
    for (const dataId of held) holdData(this.backend, dataId);
    try {
      await this.session.run(feeds, fetches);
    } catch (error) {
      throw new FactError({
        code: 'E_COMPILED_RUN',
        message: `${this.name}: ONNX Runtime failed: ${messageOf(error).split('\n')[0]}`,
        remedy:
          'With too little memory use a smaller batch; else please report it. --no-compile runs the same code.',
        cause: error,
      });
    } finally {
      for (const dataId of held) releaseData(this.backend, dataId);
    }
    if (this.layout.keepIf >= 0 && !results[this.layout.keepIf][0]) {
      updated.forEach((variable, i) => {
        this.spares.set(variable, news[i]);
      });
      return;
    }
    updated.forEach((variable, i) => {
      this.commit(variable, news[i]);
    });
  }

  /** What a caller without tfjs must know to run the graph. */
  get graphLayout(): GraphLayout {
    return {
      inputs: this.specs.filter(({ name }) => this.fedNames.has(name)),
      arguments: this.specs.map(({ name }) => name),
      outputs: this.outputs,
    };
  }

  get outputs(): Trace['outputs'] {
    return this.layout.outputs;
  }

  async dispose(): Promise<void> {
    for (const values of this.spares.values()) this.backend.buffers.recycle(values);
    this.spares.clear();
    await this.session.release();
  }

  private feeds(args: readonly Values[]): NamedOrtTensors {
    const feeds: NamedOrtTensors = {};
    this.specs.forEach(({ name, shape, dtype }, i) => {
      if (this.fedNames.has(name)) feeds[name] = this.backend.runtime.tensor(dtype, args[i], shape);
    });
    for (const variable of this.layout.fed) {
      if (variable.isDisposed) throw this.disposedVariable(variable);
      const name = VARIABLE_PREFIX + variable.name;
      if (this.fedNames.has(name))
        feeds[name] = this.variableTensor(variable, fedValues(this.backend, variable));
    }
    return feeds;
  }

  private spare(variable: tf.Variable): Values {
    const known = this.spares.get(variable);
    if (known !== undefined) return known;
    const fresh = this.backend.buffers.allocate(variable.dtype as NumericDType, variable.size);
    this.spares.set(variable, fresh);
    return fresh;
  }

  /** Gives a variable its new values; its old array becomes the next spare, unless somebody else may see it. */
  private commit(variable: tf.Variable, values: Values): void {
    const { shape } = variable;
    const isFilter = isStoredAsFilter(shape, variable.dtype);
    const record = this.backend.record(variable.dataId as DataId);
    this.spares.delete(variable);
    if (record.refCount > 1) {
      // Other tensors share the old values: they keep them.
      const info = this.backend.wrap({ shape, dtype: variable.dtype as NumericDType, values });
      if (isFilter) setFilter(this.backend.record(info.dataId as DataId), { values, shape });
      tf.tidy(() => variable.assign(tensorFromInfo(info, this.backend)));
      return;
    }
    const old = isFilter ? record.filter?.values : record.values;
    if (this.backend.buffers.owns(old)) this.spares.set(variable, old as Values);
    if (isFilter) {
      this.backend.buffers.recycle(record.values);
      setFilter(record, { values, shape });
    } else {
      record.values = values;
    }
    record.uniform = undefined;
    record.version = (record.version ?? 0) + 1;
  }

  private variableTensor(variable: tf.Variable, values: Values): NamedOrtTensors[string] {
    const { shape } = variable;
    const dtype = variable.dtype as NumericDType;
    const order = isStoredAsFilter(shape, dtype) ? storedShape(shape) : shape;
    return this.backend.runtime.tensor(dtype, values, order);
  }

  private disposedVariable(variable: tf.Variable): FactError {
    return new FactError({
      code: 'E_COMPILED_RUN',
      message: `${this.name}: variable ${variable.name} was disposed after the function was compiled`,
      remedy: 'Dispose the compiled function together with the model that it uses.',
    });
  }
}

/** The numbers of a variable as graphs take them. */
function fedValues(backend: OnnxBackend, variable: tf.Variable): Values {
  const { shape, dtype } = variable;
  return isStoredAsFilter(shape, dtype)
    ? backend.storedFilter(variable.dataId as DataId, shape)
    : valuesOf(backend, variable);
}

/** Gives a record the numbers of a filter as graphs keep them, and no others. */
function setFilter(record: OnnxRecord, filter: StoredFilter): void {
  record.filter = filter;
  record.values = undefined;
}

/** The numbers of a tensor as ONNX Runtime can read them where they lie. */
export function valuesOf(backend: OnnxBackend, tensor: tf.Tensor): Values {
  const dataId = tensor.dataId as DataId;
  backend.materialize(dataId);
  return asValues(backend.record(dataId).values as Values, tensor.dtype as NumericDType);
}

/** Memory for a result. */
export function allocateResult(backend: OnnxBackend, shape: Shape, dtype: NumericDType): EagerOutput {
  return { shape, dtype, values: backend.buffers.allocate(dtype, sizeOf(shape)) };
}
