/*
 * Large variables changed where they lie, a few rows at a time.
 *
 * A compiled function that assigns variables writes to second arrays, so that a failed run changes nothing; and its
 * intermediate results are as large as the variables. Where row i of the new values depends on row i of the old ones
 * only (an optimiser's update), neither is needed: a piece of the rows is computed into a small array and copied over
 * the old ones, and everything in between stays in the processor's cache.
 *
 * The price: a run that fails half-way leaves some rows changed. Whatever can go wrong must be found out before.
 */
import * as tf from '@tensorflow/tfjs';
import { FactError } from '../core/errors.js';
import { inTurn } from './compile.js';
import { currentEngine } from './current.js';
import { isNumeric, ONNX_BACKEND, OnnxBackend } from './onnx/backend.js';
import type { NumericDType, Values } from './onnx/graph.js';
import { filledRows, rowsOf, rowsPerPiece } from './onnx/pieces.js';
import { allocateResult, GraphProgram, valuesOf } from './onnx/program.js';
import { type ArgumentSpec, traceFunction } from './onnx/trace.js';
import { type DataId, tensorFromInfo } from './tfInternals.js';

/**
 * New rows of the variables, in their order, from the same rows of variables and arguments and from what all rows
 * share. Pure; row i of a result depends on row i of the first two lists.
 */
export type RowUpdate = (
  variables: readonly tf.Tensor[],
  rows: readonly tf.Tensor[],
  shared: readonly tf.Tensor[],
) => readonly tf.Tensor[];

export interface RowUpdateOptions {
  /** Names the function in messages and in the graph. */
  readonly name: string;
  /** Default: what `startEngine` was told. */
  readonly enabled?: boolean;
}

/** The state of an update: graphs by piece. */
export interface CompiledRowUpdate {
  /**
   * Changes the variables. All variables and `rows` have the same first dimension; `shared` is given whole to every
   * piece. Arguments are only read. Throws FactError E_UPDATE_ROWS (arguments that do not fit), and what `compile` throws.
   */
  run(
    variables: readonly tf.Variable[],
    rows: readonly tf.Tensor[],
    shared: readonly tf.Tensor[],
  ): Promise<void>;
  dispose(): void;
}

function specOf(name: string, tensor: tf.Tensor, rows?: number): ArgumentSpec {
  const shape = rows === undefined ? tensor.shape : [rows, ...tensor.shape.slice(1)];
  return { name, shape, dtype: tensor.dtype as NumericDType };
}

/** The array of a variable, which may be written: nobody else sees it. */
function ownValues(backend: OnnxBackend, variable: tf.Variable): Values {
  const values = valuesOf(backend, variable);
  const record = backend.record(variable.dataId as DataId);
  if (record.refCount === 1 && backend.buffers.owns(values)) return values;
  const copy = backend.buffers.allocate(variable.dtype as NumericDType, variable.size);
  copy.set(values);
  if (record.refCount === 1) {
    record.values = copy;
    return copy;
  }
  // Other tensors share the old values: they keep them.
  const info = backend.wrap({ shape: variable.shape, dtype: variable.dtype as NumericDType, values: copy });
  tf.tidy(() => variable.assign(tensorFromInfo(info, backend)));
  return copy;
}

function check(name: string, tensors: readonly tf.Tensor[]): number {
  const [first] = tensors;
  const wrong = tensors.find((t) => t.shape[0] !== first.shape[0] || !isNumeric(t.dtype) || t.rank === 4);
  if (first !== undefined && first.shape[0] > 0 && wrong === undefined) return first.shape[0];
  throw new FactError({
    code: 'E_UPDATE_ROWS',
    message: `${name}: arguments of shapes ${tensors.map(({ shape }) => `[${shape}]`).join(', ')} have no common rows`,
    remedy: 'Give variables and row arguments with the same first dimension, of numbers, and not filters.',
  });
}

/** Makes a function that changes rows of variables in place: on engine `onnx` in pieces, elsewhere as a whole. */
export function compileRowUpdate(update: RowUpdate, options: RowUpdateOptions): CompiledRowUpdate {
  const { name, enabled } = options;
  const programs = new Map<string, GraphProgram>();

  async function runPieces(
    backend: OnnxBackend,
    variables: readonly tf.Variable[],
    rows: readonly tf.Tensor[],
    shared: readonly tf.Tensor[],
    count: number,
  ): Promise<void> {
    const byRow = [...variables, ...rows];
    const widest = Math.max(...byRow.map((t) => t.size));
    const limit = Math.min(count, rowsPerPiece(count, widest, backend.runtime.threads));
    const piece = Math.ceil(count / Math.ceil(count / limit));
    const specs = [
      ...byRow.map((t, i) => specOf(`rows${i}`, t, piece)),
      ...shared.map((t, i) => specOf(`shared${i}`, t)),
    ];
    const key = specs.map(({ shape, dtype }) => `${dtype}[${shape}]`).join();
    let program = programs.get(key);
    if (program === undefined) {
      const traced = (...args: tf.Tensor[]) =>
        update(
          args.slice(0, variables.length),
          args.slice(variables.length, byRow.length),
          args.slice(byRow.length),
        );
      const trace = traceFunction(backend, traced, specs, { name, bake: false });
      program = await GraphProgram.load(backend, name, specs, trace);
      programs.set(key, program);
    }
    const targets = variables.map((variable) => ownValues(backend, variable));
    const sources = rows.map((t) => valuesOf(backend, t));
    const whole = shared.map((t) => valuesOf(backend, t));
    const scratch = program.outputs.map(({ shape, dtype }) => allocateResult(backend, shape, dtype));
    try {
      for (let start = 0; start < count; start += piece) {
        const size = Math.min(piece, count - start);
        const parts = [...targets, ...sources].map((values) => filledRows(values, count, start, piece));
        await program.execute(
          [...parts, ...whole],
          scratch.map(({ values }) => values),
        );
        scratch.forEach(({ values }, i) => {
          rowsOf(targets[i], count, start, size).set(rowsOf(values, piece, 0, size));
        });
      }
    } finally {
      for (const { values } of scratch) backend.buffers.recycle(values);
      for (const variable of variables) {
        const record = backend.record(variable.dataId as DataId);
        record.uniform = undefined;
        record.version = (record.version ?? 0) + 1;
      }
    }
  }

  return {
    run: (variables, rows, shared) =>
      inTurn(async () => {
        const count = check(name, [...variables, ...rows]);
        const backend = tf.getBackend() === ONNX_BACKEND ? tf.backend() : null;
        if ((enabled ?? currentEngine()?.compiles ?? true) && backend instanceof OnnxBackend)
          return runPieces(backend, variables, rows, shared, count);
        tf.tidy(() => {
          const news = update(variables, rows, shared);
          variables.forEach((variable, i) => {
            variable.assign(news[i]);
          });
        });
      }),
    dispose: () => {
      void inTurn(async () => {
        for (const program of programs.values()) await program.dispose();
        programs.clear();
      });
    },
  };
}
