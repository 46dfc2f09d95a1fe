import type * as tf from '@tensorflow/tfjs';
import { FactError } from '../core/errors.js';
import { lockFolder } from '../core/folderLock.js';
import { type Logger, silentLogger } from '../core/log.js';
import { showProgress } from '../core/progress.js';
import { currentEngine } from '../engine/current.js';
import type { BcosModel } from '../models/bcosModel.js';
import { readRunState, restoreRun, saveRun } from './checkpoint/save.js';
import { NO_TOTALS, type RunState } from './checkpoint/state.js';
import { configHash } from './config/resolved.js';
import type { TrainConfig } from './config/schema.js';
import { Evaluator } from './evaluate.js';
import { defaultTestLoss, lossFunction } from './losses/losses.js';
import { openRunFolder, runPaths } from './run/folder.js';
import { type EpochSummary, RunLogs } from './run/logs.js';
import { openRunData, type RunData } from './runData.js';
import { startModel } from './startModel.js';
import { Trainer } from './trainer.js';
import { withAverage } from './withAverage.js';

export interface TrainOptions {
  /** Data set; replaces `data.path` of the recipe. */
  readonly dataDir?: string;
  /** Folder of the run. */
  readonly out: string;
  /** Go on with the run in `out`. */
  readonly resume?: boolean;
  /** When aborted, the current step is finished, the state saved, and `train` returns. */
  readonly signal?: AbortSignal;
  readonly log?: Logger;
  /** Threads that the engine was started with; recorded, so that a resumed run can warn of another number. */
  readonly threads?: number;
  /** Shows progress on standard error. */
  readonly progress?: boolean;
}

export interface TrainResult {
  readonly status: 'done' | 'stopped';
  readonly folder: string;
  /** Folder of the trained network; null where the run was stopped. */
  readonly model: string | null;
  readonly epochs: number;
  readonly steps: number;
  /** The last finished epoch of this call, null if it finished none. */
  readonly last: EpochSummary | null;
  readonly best: { readonly top1: number; readonly epoch: number } | null;
}

/** One run in progress: what the loop below works on. */
class Run {
  private state: RunState;
  private last: EpochSummary | null = null;
  private savedAt = performance.now();
  private readonly paths: ReturnType<typeof runPaths>;
  private readonly evaluator: Evaluator;

  constructor(
    private readonly config: TrainConfig,
    private readonly options: TrainOptions,
    private readonly model: BcosModel,
    private readonly data: RunData,
    private readonly trainer: Trainer,
    private readonly logs: RunLogs,
    start: RunState,
  ) {
    this.state = start;
    this.paths = runPaths(options.out);
    const testLoss = config.testLoss ?? defaultTestLoss(config.loss);
    this.evaluator = new Evaluator(model.network, lossFunction(testLoss), data.classes);
  }

  private get stopped(): boolean {
    return this.options.signal?.aborted === true;
  }

  async loop(): Promise<TrainResult> {
    try {
      while (this.state.epoch < this.config.epochs) {
        if (!(await this.trainEpoch()) || !(await this.finishEpoch())) {
          await this.save();
          return this.result('stopped');
        }
      }
      await this.model.save(this.paths.model);
      const { average } = this.trainer.variables;
      if (average !== null) {
        await withAverage(this.trainer.weights, average, () => this.model.save(this.paths.averageModel));
      }
      return this.result('done');
    } finally {
      this.evaluator.dispose();
    }
  }

  /** Trains from the state's position to the end of the epoch; false where it was stopped. */
  private async trainEpoch(): Promise<boolean> {
    const { data, config } = this;
    const { batchesPerEpoch } = data.train;
    const first = this.state.batch;
    const images = (batchesPerEpoch - first) * config.data.batchSize;
    const progress = this.progress(`epoch ${this.state.epoch + 1}/${config.epochs}`, images);
    let clock = performance.now();
    let lastLog = { step: this.state.step, clock, wait: this.state.totals.waitSeconds };
    try {
      for await (const batch of data.train.epoch(this.state.epoch, first)) {
        const outcome = await this.trainer.train(this.state, batch);
        const now = performance.now();
        const totals = outcome.state.totals;
        this.state = {
          ...outcome.state,
          totals: { ...totals, seconds: totals.seconds + (now - clock) / 1000 },
        };
        clock = now;
        const { step, epoch } = this.state;
        if (step % config.log.everySteps === 0) {
          const seconds = (now - lastLog.clock) / 1000;
          this.logs.step({
            step,
            epoch: epoch + 1,
            rate: outcome.rate,
            loss: outcome.loss,
            gradientNorm: outcome.gradientNorm,
            imagesPerSecond: ((step - lastLog.step) * config.data.batchSize) / seconds,
            dataWait: (this.state.totals.waitSeconds - lastLog.wait) / seconds,
          });
          lastLog = { step, clock: now, wait: this.state.totals.waitSeconds };
        }
        progress.update((this.state.batch - first) * config.data.batchSize, this.note());
        if (this.stopped) return false;
        if (this.isCheckpointDue()) await this.save();
      }
      return true;
    } finally {
      progress.stop();
    }
  }

  /** Evaluates, logs and saves a trained epoch; false where it was stopped meanwhile. */
  private async finishEpoch(): Promise<boolean> {
    const { trainer, data, config } = this;
    const { totals, epoch, step } = this.state;
    const plain = await this.evaluate('validation');
    const { average } = trainer.variables;
    const averaged =
      average === null || this.stopped
        ? null
        : await withAverage(trainer.weights, average, () => this.evaluate('validation of the average'));
    if (this.stopped) return false;
    const summary: EpochSummary = {
      epoch: epoch + 1,
      step,
      rate: trainer.rateOf({ ...this.state, update: Math.max(0, this.state.update - 1) }),
      trainLoss: totals.lossSum / totals.batches,
      trainTop1: (100 * totals.correct) / totals.images,
      valLoss: plain.loss,
      valTop1: plain.top1,
      valTop5: plain.top5,
      emaTop1: averaged?.top1 ?? null,
      imagesPerSecond: totals.images / totals.seconds,
      seconds: totals.seconds,
    };
    const top1 = Math.max(plain.top1, averaged?.top1 ?? 0);
    const isBest = this.state.best === null || top1 > this.state.best.top1;
    this.state = {
      ...this.state,
      epoch: epoch + 1,
      batch: 0,
      totals: NO_TOTALS,
      best: isBest ? { top1, epoch: epoch + 1 } : this.state.best,
    };
    this.logs.epoch(summary);
    this.last = summary;
    await this.save(isBest);
    this.options.log?.info(
      `epoch ${epoch + 1}/${config.epochs}: loss ${summary.trainLoss.toFixed(4)}, validation loss ${plain.loss.toFixed(4)}, ` +
        `top-1 ${plain.top1.toFixed(2)} %, top-5 ${plain.top5.toFixed(2)} %` +
        `${averaged === null ? '' : `, average's top-1 ${averaged.top1.toFixed(2)} %`}, ` +
        `${summary.imagesPerSecond.toFixed(0)} images/s, data wait ${((100 * totals.waitSeconds) / totals.seconds).toFixed(1)} %`,
    );
    for (const broken of data.train.broken.slice(0, 3)) this.options.log?.warn(broken.message);
    return true;
  }

  private async evaluate(title: string): ReturnType<Evaluator['run']> {
    const { data, config } = this;
    const progress = this.progress(title, data.val.size);
    try {
      const shape = [data.evalBatchSize, ...config.data.imageSize] as const;
      return await this.evaluator.run(data.val.epoch(0), shape, { progress, stop: () => this.stopped });
    } finally {
      progress.stop();
    }
  }

  private isCheckpointDue(): boolean {
    const { everyMinutes, everySteps } = this.config.checkpoint;
    if (everySteps !== null && this.state.step % everySteps === 0) return true;
    return everyMinutes !== null && performance.now() - this.savedAt >= everyMinutes * 60_000;
  }

  private async save(alsoBest = false): Promise<void> {
    await saveRun(
      this.state,
      this.trainer,
      alsoBest ? [this.paths.last, this.paths.best] : [this.paths.last],
    );
    this.savedAt = performance.now();
  }

  private note(): string {
    const { totals } = this.state;
    const wait = (100 * totals.waitSeconds) / totals.seconds;
    const top1 = (100 * totals.correct) / totals.images;
    return `loss ${(totals.lossSum / totals.batches).toFixed(4)}, top-1 ${top1.toFixed(1)} %, data wait ${wait.toFixed(0)} %`;
  }

  private progress(title: string, total: number): ReturnType<typeof showProgress> {
    return showProgress(title, total, 'images', this.options.progress !== true);
  }

  private result(status: TrainResult['status']): TrainResult {
    return {
      status,
      folder: this.options.out,
      model: status === 'done' ? this.paths.model : null,
      epochs: this.state.epoch,
      steps: this.state.step,
      last: this.last,
      best: this.state.best,
    };
  }
}

function engineFacts(threads: number | undefined): RunState['engine'] {
  const engine = currentEngine();
  return { name: engine?.name ?? 'unknown', compiles: engine?.compiles ?? false, threads: threads ?? null };
}

function freshState(
  config: TrainConfig,
  model: BcosModel,
  data: RunData,
  threads: number | undefined,
): RunState {
  return {
    config,
    configHash: configHash(config),
    model: { ...model.spec },
    engine: engineFacts(threads),
    batchesPerEpoch: data.train.batchesPerEpoch,
    step: 0,
    update: 0,
    epoch: 0,
    batch: 0,
    randomSeed: config.seed,
    totals: NO_TOTALS,
    best: null,
  };
}

/** Warns of what changes the last digits of a resumed run, refuses what changes their meaning (E_DATA_CHANGED). */
function checkResumed(state: RunState, data: RunData, options: TrainOptions, log: Logger): void {
  const { batchesPerEpoch } = data.train;
  if (state.batchesPerEpoch !== batchesPerEpoch) {
    throw new FactError({
      code: 'E_DATA_CHANGED',
      message: `${options.out}: the data set has ${batchesPerEpoch} batches an epoch, it had ${state.batchesPerEpoch} when the run was started`,
      remedy: 'Resume with the same data set, or start a new run with another --out.',
    });
  }
  log.info(`resuming at epoch ${state.epoch + 1}, batch ${state.batch} of ${batchesPerEpoch}`);
  const now = engineFacts(options.threads);
  if (JSON.stringify(now) === JSON.stringify(state.engine)) return;
  const words = ({ name, compiles, threads }: RunState['engine']): string =>
    `${name}${compiles ? '' : ', uncompiled'}, ${threads ?? 'default'} threads`;
  log.warn(
    `the run was started on engine ${words(state.engine)}, now ${words(now)}: the last digits will differ`,
  );
}

/**
 * Trains a network by a recipe, in one folder: config.yaml, summary.csv, metrics.jsonl, events, checkpoints/last and
 * best, model. Resumed on the same engine with the same number of threads, a run ends with the same bits as an
 * uninterrupted one. The engine must be started.
 *
 * Throws FactError: E_CONFIG, E_RUN_EXISTS, E_RUN_LOCKED, E_CONFIG_CHANGED, E_CHECKPOINT_*, E_NAN, E_WRITE, and those of
 * the data set and of the weights to start from. Whatever happens, the last checkpoint stays readable.
 */
export async function train(config: TrainConfig, options: TrainOptions): Promise<TrainResult> {
  const log = options.log ?? silentLogger;
  const unlock = lockFolder(options.out);
  let data: RunData | null = null;
  let model: BcosModel | null = null;
  let trainer: Trainer | null = null;
  let logs: RunLogs | null = null;
  try {
    data = await openRunData(config, options.dataDir);
    const content = openRunFolder(options.out, config, options.resume === true);
    model = await startModel(config, data, content === null);
    const network: tf.LayersModel = model.network;
    trainer = new Trainer(network, data.classes, config, data.train.batchesPerEpoch);
    const state =
      content === null
        ? freshState(config, model, data, options.threads)
        : readRunState(content, runPaths(options.out).last);
    if (content !== null) {
      checkResumed(state, data, options, log);
      restoreRun(content, trainer, runPaths(options.out).last);
    }
    for (const warning of data.warnings) log.warn(warning);
    logs = new RunLogs(options.out, state.step, config.log.tensorboard);
    return await new Run(config, { ...options, log }, model, data, trainer, logs, state).loop();
  } finally {
    logs?.close();
    trainer?.dispose();
    model?.dispose();
    await data?.close();
    unlock();
  }
}
