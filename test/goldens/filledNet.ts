import type { BcosModel } from '../../src/models/bcosModel.js';
import { fill, fillRange } from './format.js';

/** How the golden of a network says its weights are filled. */
export interface NetFill {
  readonly caseSeed: number;
  readonly fill?: Readonly<Record<string, [number, number]>>;
}

/** Constant of the fill for counters. */
const COUNTER = 7n;

/** Gives a network the weights of its golden. */
export function fillModel(model: BcosModel, golden: NetFill): void {
  for (const entry of model.stateDict()) {
    const [a, b] = golden.fill?.[entry.name] ?? fillRange(entry.name, entry.shape) ?? [0, 0];
    if (entry.dtype === 'int64') entry.write(BigInt64Array.of(COUNTER));
    else entry.write(fill(entry.name, entry.variable.size, golden.caseSeed, a, b));
  }
}
