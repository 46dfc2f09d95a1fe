/*
 * The sums of an unfinished evaluation on disk: a safetensors file of float64 arrays whose metadata say what the work is
 * and how far it came. Written whole or not at all; one of other work is not used.
 */
import { existsSync, readFileSync } from 'node:fs';
import { readSafetensors, writeSafetensors } from '../../../convert/safetensors.js';
import { FactError, messageOf } from '../../../core/errors.js';
import { sha256 } from '../../../core/hash.js';
import type { BrokenImage } from '../../../data/batchMaker.js';
import type { SavedNumbers } from './statistic.js';

export interface EvaluationState {
  /** Batches done: the next has this number. */
  readonly batches: number;
  readonly broken: readonly BrokenImage[];
  readonly sums: SavedNumbers;
}

/** Writes the state of the work that `identity` names. Throws FactError E_WRITE. */
export function writeEvaluationState(path: string, identity: string, state: EvaluationState): void {
  const tensors = Object.entries(state.sums)
    .filter(([, values]) => values.length > 0)
    .map(([name, values]) => ({
      name,
      dtype: 'float64' as const,
      shape: [values.length],
      bytes: new Uint8Array(values.buffer, values.byteOffset, values.byteLength),
    }));
  const empty = Object.keys(state.sums).filter((name) => state.sums[name].length === 0);
  const progress = JSON.stringify({ batches: state.batches, broken: state.broken, empty });
  const metadata = { identity, progress, sha256: digest(progress, tensors) };
  writeSafetensors(path, tensors, new Map(Object.entries(metadata)));
}

/** Over the progress and all values, by name. */
function digest(progress: string, tensors: readonly { name: string; bytes: Uint8Array }[]): string {
  const lines = tensors.map(({ name, bytes }) => `${name} ${sha256(bytes)}`).sort();
  return sha256([progress, ...lines].join('\n'));
}

/**
 * The state at a path: null where there is none, or one of other work (`identity` differs).
 * Throws FactError E_EVAL_STATE where the file is damaged.
 */
export function readEvaluationState(path: string, identity: string): EvaluationState | null {
  if (!existsSync(path)) return null;
  try {
    const { tensors, metadata } = readSafetensors(readFileSync(path), path);
    if (metadata.get('identity') !== identity) return null;
    const text = metadata.get('progress') ?? '';
    if (digest(text, tensors) !== metadata.get('sha256')) throw new Error('its hash is another');
    const progress = JSON.parse(text);
    const sums: Record<string, Float64Array> = {};
    for (const name of progress.empty as string[]) sums[name] = new Float64Array(0);
    for (const { name, bytes } of tensors) sums[name] = new Float64Array(new Uint8Array(bytes).buffer);
    return { batches: progress.batches, broken: progress.broken, sums };
  } catch (error) {
    throw new FactError({
      code: 'E_EVAL_STATE',
      message: `${path}: the unfinished evaluation there cannot be gone on with: ${messageOf(error)}`,
      remedy: 'Remove that file and run the command again: it starts anew.',
      cause: error,
    });
  }
}
