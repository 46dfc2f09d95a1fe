import * as tf from '@tensorflow/tfjs';
import { FactError } from '../core/errors.js';
import { currentEngine } from './current.js';
import { isNumeric, ONNX_BACKEND, OnnxBackend } from './onnx/backend.js';
import { commonRows, PieceSizes, rowsPerPiece, runInPieces } from './onnx/pieces.js';
import { GraphProgram } from './onnx/program.js';
import type { GraphLayout } from './onnx/storedGraph.js';
import { type ArgumentSpec, type Trace, traceFunction } from './onnx/trace.js';
import { buildTree, flattenTree, type TensorTree } from './tensorTree.js';
import { registeredVariables } from './tfInternals.js';

export type { TensorTree } from './tensorTree.js';

/** Keeps compiled programs for later processes. */
export interface ProgramStore {
  /**
   * Where ONNX Runtime is to write its optimised graph for arguments of these shapes, made for a call with `rows` rows
   * (the graph may take fewer at a time); undefined: not wanted.
   */
  pathFor(name: string, specs: readonly ArgumentSpec[], rows: number): string | undefined;
  /** Told when a program has been loaded and its graph, if the disk allowed, was written to that path. */
  written(path: string, layout: GraphLayout): void;
}

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
  /**
   * Names a bool scalar among the results. A call after which it is false leaves every variable as it was: for steps
   * that find out only at their end that they went wrong.
   */
  readonly keepIf?: string;
  /**
   * The function runs on one thread: for sums into places that may repeat (`tf.unsortedSegmentSum`), which ONNX Runtime
   * gets wrong with several threads, so that there a slow way round is taken. Default false.
   */
  readonly isOneThread?: boolean;
  /**
   * The function reads its arguments only, no variables: calls may then run at the same time, each on its own threads.
   * Worth it for functions of one thread. Not together with `independentRows`. Default false.
   */
  readonly readsArgumentsOnly?: boolean;
  /** Default: what `startEngine` was told. */
  readonly enabled?: boolean;
  /** Graphs kept at a time; beyond it the one unused for longest is freed. Default 8. */
  readonly programLimit?: number;
  readonly store?: ProgramStore;
}

/** A compiled function. Results belong to the caller, who disposes them; arguments are only read. */
export interface Compiled<A extends readonly tf.Tensor[], R extends TensorTree> {
  (...args: A): Promise<R>;
  /** How a call now would run: as one graph, or operation by operation. */
  readonly mode: 'compiled' | 'eager';
  /** Graphs held now, and graphs compiled since the start. */
  readonly programs: { readonly held: number; readonly compiled: number };
  /** Frees the graphs; calls in progress still end. */
  dispose(): void;
}

/** Graphs that one function keeps, of different shapes of arguments. */
const PROGRAM_LIMIT = 8;
/** A graph is in use that one of so many last calls has run. */
const IN_USE_CALLS = 100;
/** Shapes of rows for which the size of a piece is remembered. */
const PIECE_SIZES_LIMIT = 256;

/** Compiled runs follow each other: each reads variables that the one before may have written. */
let lastRun: Promise<unknown> = Promise.resolve();

export function inTurn<T>(run: () => Promise<T>): Promise<T> {
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
  const pieces = new Map<string, PieceSizes>();
  const limit = options.programLimit ?? PROGRAM_LIMIT;
  const lastUses = new WeakMap<GraphProgram, number>();
  let calls = 0;
  let compiled = 0;
  let isDisposed = false;
  const beside = new Set<Promise<unknown>>();
  const plain = fn as unknown as (...args: readonly tf.Tensor[]) => TensorTree;

  const trace = (backend: OnnxBackend, specs: readonly ArgumentSpec[]): Trace =>
    traceFunction(backend, plain, specs, {
      name: options.name,
      bake: options.bake ?? false,
      keepIf: options.keepIf,
      isOneThread: options.isOneThread,
    });

  /** @param rows rows of the call for which it is wanted */
  async function program(
    backend: OnnxBackend,
    specs: readonly ArgumentSpec[],
    rows = specs[0]?.shape[0] ?? 1,
  ): Promise<GraphProgram> {
    const key = keyOf(specs);
    const known = programs.get(key);
    programs.delete(key);
    if (known?.isCurrent) {
      // A map keeps the order of insertion: the first key is always the one unused for longest.
      programs.set(key, known);
      lastUses.set(known, calls);
      return known;
    }
    await known?.dispose();
    const path = options.store?.pathFor(options.name, specs, rows);
    const loaded = await GraphProgram.load(backend, options.name, specs, trace(backend, specs), path);
    if (path !== undefined) options.store?.written(path, loaded.graphLayout);
    programs.set(key, loaded);
    lastUses.set(loaded, calls);
    compiled++;
    await evict();
    return loaded;
  }

  /** Numbers of rows for which a graph is held, of arguments whose single row has this key. */
  function sizesHeld(rowKey: string): number[] {
    return [...programs.values()]
      .filter(({ isCurrent, specs }) => isCurrent && keyOf(rowSpecs(specs, 1)) === rowKey)
      .map(({ specs }) => specs[0].shape[0]);
  }

  /** Whether one more graph would push out one that is in use. */
  function isFull(): boolean {
    const [oldest] = programs.values();
    return programs.size >= limit && calls - (lastUses.get(oldest) ?? 0) < IN_USE_CALLS;
  }

  async function evict(): Promise<void> {
    for (const [key, oldest] of programs) {
      if (programs.size <= limit) return;
      programs.delete(key);
      await oldest.dispose();
    }
  }

  /** The sizes of pieces for rows of these shapes; their limit is found by a trace, which computes nothing. */
  function piecesOf(backend: OnnxBackend, specs: readonly ArgumentSpec[], rows: number): PieceSizes | null {
    const key = keyOf(rowSpecs(specs, 1));
    const known = pieces.get(key);
    if (known !== undefined) return known;
    const { largestValue, updated } = trace(backend, specs);
    if (updated.length > 0) return null;
    const sizes = new PieceSizes(rowsPerPiece(rows, largestValue, backend.runtime.threads));
    if (pieces.size >= PIECE_SIZES_LIMIT) pieces.clear();
    pieces.set(key, sizes);
    return sizes;
  }

  async function runCompiled(backend: OnnxBackend, args: readonly tf.Tensor[]): Promise<TensorTree> {
    calls++;
    const specs = args.map((arg, i) => argumentSpec(arg, i, options.name));
    const rows = options.independentRows ? commonRows(args) : undefined;
    if (rows === undefined) return (await program(backend, specs)).run(args);
    const sizes = rows === 1 ? pieces.get(keyOf(specs)) : piecesOf(backend, specs, rows);
    if (sizes === undefined || sizes === null) return (await program(backend, specs)).run(args);
    const piece = sizes.choose(rows, sizesHeld(keyOf(rowSpecs(specs, 1))), isFull());
    const loaded = await program(backend, rowSpecs(specs, piece), rows);
    return rows === 1 && piece === 1 ? loaded.run(args) : runInPieces(backend, args, rows, piece, loaded);
  }

  /** Loads the graph in turn and runs it beside others. */
  async function runBeside(args: readonly tf.Tensor[]): Promise<TensorTree> {
    const run = inTurn(async () => {
      if (isDisposed) throw disposedError(options.name);
      const backend = onnxBackend(options.enabled);
      if (backend === null || args.some((arg) => arg.size === 0)) {
        const result = await runUncompiled(plain, args, options.keepIf);
        return async () => result;
      }
      calls++;
      const loaded = await program(
        backend,
        args.map((arg, i) => argumentSpec(arg, i, options.name)),
      );
      return () => loaded.run(args);
    }).then((start) => start());
    beside.add(run);
    return run.finally(() => beside.delete(run));
  }

  const call = (...args: A): Promise<R> => {
    refuseNesting(options.name);
    // The caller may dispose the arguments before the run's turn comes: it reads copies that share the values.
    const held = args.map((arg) => tf.keep(arg.clone()));
    if (options.readsArgumentsOnly) return runBeside(held).finally(() => tf.dispose(held)) as Promise<R>;
    return inTurn(async () => {
      if (isDisposed) throw disposedError(options.name);
      const backend = onnxBackend(options.enabled);
      // Empty tensors have no place in a graph: the plain function handles them.
      if (backend === null || held.some((arg) => arg.size === 0))
        return (await runUncompiled(plain, held, options.keepIf)) as R;
      return (await runCompiled(backend, held)) as R;
    }).finally(() => tf.dispose(held));
  };

  const dispose = (): void => {
    isDisposed = true;
    void inTurn(async () => {
      await Promise.allSettled(beside);
      for (const loaded of programs.values()) await loaded.dispose();
      programs.clear();
    });
  };
  return Object.defineProperties(call, {
    mode: { get: () => (onnxBackend(options.enabled) === null ? 'eager' : 'compiled') },
    programs: { get: () => ({ held: programs.size, compiled }) },
    dispose: { value: dispose },
  }) as Compiled<A, R>;
}

/** Runs the function as it stands and undoes what it assigned where the result named `keepIf` is false. */
async function runUncompiled(
  fn: (...args: readonly tf.Tensor[]) => TensorTree,
  args: readonly tf.Tensor[],
  keepIf: string | undefined,
): Promise<TensorTree> {
  if (keepIf === undefined) return runPlain(fn, args);
  // Copies that share the values: nothing is moved.
  const before = registeredVariables().map((variable) => ({ variable, value: variable.clone() }));
  try {
    const result = runPlain(fn, args);
    const [keeps] = await (result as Readonly<Record<string, tf.Tensor>>)[keepIf].data();
    if (!keeps) for (const { variable, value } of before) variable.assign(value);
    return result;
  } finally {
    tf.dispose(before.map(({ value }) => value));
  }
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

/** The same arguments with another number of rows. */
function rowSpecs(specs: readonly ArgumentSpec[], rows: number): ArgumentSpec[] {
  return specs.map((spec) => ({ ...spec, shape: [rows, ...spec.shape.slice(1)] }));
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
