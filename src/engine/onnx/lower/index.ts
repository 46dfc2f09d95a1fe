import { convolutions } from './conv.js';
import { elementwise } from './elementwise.js';
import { layout } from './layout.js';
import type { Lowering, LoweringTable } from './lowering.js';
import { matmul } from './matmul.js';
import { misc } from './misc.js';
import { poolings } from './pool.js';
import { reductions } from './reduce.js';

/** Element-wise kernels whose nodes name no shape, so that a flattened call gives the same values. */
const SHAPE_BOUND = new Set(['Identity', 'Cast', 'Select', 'Prelu', 'AddN']);

/** Every kernel that has an ONNX form: kernel name -> nodes. A kernel may stand in one file only. */
export const lowerings: ReadonlyMap<string, Lowering> = merge([
  elementwise,
  reductions,
  layout,
  matmul,
  convolutions,
  poolings,
  misc,
]);

/** Kernels that eager execution may run on flattened arrays of any length with one session. */
export const pointwise: ReadonlySet<string> = new Set(
  Object.keys(elementwise).filter((kernel) => !SHAPE_BOUND.has(kernel)),
);

function merge(tables: readonly LoweringTable[]): Map<string, Lowering> {
  const merged = new Map<string, Lowering>();
  for (const [kernel, lowering] of tables.flatMap((table) => Object.entries(table))) {
    if (merged.has(kernel)) throw new Error(`kernel ${kernel} is lowered twice`);
    merged.set(kernel, lowering);
  }
  return merged;
}
