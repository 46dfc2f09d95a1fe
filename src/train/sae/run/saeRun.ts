/*
 * One training run of an autoencoder in its folder, fed with batches by whoever reads the features (run.ts from a
 * source, trainOnTheFly.ts several runs from images). The folder: config.yaml, summary.csv, metrics.jsonl, events/,
 * checkpoint.safetensors, last/ and best/ at measurements, sae/ at the end. A checkpoint holds all that the next update
 * depends on: weights, moments, counters, update number; the order of rows follows from (seed, epoch). A resumed run
 * therefore ends with the same bits.
 */
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { recoverFolder, writeFileAtomic } from '../../../core/atomicFile.js';
import { FactError } from '../../../core/errors.js';
import { lockFolder } from '../../../core/folderLock.js';
import { type Logger, silentLogger } from '../../../core/log.js';
import { type Sae, saveSae } from '../../../explain/sae.js';
import type { CheckpointContent } from '../../checkpoint/format.js';
import { openCheckpoint } from '../../run/folder.js';
import { checkSameSaeConfig, formatSaeConfig, resolveSaeConfig, type SaeTrainConfig } from '../config.js';
import { varianceExplained } from '../eval/metrics.js';
import type { SaeStepReport, SaeTrainer, SaeTrainerState } from '../step/trainer.js';
import { addUpdate, NO_EPOCH_TOTALS, summaryOf } from './epochTotals.js';
import type { RunStart } from './passZero.js';
import { type SaeEpochSummary, SaeRunLogs } from './runLogs.js';
import { type Best, type RunState, restoreTrainer, writeRunCheckpoint } from './runState.js';
import { autoencoderOf, batchRowsOf, makeTrainer, type RunFeatures, withSummary } from './runTrainer.js';

const CHECKPOINT_FILE = 'checkpoint.safetensors';

/** Measures the network with an autoencoder at its tap: percentage of right answers on images held out. */
export interface AccuracyMeter {
  /** Throws the reason of an aborted signal. */
  measure(sae: Sae, signal?: AbortSignal): Promise<number>;
}

export interface SaeRunOptions {
  /** Folder of the run. */
  readonly out: string;
  readonly resume?: boolean;
  readonly signal?: AbortSignal;
  readonly log?: Logger;
  readonly progress?: boolean;
  /** Without one no accuracy is measured, and there is no best/. */
  readonly accuracy?: AccuracyMeter;
}

export interface SaeRunResult {
  readonly status: 'done' | 'stopped';
  readonly folder: string;
  /** Folder of the autoencoder; null where the run was stopped. */
  readonly sae: string | null;
  readonly updates: number;
  readonly last: SaeEpochSummary | null;
  /** The best accuracy so far; null where none was measured. */
  readonly best: Best | null;
}

export function featureError(message: string, remedy: string): FactError {
  return new FactError({ code: 'E_SAE_FEATURES', message, remedy });
}

export class SaeRun {
  private totals = NO_EPOCH_TOTALS;
  private last: SaeEpochSummary | null = null;
  private best: Best | null = null;
  private pending: SaeEpochSummary | null = null;
  private trainer: SaeTrainer | null = null;
  private logs: SaeRunLogs | null = null;
  private waitingSince = performance.now();
  private outcome: SaeRunResult | null = null;
  readonly batchRows: number;
  readonly stepsPerEpoch: number;
  /** One less than there are batches: as in the reference, whose last step would have rate 0. */
  readonly updatesInAll: number;

  private constructor(
    readonly config: SaeTrainConfig,
    readonly features: RunFeatures,
    private readonly options: SaeRunOptions,
    private readonly checkpointed: CheckpointContent | null,
    private readonly unlock: () => void,
  ) {
    this.batchRows = batchRowsOf(config, features.rows);
    this.stepsPerEpoch = Math.ceil(features.rows / this.batchRows);
    this.updatesInAll = Math.max(1, config.epochs * this.stepsPerEpoch - 1);
  }

  /**
   * Takes the folder of a run, new or to be resumed; `begin` makes it ready. Caller closes.
   * Throws FactError E_RUN_EXISTS, E_RUN_LOCKED, E_CHECKPOINT_*, E_CONFIG_CHANGED, E_SAE_FEATURES (another tap, none,
   * changed since the run was started), E_WRITE.
   */
  static open(config: SaeTrainConfig, features: RunFeatures, options: SaeRunOptions): SaeRun {
    const { out } = options;
    // The ViTs' taps may be given with the prefix of the reference's wrapper.
    if (![config.tap, config.tap.replace(/^0\./, '')].includes(features.tap)) {
      throw featureError(
        `the features were taken at tap ${features.tap}, the recipe says ${config.tap}`,
        'Collect features at that tap, or change the recipe.',
      );
    }
    if (features.rows < 1)
      throw featureError(`there are no features at tap ${features.tap}`, 'Check the images.');
    const unlock = lockFolder(out);
    try {
      const content = openCheckpoint(out, join(out, CHECKPOINT_FILE), options.resume === true);
      for (const name of ['sae', 'best', 'last']) recoverFolder(join(out, name));
      if (content !== null) {
        const state = content.state as unknown as RunState;
        checkSameSaeConfig(resolveSaeConfig(state.config, out), config, out);
        if (state.fingerprint !== features.fingerprint) {
          throw featureError(
            `${out}: the features differ from those that the run was started with`,
            'Resume with the same images, network and engine, or with the same folder of features.',
          );
        }
      }
      writeFileAtomic(join(out, 'config.yaml'), formatSaeConfig(config));
      return new SaeRun(config, features, options, content, unlock);
    } catch (error) {
      unlock();
      throw error;
    }
  }

  /** Whether `begin` has to be given a start: there is no checkpoint to go on from. */
  get needsStart(): boolean {
    return this.checkpointed === null;
  }

  get folder(): string {
    return this.options.out;
  }

  private get parts(): { trainer: SaeTrainer; logs: SaeRunLogs } {
    const { trainer, logs } = this;
    if (trainer === null || logs === null) throw new Error('the run has not begun');
    return { trainer, logs };
  }

  /** Updates made so far. */
  get updates(): number {
    return this.trainer?.updates ?? 0;
  }

  /** The next batch wanted: epoch from 1, batch within it from 0. */
  get position(): { readonly epoch: number; readonly batch: number } {
    return {
      epoch: 1 + Math.floor(this.updates / this.stepsPerEpoch),
      batch: this.updates % this.stepsPerEpoch,
    };
  }

  /** How the run ended; null while it wants batches. */
  get result(): SaeRunResult | null {
    return this.outcome;
  }

  /**
   * Makes a new run ready with its start, or a resumed one from its checkpoint. Finishes an epoch whose measurement was
   * cut off. Throws FactError E_CHECKPOINT_*, E_WRITE.
   */
  async begin(start: RunStart | null): Promise<void> {
    const content = this.checkpointed;
    const state = content?.state as unknown as RunState | undefined;
    const { config, features, options } = this;
    const { channels } = features;
    if (content === null || state === undefined) {
      if (start === null) throw new Error('a new run needs a start');
      this.trainer = makeTrainer(config, features, start);
    } else {
      const zeros = new Float32Array(channels * config.latents);
      const blank = { normFactor: state.normFactor, encoder: zeros, decoder: zeros };
      this.trainer = makeTrainer(config, features, blank);
      restoreTrainer(this.trainer, content, options.out);
      ({ totals: this.totals, last: this.last, best: this.best, pending: this.pending } = state);
    }
    this.logs = new SaeRunLogs(options.out, this.updates);
    const log = options.log ?? silentLogger;
    log.info(
      `${options.out}: ${features.rows} rows of ${channels} channels at ${features.tap}, norm factor ` +
        `${this.trainer.options.normFactor.toPrecision(5)}, ${this.updatesInAll} updates`,
    );
    if (this.pending !== null) await this.finishEpoch();
    else if (this.updates >= this.updatesInAll) await this.finish();
    this.waitingSince = performance.now();
  }

  /**
   * One update with the next batch, row-major [n, channels]. After it `result` says whether the run has ended, also by
   * its signal, which is looked at after the update. Throws FactError E_SAE_DIVERGED, E_WRITE.
   */
  async feed(values: Float32Array): Promise<SaeStepReport> {
    const { trainer, logs } = this.parts;
    const { config, features, options } = this;
    const { epoch } = this.position;
    const rows = values.length / features.channels;
    const start = performance.now();
    const x = tf.tensor2d(values, [rows, features.channels]);
    try {
      const report = await trainer.step(x);
      this.totals = addUpdate(this.totals, report, {
        rows,
        seconds: (performance.now() - start) / 1000,
        waitSeconds: (start - this.waitingSince) / 1000,
      });
      if (report.update % config.logEvery === 0) logs.step(report);
      if (report.update === this.updatesInAll || report.update % this.stepsPerEpoch === 0) {
        const activity = await trainer.activity(true);
        this.pending = summaryOf(epoch, this.totals, report, activity, await this.explained(x));
        this.totals = NO_EPOCH_TOTALS;
        await this.finishEpoch();
      } else if (report.update % config.checkpointEvery === 0) this.checkpoint(await trainer.state());
      if (this.outcome === null && options.signal?.aborted) await this.stop();
      return report;
    } finally {
      x.dispose();
      this.waitingSince = performance.now();
    }
  }

  /** Saves the run as it is and ends it for now. */
  async stop(): Promise<void> {
    this.checkpoint(await this.parts.trainer.state());
    this.end('stopped', null);
  }

  /** Share of variance explained on a batch; null where it does not vary. */
  private async explained(x: tf.Tensor2D): Promise<number | null> {
    const reconstruction = await this.parts.trainer.reconstruct(x);
    const share = varianceExplained(x, reconstruction);
    const value = (await share.data())[0];
    tf.dispose([reconstruction, share]);
    return Number.isFinite(value) ? value : null;
  }

  /** Measures and keeps the autoencoder where that is due, then logs the epoch; a stop on the way leaves it pending. */
  private async finishEpoch(): Promise<void> {
    const { trainer, logs } = this.parts;
    const { config, options } = this;
    if (this.pending === null) return;
    const isLast = trainer.updates >= this.updatesInAll;
    if (isLast || this.pending.epoch % config.evaluateEvery === 0) {
      const sae = await autoencoderOf(
        this.parts.trainer,
        this.config,
        this.features,
        this.pending ?? this.last,
      );
      try {
        if (options.accuracy !== undefined && this.pending.splicedTop1 === null) {
          const splicedTop1 = await options.accuracy.measure(sae, options.signal);
          this.pending = { ...this.pending, splicedTop1 };
        }
        await this.keep(withSummary(sae, this.pending), this.pending);
      } catch (error) {
        if (options.signal?.aborted !== true || error !== options.signal.reason) throw error;
        return await this.stop();
      } finally {
        sae.dispose();
      }
    }
    this.last = this.pending;
    this.pending = null;
    logs.epoch(this.last);
    this.checkpoint(await trainer.state());
    this.report(this.last);
    if (isLast) await this.finish();
  }

  /** Writes last/, and best/ where no accuracy was higher. */
  private async keep(sae: Sae, summary: SaeEpochSummary): Promise<void> {
    const { dtype } = this.config;
    await saveSae(join(this.folder, 'last'), sae, { dtype });
    const { epoch, splicedTop1 } = summary;
    if (splicedTop1 === null || (this.best !== null && splicedTop1 <= this.best.top1)) return;
    await saveSae(join(this.folder, 'best'), sae, { dtype });
    this.best = { top1: splicedTop1, epoch };
  }

  private report(row: SaeEpochSummary): void {
    const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
    this.options.log?.info(
      `${row.epoch}/${this.config.epochs} epochs at ${this.features.tap}: loss ${row.loss.toFixed(4)}, ` +
        `variance explained ${row.varianceExplained === null ? 'undefined' : percent(row.varianceExplained)}, ` +
        `${row.dead} dead, ${row.silent} silent, ${row.tooActive} too active` +
        (row.splicedTop1 === null ? '' : `, spliced top-1 ${row.splicedTop1.toFixed(2)} %`) +
        `, ${row.rowsPerSecond.toFixed(0)} rows/s, waiting for features ${percent(row.dataWait)}`,
    );
  }

  private checkpoint(trained: SaeTrainerState): void {
    const { totals, last, best, pending, config } = this;
    const { fingerprint } = this.features;
    const { trainer } = this.parts;
    const { normFactor } = trainer.options;
    const path = join(this.folder, CHECKPOINT_FILE);
    writeRunCheckpoint(path, trainer, trained, {
      config,
      fingerprint,
      normFactor,
      totals,
      last,
      best,
      pending,
    });
  }

  private async finish(): Promise<void> {
    const folder = join(this.folder, 'sae');
    const sae = await autoencoderOf(
      this.parts.trainer,
      this.config,
      this.features,
      this.pending ?? this.last,
    );
    try {
      await saveSae(folder, sae, { dtype: this.config.dtype });
    } finally {
      sae.dispose();
    }
    this.end('done', folder);
  }

  private end(status: SaeRunResult['status'], sae: string | null): void {
    this.outcome = {
      status,
      folder: this.folder,
      sae,
      updates: this.updates,
      last: this.last,
      best: this.best,
    };
  }

  /** Frees variables, graphs and files, and gives the folder back. */
  close(): void {
    this.trainer?.dispose();
    this.logs?.close();
    this.unlock();
  }
}
