import * as tf from '@tensorflow/tfjs';
import { FactError } from '../../core/errors.js';
import type { TrainConfig } from '../config/schema.js';
import type { TrainingVariables } from '../optimizerState.js';
import type { NamedWeight } from '../weights.js';
import type { StoredTensor } from './format.js';

/** Sums over the batches of the current epoch so far. */
export interface EpochTotals {
  readonly batches: number;
  readonly images: number;
  readonly lossSum: number;
  readonly correct: number;
  readonly seconds: number;
  readonly waitSeconds: number;
}

/** Where a run stands: plain data. With the tensors it determines every later step. */
export interface RunState {
  readonly config: TrainConfig;
  readonly configHash: string;
  /** Architecture and options with which the network was made, and the rest of its description. */
  readonly model: Readonly<Record<string, unknown>>;
  readonly engine: { readonly name: string; readonly compiles: boolean; readonly threads: number | null };
  /** Of the data set that the run was started with. */
  readonly batchesPerEpoch: number;
  /** Batches done in the whole run. */
  readonly step: number;
  /** Updates done in the whole run. */
  readonly update: number;
  /** Epochs finished, which is the number (from 0) of the current one. */
  readonly epoch: number;
  /** Batches done in the current epoch: the position in its data order, which follows from (seed, epoch). */
  readonly batch: number;
  /** Key of every random stream of the run, beside (epoch, batch or sample). */
  readonly randomSeed: number;
  readonly totals: EpochTotals;
  readonly best: { readonly top1: number; readonly epoch: number } | null;
}

export const NO_TOTALS: EpochTotals = {
  batches: 0,
  images: 0,
  lossSum: 0,
  correct: 0,
  seconds: 0,
  waitSeconds: 0,
};

/** Every variable of a run by the name it has in a checkpoint. */
export function checkpointVariables(
  weights: readonly NamedWeight[],
  variables: TrainingVariables,
): Map<string, tf.Variable> {
  const all = new Map<string, tf.Variable>();
  for (const { name, variable } of weights) all.set(`model/${name}`, variable);
  for (const [name, slots] of variables.slots) {
    for (const [slot, variable] of Object.entries(slots)) all.set(`optimizer/${slot}/${name}`, variable);
  }
  for (const [name, variable] of variables.average ?? []) all.set(`average/${name}`, variable);
  for (const [name, variable] of variables.gradients ?? []) all.set(`gradient/${name}`, variable);
  return all;
}

/** Copies the values of variables out of the engine. */
export async function readVariables(
  variables: ReadonlyMap<string, tf.Variable>,
): Promise<Map<string, StoredTensor>> {
  const tensors = new Map<string, StoredTensor>();
  for (const [name, variable] of variables) {
    const values = (await variable.data()) as Float32Array | Int32Array;
    tensors.set(name, { shape: variable.shape, values: values.slice() });
  }
  return tensors;
}

function mismatch(path: string, what: string, remedy: string): FactError {
  return new FactError({ code: 'E_CHECKPOINT_MISMATCH', message: `${path}: ${what}`, remedy });
}

function list(names: readonly string[]): string {
  return names.length <= 3
    ? names.join(', ')
    : `${names.slice(0, 3).join(', ')} and ${names.length - 3} more`;
}

/**
 * Writes stored values into variables of the same names; nothing is written unless all fit.
 * Throws FactError E_CHECKPOINT_MISMATCH (missing, unexpected, of another shape), E_CHECKPOINT_NAN (not finite).
 */
export function writeVariables(
  path: string,
  variables: ReadonlyMap<string, tf.Variable>,
  tensors: ReadonlyMap<string, StoredTensor>,
): void {
  const remedy = 'Resume with the recipe that the run was started with (its config.yaml).';
  const missing = [...variables.keys()].filter((name) => !tensors.has(name));
  if (missing.length > 0) throw mismatch(path, `misses ${list(missing)}`, remedy);
  const unexpected = [...tensors.keys()].filter((name) => !variables.has(name));
  if (unexpected.length > 0)
    throw mismatch(path, `holds ${list(unexpected)}, which the run does not have`, remedy);
  for (const [name, variable] of variables) {
    const stored = tensors.get(name) as StoredTensor;
    if (stored.shape.join() !== variable.shape.join()) {
      throw mismatch(path, `${name} has shape [${stored.shape}], expected [${variable.shape}]`, remedy);
    }
    if (!stored.values.every(Number.isFinite)) {
      throw new FactError({
        code: 'E_CHECKPOINT_NAN',
        message: `${path}: ${name} holds values that are not finite`,
        remedy: 'Resume from an earlier checkpoint (checkpoints/best), with a smaller learning rate.',
      });
    }
  }
  for (const [name, variable] of variables) {
    const stored = tensors.get(name) as StoredTensor;
    tf.tidy(() =>
      variable.assign(tf.tensor(stored.values, [...stored.shape], variable.dtype as 'float32' | 'int32')),
    );
  }
}
