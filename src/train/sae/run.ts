/*
 * A training run of an autoencoder: a folder with config.yaml, summary.csv, metrics.jsonl, checkpoint.safetensors and
 * at the end sae/ (explain/sae.ts). A checkpoint holds all that the next update depends on: weights, moments, counters,
 * update number; the order of rows follows from (seed, epoch). A resumed run therefore ends with the same bits.
 */
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { writeFileAtomic } from '../../core/atomicFile.js';
import { FactError } from '../../core/errors.js';
import { type Logger, silentLogger } from '../../core/log.js';
import { type Progress, showProgress, silentProgress } from '../../core/progress.js';
import { createSae, saveSae } from '../../explain/sae.js';
import { initialSaeWeights } from '../../layers/topKSae.js';
import { type CheckpointContent, writeCheckpointFile } from '../checkpoint/format.js';
import { openCheckpoint } from '../run/folder.js';
import { lockFolder } from '../run/lock.js';
import { checkSameSaeConfig, formatSaeConfig, resolveSaeConfig, type SaeTrainConfig } from './config.js';
import type { FeatureSource } from './featureSource.js';
import { varianceExplained } from './metrics.js';
import { normFactorOf } from './normFactor.js';
import { type SaeEpochSummary, SaeRunLogs } from './runLogs.js';
import { type SaeStepReport, SaeTrainer, STATE_NAMES, type StateName } from './trainer.js';

const CHECKPOINT_FILE = 'checkpoint.safetensors';
const TOO_ACTIVE_SHARE = 0.6;

export interface SaeRunOptions {
  /** Folder of the run. */
  readonly out: string;
  readonly resume?: boolean;
  readonly signal?: AbortSignal;
  readonly log?: Logger;
  readonly progress?: boolean;
}

export interface SaeRunResult {
  readonly status: 'done' | 'stopped';
  readonly folder: string;
  /** Folder of the autoencoder; null where the run was stopped. */
  readonly sae: string | null;
  readonly updates: number;
  readonly last: SaeEpochSummary | null;
}

/** Sums over the updates of the current epoch. */
interface EpochTotals {
  updates: number;
  rows: number;
  loss: number;
  l2: number;
  aux: number;
  l0: number;
  seconds: number;
}

const noTotals = (): EpochTotals => ({ updates: 0, rows: 0, loss: 0, l2: 0, aux: 0, l0: 0, seconds: 0 });

interface RunState {
  readonly config: SaeTrainConfig;
  readonly fingerprint: string;
  readonly normFactor: number;
  readonly updates: number;
  readonly totals: EpochTotals;
  readonly last: SaeEpochSummary | null;
}

function featureError(message: string, remedy: string): FactError {
  return new FactError({ code: 'E_SAE_FEATURES', message, remedy });
}

class SaeRun {
  private totals = noTotals();
  private last: SaeEpochSummary | null = null;
  private readonly trainer: SaeTrainer;
  private readonly stepsPerEpoch: number;
  private readonly updatesInAll: number;

  constructor(
    private readonly config: SaeTrainConfig,
    private readonly features: FeatureSource,
    private readonly folder: string,
    private readonly normFactor: number,
  ) {
    const { latents, k, seed, epochs, aux } = config;
    const batchRows = Math.min(config.batchRows, features.rows);
    this.stepsPerEpoch = Math.ceil(features.rows / batchRows);
    const totalSteps = epochs * this.stepsPerEpoch;
    this.updatesInAll = Math.max(1, totalSteps - 1);
    this.trainer = new SaeTrainer(
      {
        channels: features.channels,
        latents,
        k,
        learningRate: config.learningRate,
        schedule: {
          totalSteps,
          warmupSteps: Math.round(config.warmupEpochs * this.stepsPerEpoch),
          decayStart:
            config.decayAfterEpochs === null
              ? null
              : Math.round(config.decayAfterEpochs * this.stepsPerEpoch),
        },
        auxAlpha: aux.alpha,
        auxK: aux.k,
        deadAfterRows: Math.max(1, Math.floor(features.rows * aux.deadAfter)),
        batchRows,
        normFactor,
      },
      initialSaeWeights(features.channels, latents, seed),
    );
  }

  restore(content: CheckpointContent, path: string): void {
    const state = content.state as unknown as RunState;
    const values = Object.fromEntries(
      STATE_NAMES.map((name) => {
        const tensor = content.tensors.get(name);
        if (tensor === undefined || !tensor.values.every(Number.isFinite)) {
          throw new FactError({
            code: tensor === undefined ? 'E_CHECKPOINT_MISMATCH' : 'E_CHECKPOINT_NAN',
            message: `${path}: ${name} ${tensor === undefined ? 'is missing' : 'holds values that are not finite'}`,
            remedy: 'The checkpoint cannot be resumed; train again with another --out.',
          });
        }
        return [name, tensor.values];
      }),
    ) as Record<StateName, Float32Array | Int32Array>;
    this.trainer.restore({ updates: state.updates, values });
    this.totals = { ...state.totals };
    this.last = state.last;
  }

  private async checkpoint(): Promise<void> {
    const { updates, values } = await this.trainer.state();
    const { channels, latents } = this.trainer.options;
    const tensors = new Map(
      STATE_NAMES.map((name) => [
        name,
        {
          shape: name === 'counters' || name === 'activity' ? [latents] : [latents, channels],
          values: values[name],
        },
      ]),
    );
    const state: RunState = {
      config: this.config,
      fingerprint: this.features.fingerprint,
      normFactor: this.normFactor,
      updates,
      totals: this.totals,
      last: this.last,
    };
    writeCheckpointFile(join(this.folder, CHECKPOINT_FILE), { state: { ...state }, tensors });
  }

  private tensorOf(values: Float32Array): tf.Tensor2D {
    const { channels } = this.features;
    return tf.tensor2d(values, [values.length / channels, channels]);
  }

  private add(report: SaeStepReport, rows: number, seconds: number): void {
    const t = this.totals;
    t.updates++;
    t.rows += rows;
    t.loss += report.loss;
    t.l2 += report.l2;
    t.aux += report.aux;
    t.l0 += report.l0;
    t.seconds += seconds;
  }

  /** Closes an epoch: its summary, from the sums and the activity counted in the trainer. */
  private async summarize(
    epoch: number,
    report: SaeStepReport,
    values: Float32Array,
  ): Promise<SaeEpochSummary> {
    const t = this.totals;
    const activity = await this.trainer.activity(true);
    const explained = await this.explained(values);
    const { loss, l2, aux, l0, updates, seconds } = t;
    this.totals = noTotals();
    return {
      epoch,
      update: report.update,
      learningRate: report.learningRate,
      loss: loss / updates,
      l2: l2 / updates,
      aux: aux / updates,
      l0: l0 / updates,
      dead: report.dead,
      silent: activity.filter((n) => n === 0).length,
      tooActive: activity.filter((n) => n >= TOO_ACTIVE_SHARE * t.rows).length,
      varianceExplained: explained,
      seconds,
    };
  }

  /** Share of variance explained on the given rows; null where they do not vary. */
  private async explained(values: Float32Array): Promise<number | null> {
    const x = this.tensorOf(values);
    const reconstruction = await this.trainer.reconstruct(x);
    const share = varianceExplained(x, reconstruction);
    const value = (await share.data())[0];
    tf.dispose([x, reconstruction, share]);
    return Number.isFinite(value) ? value : null;
  }

  async run(options: SaeRunOptions, logs: SaeRunLogs, progress: Progress): Promise<SaeRunResult> {
    const { config, trainer, stepsPerEpoch, updatesInAll } = this;
    const { batchRows } = trainer.options;
    const before = trainer.updates;
    while (trainer.updates < updatesInAll) {
      const epoch = 1 + Math.floor(trainer.updates / stepsPerEpoch);
      const order = { seed: config.seed, pass: epoch, batchRows, start: trainer.updates % stepsPerEpoch };
      let start = performance.now();
      for await (const values of this.features.batches(order)) {
        const x = this.tensorOf(values);
        const report = await trainer.step(x).finally(() => x.dispose());
        const rows = values.length / this.features.channels;
        this.add(report, rows, (performance.now() - start) / 1000);
        if (report.update % config.logEvery === 0) logs.step(report);
        const isLast = report.update === updatesInAll;
        if (isLast || report.update % stepsPerEpoch === 0) {
          this.last = await this.summarize(epoch, report, values);
          logs.epoch(this.last);
          await this.checkpoint();
        } else if (report.update % config.checkpointEvery === 0) {
          await this.checkpoint();
        }
        progress.update(report.update - before, `loss ${report.loss.toFixed(4)}, dead ${report.dead}`);
        if (isLast) break;
        if (options.signal?.aborted) {
          await this.checkpoint();
          return this.result('stopped', null);
        }
        start = performance.now();
      }
    }
    return this.result('done', await this.save());
  }

  private result(status: SaeRunResult['status'], sae: string | null): SaeRunResult {
    return { status, folder: this.folder, sae, updates: this.trainer.updates, last: this.last };
  }

  private async save(): Promise<string> {
    const { config, features, normFactor } = this;
    const { encoder, decoder } = await this.trainer.weights();
    const sae = createSae({
      channels: features.channels,
      latents: config.latents,
      k: config.k,
      encoder,
      decoder,
      tap: features.tap,
      modelHash: features.modelHash,
      meta: {
        arch: features.arch,
        normFactor,
        training: { config, rows: features.rows, updates: this.trainer.updates, lastEpoch: this.last },
      },
    });
    const folder = join(this.folder, 'sae');
    try {
      await saveSae(folder, sae, { dtype: config.dtype });
    } finally {
      sae.dispose();
    }
    return folder;
  }

  dispose(): void {
    this.trainer.dispose();
  }
}

/**
 * Trains an autoencoder on features and writes the run's folder. With an aborted signal it finishes the update, saves
 * and returns `stopped`.
 * Throws FactError E_RUN_EXISTS, E_RUN_LOCKED, E_CHECKPOINT_*, E_CONFIG_CHANGED, E_SAE_FEATURES (another tap, changed
 * since the run was started), E_SAE_DIVERGED, E_WRITE.
 */
export async function trainSae(
  config: SaeTrainConfig,
  features: FeatureSource,
  options: SaeRunOptions,
): Promise<SaeRunResult> {
  const { out, log = silentLogger } = options;
  if (features.tap !== config.tap) {
    throw featureError(
      `the features were taken at tap ${features.tap}, the recipe says ${config.tap}`,
      'Collect features at that tap, or change the recipe.',
    );
  }
  const unlock = lockFolder(out);
  let run: SaeRun | undefined;
  try {
    const content = openCheckpoint(out, join(out, CHECKPOINT_FILE), options.resume === true);
    const state = content?.state as unknown as RunState | undefined;
    if (state !== undefined) {
      checkSameSaeConfig(resolveSaeConfig(state.config, out), config, out);
      if (state.fingerprint !== features.fingerprint) {
        throw featureError(
          `${out}: the features differ from those that the run was started with`,
          'Resume with the same images, network and engine, or with the same folder of features.',
        );
      }
    }
    writeFileAtomic(join(out, 'config.yaml'), formatSaeConfig(config));
    const normFactor =
      state?.normFactor ??
      (await normFactorOf(features, config.seed, Math.min(config.batchRows, features.rows)));
    run = new SaeRun(config, features, out, normFactor);
    if (content !== null) run.restore(content, out);
    const steps = config.epochs * Math.ceil(features.rows / Math.min(config.batchRows, features.rows)) - 1;
    log.info(
      `${features.rows} rows of ${features.channels} channels, norm factor ${normFactor.toPrecision(5)}, ${steps} updates`,
    );
    const left = steps - (state?.updates ?? 0);
    const progress = options.progress === true ? showProgress('training', left, 'updates') : silentProgress;
    try {
      return await run.run(options, new SaeRunLogs(out, state?.updates ?? 0), progress);
    } finally {
      progress.stop();
    }
  } finally {
    run?.dispose();
    unlock();
  }
}
