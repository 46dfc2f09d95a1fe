import { FactError } from '../../../core/errors.js';
import { type CheckpointContent, writeCheckpointFile } from '../../checkpoint/format.js';
import type { SaeTrainConfig } from '../config.js';
import type { SaeTrainer, SaeTrainerState } from '../step/trainer.js';
import type { EpochTotals } from './epochTotals.js';
import type { SaeEpochSummary } from './runLogs.js';

/** Where the spliced network was most accurate; epochs count from 1. */
export interface Best {
  readonly top1: number;
  readonly epoch: number;
}

/** What a checkpoint holds beside the trainer's tensors. */
export interface RunState {
  readonly config: SaeTrainConfig;
  readonly fingerprint: string;
  readonly normFactor: number;
  readonly updates: number;
  readonly totals: EpochTotals;
  readonly last: SaeEpochSummary | null;
  readonly best: Best | null;
  /** An epoch whose updates are made and whose accuracy is still to be measured. */
  readonly pending: SaeEpochSummary | null;
}

/** Writes a run's checkpoint. Throws FactError E_WRITE. */
export function writeRunCheckpoint(
  path: string,
  trainer: SaeTrainer,
  trained: SaeTrainerState,
  state: Omit<RunState, 'updates'>,
): void {
  const tensors = new Map(
    trainer.stateEntries.map(({ name, shape }) => [name, { shape, values: trained.values[name] }]),
  );
  writeCheckpointFile(path, { state: { ...state, updates: trained.updates }, tensors });
}

/** Puts the trainer's tensors of a checkpoint back. Throws FactError E_CHECKPOINT_MISMATCH, E_CHECKPOINT_NAN. */
export function restoreTrainer(trainer: SaeTrainer, content: CheckpointContent, path: string): void {
  const entries = trainer.stateEntries.map(({ name }) => {
    const tensor = content.tensors.get(name);
    if (tensor === undefined || !tensor.values.every(Number.isFinite)) {
      throw new FactError({
        code: tensor === undefined ? 'E_CHECKPOINT_MISMATCH' : 'E_CHECKPOINT_NAN',
        message: `${path}: ${name} ${tensor === undefined ? 'is missing' : 'holds values that are not finite'}`,
        remedy: 'The checkpoint cannot be resumed; train again with another --out.',
      });
    }
    return [name, tensor.values] as const;
  });
  const { updates } = content.state as unknown as RunState;
  trainer.restore({ updates, values: Object.fromEntries(entries) });
}
