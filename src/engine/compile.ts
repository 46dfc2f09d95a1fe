import * as tf from '@tensorflow/tfjs';
import { FactError } from '../core/errors.js';
import { currentEngine } from './current.js';
import { isNumeric, ONNX_BACKEND, OnnxBackend } from './onnx/backend.js';
import { commonRows, rowsPerPiece, runInPieces } from './onnx/pieces.js';
import { GraphProgram } from './onnx/program.js';
import { type ArgumentSpec, type Trace, traceFunction } from './onnx/trace.js';
import { buildTree, flattenTree, type TensorTree } from './tensorTree.js';

export type { TensorTree } from './tensorTree.js';

export interface CompileOptions {
  /** Names the function in messages and in the graph. */
  readonly name: string;
  /**
   * Variables become constants of the graph, so that what depends on them only (normalised filters) is computed once:
   * for predicting and explaining. When a variable has changed, the next call compiles anew. Default false: variables
   * are inputs, and those that the function assigns are written after each run.
   */
  readonly bake?: boolean;
  /**
   * States that row i of every result depends on row i of the arguments alone (and on variables): true for predicting
   * and explaining in evaluation mode. Large batches then run a few rows at a time, which is faster and takes less
   * memory, with the same values. Needs arguments and results whose first dimension is the batch. Default false.
   */
  readonly independentRows?: boolean;
  /** Default: what `startEngine` was told. */
  readonly enabled?: boolean;
}

/** A compiled function. Results belong to the caller, who disposes them; arguments are only read. */
export interface Compiled<A extends readonly tf.Tensor[], R extends TensorTree> {
  (...args: A): Promise<R>;
  /** How a call now would run: as one graph, or operation by operation. */
  readonly mode: 'compiled' | 'eager';
  /** Frees the graphs; calls in progress still end. */
  dispose(): void;
}

/** Compiled runs follow each other: each reads variables that the one before may have written. */
let lastRun: Promise<unknown> = Promise.resolve();

function inTurn<T>(run: () => Promise<T>): Promise<T> {
  const result = lastRun.then(run);
  lastRun = result.catch(() => undefined);
  return result;
}

function onnxBackend(enabled: boolean | undefined): OnnxBackend | null {
  if (!(enabled ?? currentEngine()?.compiles ?? true)) return null;
  if (tf.getBackend() !== ONNX_BACKEND) return null;
  const backend = tf.backend();
  return backend instanceof OnnxBackend ? backend : null;
}

/**
 * Turns a pure function from tensors to tensors into one that runs as a single ONNX graph on engine `onnx`, and
 * operation by operation elsewhere, with equal results. The graph is made at the first call for each combination of
 * argument shapes and dtypes. The only side effect that `fn` may have is to assign variables that exist already.
 * JavaScript numbers inside `fn` are frozen at that first call: what varies must come in as a tensor.
 *
 * The returned promise rejects with FactError E_TRACE_READ, E_NO_LOWERING, E_TRACE_RESULT, E_TRACE_NEW_VARIABLE,
 * E_TRACE_ASSIGN, E_COMPILE, E_COMPILED_RUN or E_COMPILED_DISPOSED.
 */
export function compile<A extends readonly tf.Tensor[], R extends TensorTree>(
  fn: (...args: A) => R,
  options: CompileOptions,
): Compiled<A, R> {
  const programs = new Map<string, GraphProgram>();
  const pieces = new Map<string, number>();
  let isDisposed = false;
  const plain = fn as unknown as (...args: readonly tf.Tensor[]) => TensorTree;

  const trace = (backend: OnnxBackend, specs: readonly ArgumentSpec[]): Trace =>
    traceFunction(backend, plain, specs, { name: options.name, bake: options.bake ?? false });

  async function program(backend: OnnxBackend, specs: readonly ArgumentSpec[]): Promise<GraphProgram> {
    const key = keyOf(specs);
    const known = programs.get(key);
    if (known?.isCurrent) return known;
    programs.delete(key);
    await known?.dispose();
    const loaded = await GraphProgram.load(backend, options.name, specs, trace(backend, specs));
    programs.set(key, loaded);
    return loaded;
  }

  /** How many rows to run at once; found by a trace of the whole batch, which computes nothing. */
  function pieceOf(backend: OnnxBackend, specs: readonly ArgumentSpec[], rows: number): number {
    const key = keyOf(specs);
    const known = pieces.get(key);
    if (known !== undefined) return known;
    const { largestValue, updated } = trace(backend, specs);
    const piece = updated.length > 0 ? rows : rowsPerPiece(rows, largestValue);
    pieces.set(key, piece);
    return piece;
  }

  async function runCompiled(backend: OnnxBackend, args: readonly tf.Tensor[]): Promise<TensorTree> {
    const specs = args.map((arg, i) => argumentSpec(arg, i, options.name));
    const rows = options.independentRows ? commonRows(args) : undefined;
    if (rows === undefined || rows === 1) return (await program(backend, specs)).run(args);
    const piece = pieceOf(backend, specs, rows);
    const rowSpecs = (count: number) =>
      specs.map((spec) => ({ ...spec, shape: [count, ...spec.shape.slice(1)] }));
    return runInPieces(backend, args, rows, piece, (count) => program(backend, rowSpecs(count)));
  }

  const call = (...args: A): Promise<R> => {
    refuseNesting(options.name);
    // The caller may dispose the arguments before the run's turn comes: it reads copies that share the values.
    const held = args.map((arg) => tf.keep(arg.clone()));
    return inTurn(async () => {
      if (isDisposed) throw disposedError(options.name);
      const backend = onnxBackend(options.enabled);
      // Empty tensors have no place in a graph: the plain function handles them.
      if (backend === null || held.some((arg) => arg.size === 0)) return runPlain(plain, held) as R;
      return (await runCompiled(backend, held)) as R;
    }).finally(() => tf.dispose(held));
  };

  const dispose = (): void => {
    isDisposed = true;
    void inTurn(async () => {
      for (const loaded of programs.values()) await loaded.dispose();
      programs.clear();
    });
  };
  return Object.defineProperties(call, {
    mode: { get: () => (onnxBackend(options.enabled) === null ? 'eager' : 'compiled') },
    dispose: { value: dispose },
  }) as Compiled<A, R>;
}

/** Runs the function as it stands; the result never shares a tensor with the arguments or with a variable. */
function runPlain(fn: (...args: readonly tf.Tensor[]) => TensorTree, args: readonly tf.Tensor[]): TensorTree {
  const own = new Set<tf.Tensor>(args);
  return tf.tidy(() => {
    const { form, tensors } = flattenTree(fn(...args));
    const results = tensors.map((tensor) => {
      const isForeign = own.has(tensor) || tensor instanceof tf.Variable;
      const result = isForeign ? tensor.clone() : tensor;
      own.add(result);
      return result;
    });
    return buildTree(form, results) as tf.TensorContainer;
  }) as TensorTree;
}

function keyOf(specs: readonly ArgumentSpec[]): string {
  return specs.map(({ shape, dtype }) => `${dtype}[${shape}]`).join();
}

function refuseNesting(name: string): void {
  const backend = tf.backend();
  if (!(backend instanceof OnnxBackend) || backend.tracer === null) return;
  throw new FactError({
    code: 'E_TRACE_NESTED',
    message: `${name}: a compiled function is called inside a function that is being compiled`,
    remedy: 'Call the plain function inside the outer one; it becomes part of the same graph.',
  });
}

function argumentSpec(arg: tf.Tensor, place: number, functionName: string): ArgumentSpec {
  if (!isNumeric(arg.dtype)) {
    throw new FactError({
      code: 'E_COMPILE',
      message: `${functionName}: argument ${place} is ${arg.dtype}, expected float32, int32 or bool`,
      remedy: 'Convert the argument before the call.',
    });
  }
  return { name: `argument${place}`, shape: arg.shape, dtype: arg.dtype };
}

function disposedError(name: string): FactError {
  return new FactError({
    code: 'E_COMPILED_DISPOSED',
    message: `${name}: called after it was disposed`,
    remedy: 'Compile the function again.',
  });
}
