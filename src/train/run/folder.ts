import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { writeFileAtomic } from '../../core/atomicFile.js';
import { FactError } from '../../core/errors.js';
import { type CheckpointContent, readCheckpointFile } from '../checkpoint/format.js';
import type { RunState } from '../checkpoint/state.js';
import { configDifferences, formatConfig } from '../config/resolved.js';
import type { TrainConfig } from '../config/schema.js';

/** Where a run keeps what. */
export interface RunPaths {
  readonly config: string;
  readonly last: string;
  readonly best: string;
  readonly model: string;
  readonly averageModel: string;
}

export function runPaths(folder: string): RunPaths {
  return {
    config: join(folder, 'config.yaml'),
    last: join(folder, 'checkpoints', 'last.safetensors'),
    best: join(folder, 'checkpoints', 'best.safetensors'),
    model: join(folder, 'model'),
    averageModel: join(folder, 'model-average'),
  };
}

/** Removes what a killed run left half-written. Only for the holder of the folder's lock. */
function removeLeftovers(folder: string): void {
  for (const place of [folder, join(folder, 'checkpoints')]) {
    if (!existsSync(place)) continue;
    for (const name of readdirSync(place)) {
      if (/^\..*\.\d+\.(tmp|old)$/.test(name)) rmSync(join(place, name), { recursive: true, force: true });
    }
  }
}

/** Refuses a recipe that differs from the one a run was started with. Throws FactError E_CONFIG_CHANGED. */
function checkSameConfig(before: TrainConfig, now: TrainConfig, folder: string): void {
  const differences = configDifferences(before, now);
  if (differences.length === 0) return;
  throw new FactError({
    code: 'E_CONFIG_CHANGED',
    message: `${folder}: the recipe changed since the run was started: ${differences.slice(0, 4).join('; ')}`,
    remedy: 'Resume with the same recipe, or start a new run with another --out.',
  });
}

/**
 * Whether a run may begin (or, with `resume`, be gone on with) in a folder, as its config.yaml shows: what can be known
 * before anything is computed. Throws FactError E_RUN_EXISTS, E_CHECKPOINT_MISSING.
 */
export function checkRunFolder(folder: string, resume: boolean, hasCheckpoint = false): void {
  const hasConfig = existsSync(runPaths(folder).config);
  if (!resume && (hasConfig || hasCheckpoint)) {
    throw new FactError({
      code: 'E_RUN_EXISTS',
      message: `${folder} already holds a run`,
      remedy: 'Add --resume to go on with it, or choose another --out.',
    });
  }
  if (resume && !hasConfig) {
    throw new FactError({
      code: 'E_CHECKPOINT_MISSING',
      message: `${folder} holds no run to resume`,
      remedy: 'Check --out, or leave out --resume to start a new run.',
    });
  }
}

/**
 * The content of `checkpoint` to resume the run in `folder` from, null for a new run (also one killed before its first
 * checkpoint). Needs the folder's lock. Throws FactError E_RUN_EXISTS, E_CHECKPOINT_*.
 */
export function openCheckpoint(
  folder: string,
  checkpoint: string,
  resume: boolean,
): CheckpointContent | null {
  checkRunFolder(folder, resume, existsSync(checkpoint));
  removeLeftovers(folder);
  return resume && existsSync(checkpoint) ? readCheckpointFile(checkpoint) : null;
}

/**
 * Makes a run's folder ready: a new one gets its config.yaml; one to resume keeps its own. Needs the folder's lock.
 * @returns as `openCheckpoint`
 * Throws FactError E_RUN_EXISTS, E_CHECKPOINT_*, E_CONFIG_CHANGED, E_WRITE.
 */
export function openRunFolder(
  folder: string,
  config: TrainConfig,
  resume: boolean,
): CheckpointContent | null {
  const paths = runPaths(folder);
  const content = openCheckpoint(folder, paths.last, resume);
  if (content !== null) checkSameConfig((content.state as unknown as RunState).config, config, folder);
  writeFileAtomic(paths.config, formatConfig(config));
  return content;
}
