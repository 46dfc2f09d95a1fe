import { FactError } from '../../core/errors.js';
import type { Trainer } from '../trainer.js';
import { type CheckpointContent, writeCheckpointFile } from './format.js';
import { checkpointVariables, type RunState, readVariables, writeVariables } from './state.js';

/** Writes the state and every variable of a run to each of the paths. Throws FactError E_WRITE. */
export async function saveRun(state: RunState, trainer: Trainer, paths: readonly string[]): Promise<void> {
  const tensors = await readVariables(checkpointVariables(trainer.weights, trainer.variables));
  for (const path of paths) {
    writeCheckpointFile(path, { state: state as unknown as Record<string, unknown>, tensors });
  }
}

/** Fields that a state must have, with their types. */
const FIELDS = {
  step: 'number',
  update: 'number',
  epoch: 'number',
  batch: 'number',
  totals: 'object',
} as const;

/** The state of a checkpoint. Throws FactError E_CHECKPOINT_BROKEN where a field is missing. */
export function readRunState(content: CheckpointContent, path: string): RunState {
  for (const [field, type] of Object.entries(FIELDS)) {
    if (typeof content.state[field] !== type) {
      throw new FactError({
        code: 'E_CHECKPOINT_BROKEN',
        message: `${path}: the state has no ${field}`,
        remedy: 'Use another checkpoint of the run, or train again.',
      });
    }
  }
  return content.state as unknown as RunState;
}

/** Puts the values of a checkpoint into a run's variables. Throws FactError E_CHECKPOINT_MISMATCH, E_CHECKPOINT_NAN. */
export function restoreRun(content: CheckpointContent, trainer: Trainer, path: string): void {
  writeVariables(path, checkpointVariables(trainer.weights, trainer.variables), content.tensors);
}
