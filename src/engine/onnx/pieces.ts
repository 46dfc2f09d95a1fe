import { availableParallelism } from 'node:os';
import type * as tf from '@tensorflow/tfjs';
import { FactError } from '../../core/errors.js';
import type { TensorTree } from '../tensorTree.js';
import { type DataId, holdData, releaseData } from '../tfInternals.js';
import type { OnnxBackend } from './backend.js';
import type { EagerOutput } from './eager.js';
import { type Shape, sizeOf, type Values } from './graph.js';
import { allocateResult, type GraphProgram, valuesOf } from './program.js';

/**
 * Running a large batch piece by piece. The intermediate results of a whole batch do not fit the processor's caches,
 * so that every element-wise operation waits for memory; those of a few rows do.
 */

/** A piece's largest intermediate result may have so many bytes a thread: about half a second-level cache. */
const PIECE_BYTES = 1024 * 1024;
const FLOAT_BYTES = 4;

/**
 * How many rows to run at once at most, where the largest value of `rows` rows has `largestValue` elements. Several
 * threads get two rows at least: each convolution is then cut between rows, and its filters are read half as often.
 */
export function rowsPerPiece(rows: number, largestValue: number, threads = availableParallelism()): number {
  const rowBytes = (largestValue * FLOAT_BYTES) / rows;
  return Math.max(threads > 1 ? 2 : 1, Math.floor((threads * PIECE_BYTES) / Math.max(rowBytes, 1)));
}

/** So often a size without its own graph is run on the graph of another, filled up; then it gets its own. */
const PATIENCE = 3;

/**
 * Chooses how many rows each run of a row-wise function takes: equal pieces that fit the cache, where possible of a
 * size that has a graph already. The last, smaller batch of a stream is thus filled up instead of compiled anew, while
 * a size that comes again and again gets a graph of its own.
 */
export class PieceSizes {
  private readonly asked = new Map<number, number>();

  /** @param limit the largest piece */
  constructor(readonly limit: number) {}

  /**
   * @param known sizes that have a graph
   * @param isFull no graph may be added without losing one in use: any size at hand is then better than compiling
   */
  choose(rows: number, known: readonly number[], isFull = false): number {
    const wanted = Math.ceil(rows / Math.ceil(rows / this.limit));
    if (known.includes(wanted)) return wanted;
    const times = (this.asked.get(wanted) ?? 0) + 1;
    this.asked.set(wanted, times);
    if (times > PATIENCE && !isFull) return wanted;
    // Much smaller pieces do not use the machine. Of the others, the one that computes the fewest rows too many.
    const computed = (size: number): number => Math.ceil(rows / size) * size;
    const usable = known.filter((size) => size <= this.limit && (isFull || 2 * size >= wanted));
    return usable.sort((a, b) => computed(a) - computed(b) || b - a)[0] ?? wanted;
  }
}

/** The common number of rows of all arguments, or undefined where there is none. */
export function commonRows(args: readonly tf.Tensor[]): number | undefined {
  const [rows] = args[0]?.shape ?? [];
  return args.every((arg) => arg.shape[0] === rows) ? rows : undefined;
}

/** The part of an array that holds rows [start, start + count) of `total`; a view, not a copy. */
export function rowsOf(values: Values, total: number, start: number, count: number): Values {
  const width = values.length / total;
  return values.subarray(start * width, (start + count) * width);
}

/** A new array of the same kind. */
function newValues(like: Values, length: number): Values {
  if (like instanceof Float32Array) return new Float32Array(length);
  return like instanceof Int32Array ? new Int32Array(length) : new Uint8Array(length);
}

/** Rows [start, start + piece) of an array of `total` rows; beyond its end the last row is repeated. */
export function filledRows(values: Values, total: number, start: number, piece: number): Values {
  if (start + piece <= total) return rowsOf(values, total, start, piece);
  const width = values.length / total;
  const rows = newValues(values, piece * width);
  rows.set(rowsOf(values, total, start, total - start));
  const last = rowsOf(values, total, total - 1, 1);
  for (let row = total - start; row < piece; row++) rows.set(last, row * width);
  return rows;
}

/**
 * Runs a program of `piece` rows on `rows` rows whose results are independent; the last piece is filled up with its
 * last row. Throws FactError E_TRACE_RESULT where a result has not one row for each row of the arguments.
 */
export async function runInPieces(
  backend: OnnxBackend,
  args: readonly tf.Tensor[],
  rows: number,
  piece: number,
  program: GraphProgram,
): Promise<TensorTree> {
  const held = args.map((arg) => arg.dataId as DataId);
  for (const dataId of held) holdData(backend, dataId);
  let results: EagerOutput[] = [];
  try {
    const inputs = args.map((arg) => valuesOf(backend, arg));
    results = program.outputs.map(({ name, shape, dtype }) => {
      if (shape[0] !== piece) throw notRowWise(name, shape);
      return allocateResult(backend, [rows, ...shape.slice(1)], dtype);
    });
    for (let start = 0; start < rows; start += piece) {
      const count = Math.min(piece, rows - start);
      const pieces = inputs.map((values) => filledRows(values, rows, start, piece));
      if (count === piece) {
        await program.execute(
          pieces,
          results.map(({ values }) => rowsOf(values, rows, start, count)),
        );
        continue;
      }
      const scratch = program.outputs.map(({ shape, dtype }) => allocateResult(backend, shape, dtype));
      await program.execute(
        pieces,
        scratch.map(({ values }) => values),
      );
      scratch.forEach(({ values }, i) => {
        rowsOf(results[i].values, rows, start, count).set(rowsOf(values, piece, 0, count));
        backend.buffers.recycle(values);
      });
    }
    return program.treeOf(results);
  } catch (error) {
    for (const { values } of results) backend.buffers.recycle(values);
    throw error;
  } finally {
    for (const dataId of held) releaseData(backend, dataId);
  }
}

function notRowWise(name: string, shape: Shape): FactError {
  return new FactError({
    code: 'E_TRACE_RESULT',
    message: `result ${name} of shape [${shape}] (${sizeOf(shape)} elements) has no row for each row of the arguments`,
    remedy: 'Compile the function without `independentRows`.',
  });
}
