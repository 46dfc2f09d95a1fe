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

/** A piece's largest intermediate result may have so many bytes: about a second-level cache. */
const PIECE_BYTES = 1024 * 1024;
const FLOAT_BYTES = 4;

/** How many of `rows` rows to run at once, where the largest value of all rows has `largestValue` elements. */
export function rowsPerPiece(rows: number, largestValue: number): number {
  const rowBytes = (largestValue * FLOAT_BYTES) / rows;
  return Math.max(1, Math.min(rows, Math.floor(PIECE_BYTES / Math.max(rowBytes, 1))));
}

/** The common number of rows of all arguments, or undefined where there is none. */
export function commonRows(args: readonly tf.Tensor[]): number | undefined {
  const [rows] = args[0]?.shape ?? [];
  return args.every((arg) => arg.shape[0] === rows) ? rows : undefined;
}

/** The part of an array that holds rows [start, start + count) of `total`; a view, not a copy. */
function rowsOf(values: Values, total: number, start: number, count: number): Values {
  const width = values.length / total;
  return values.subarray(start * width, (start + count) * width);
}

/**
 * Runs a function whose rows are independent on `rows` rows, `piece` at a time. `programFor(n)` gives the graph for n
 * rows. Throws FactError E_TRACE_RESULT where a result has not one row for each row of the arguments.
 */
export async function runInPieces(
  backend: OnnxBackend,
  args: readonly tf.Tensor[],
  rows: number,
  piece: number,
  programFor: (rows: number) => Promise<GraphProgram>,
): Promise<TensorTree> {
  const held = args.map((arg) => arg.dataId as DataId);
  for (const dataId of held) holdData(backend, dataId);
  let results: EagerOutput[] = [];
  try {
    const inputs = args.map((arg) => valuesOf(backend, arg));
    const first = await programFor(Math.min(piece, rows));
    results = first.outputs.map(({ name, shape, dtype }) => {
      const isRowWise = shape[0] === Math.min(piece, rows);
      if (!isRowWise) throw notRowWise(name, shape);
      return allocateResult(backend, [rows, ...shape.slice(1)], dtype);
    });
    for (let start = 0; start < rows; start += piece) {
      const count = Math.min(piece, rows - start);
      const program = await programFor(count);
      await program.execute(
        inputs.map((values) => rowsOf(values, rows, start, count)),
        results.map(({ values }) => rowsOf(values, rows, start, count)),
      );
    }
    return first.treeOf(results);
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
