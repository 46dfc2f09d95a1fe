import { showProgress, silentProgress } from '../../../core/progress.js';
import type { SaeTrainConfig } from '../config.js';
import type { FeatureSource } from '../features/featureSource.js';
import { PassZero, type RunStart } from './passZero.js';
import { SaeRun, type SaeRunOptions, type SaeRunResult } from './saeRun.js';

/** What a new run needs of a source's pass 0. Throws FactError E_SAE_FEATURES; the reason of an aborted signal. */
async function startFrom(
  features: FeatureSource,
  run: SaeRun,
  signal: AbortSignal | undefined,
): Promise<RunStart> {
  const { config, batchRows } = run;
  const zero = new PassZero(config, features.channels);
  for await (const values of features.batches({ seed: config.seed, pass: 0, batchRows })) {
    signal?.throwIfAborted();
    zero.add(values);
    if (zero.isFull) break;
  }
  return zero.result();
}

/**
 * Trains an autoencoder on features and writes the run's folder (saeRun.ts). With an aborted signal it finishes the
 * update, saves and returns `stopped`.
 * Throws FactError E_RUN_EXISTS, E_RUN_LOCKED, E_CHECKPOINT_*, E_CONFIG_CHANGED, E_SAE_FEATURES (another tap, changed
 * since the run was started), E_SAE_DIVERGED, E_WRITE; the signal's reason where it is aborted before the first update.
 */
export async function trainSae(
  config: SaeTrainConfig,
  features: FeatureSource,
  options: SaeRunOptions,
): Promise<SaeRunResult> {
  const { signal } = options;
  const run = SaeRun.open(config, features, options);
  try {
    await run.begin(run.needsStart ? await startFrom(features, run, signal) : null);
    const before = run.updates;
    const left = run.updatesInAll - before;
    const progress = options.progress === true ? showProgress('training', left, 'updates') : silentProgress;
    try {
      while (run.result === null) {
        const { epoch: pass, batch: start } = run.position;
        const order = { seed: config.seed, pass, batchRows: run.batchRows, start };
        for await (const values of features.batches(order)) {
          const { loss, dead } = await run.feed(values);
          progress.update(run.updates - before, `loss ${loss.toFixed(4)}, dead ${dead}`);
          if (run.result !== null) break;
        }
      }
      return run.result;
    } finally {
      progress.stop();
    }
  } finally {
    run.close();
  }
}
