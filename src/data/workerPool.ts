import type { Worker } from 'node:worker_threads';
import { FactError, messageOf } from '../core/index.js';
import { BatchMaker, type BatchRecipe, type BatchTask, type MadeBatch } from './batchMaker.js';
import type { WorkerAnswer } from './batchWorker.js';
import { startWorker } from './workerEntry.js';

/** Makes batches somewhere. */
export interface BatchFactory {
  make(task: BatchTask): Promise<MadeBatch>;
  close(): Promise<void>;
}

interface Waiting {
  readonly worker: Worker;
  readonly resolve: (batch: MadeBatch) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Worker threads that make batches. A thread that ends unasked makes every task, waiting or to come, fail with
 * E_WORKER_CRASHED. Threads keep the process alive only while a task waits.
 */
export class WorkerPool implements BatchFactory {
  private readonly workers: Worker[];
  private readonly waiting = new Map<number, Waiting>();
  private nextId = 0;
  private failure: FactError | null = null;

  constructor(recipe: BatchRecipe, count: number) {
    this.workers = Array.from({ length: count }, () => {
      const worker = startWorker(import.meta.url, 'batchWorker', recipe);
      worker.on('message', (answer: WorkerAnswer) => this.settle(answer));
      worker.on('error', (error) => this.fail(messageOf(error), error));
      worker.on('exit', (code) => this.fail(`it ended with status ${code}`));
      worker.unref();
      return worker;
    });
  }

  /** Gives the task to the worker with the fewest tasks. */
  make(task: BatchTask): Promise<MadeBatch> {
    if (this.failure !== null) return Promise.reject(this.failure);
    const load = (worker: Worker): number =>
      [...this.waiting.values()].filter((w) => w.worker === worker).length;
    const worker = this.workers.reduce((best, other) => (load(other) < load(best) ? other : best));
    const id = this.nextId++;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { worker, resolve, reject });
      worker.ref();
      worker.postMessage({ id, ...task });
    });
  }

  private settle(answer: WorkerAnswer): void {
    const task = this.waiting.get(answer.id);
    if (task === undefined) return;
    this.waiting.delete(answer.id);
    const isBusy = [...this.waiting.values()].some((w) => w.worker === task.worker);
    // A thread that is being ended keeps the process alive until it has ended: `close` waits for that.
    if (!isBusy && this.failure === null) task.worker.unref();
    if ('batch' in answer) task.resolve(answer.batch);
    else task.reject(new FactError(answer.error));
  }

  private fail(reason: string, cause?: unknown): void {
    this.failure ??= new FactError({
      code: 'E_WORKER_CRASHED',
      message: `a thread that decodes pictures stopped: ${reason}`,
      remedy: 'Run again; if memory is short use fewer workers or a smaller batch.',
      cause,
    });
    const tasks = [...this.waiting.values()];
    this.waiting.clear();
    for (const task of tasks) task.reject(this.failure);
  }

  /** Ends the threads; tasks that still wait fail with E_DATA_CLOSED. */
  async close(): Promise<void> {
    this.failure ??= new FactError({
      code: 'E_DATA_CLOSED',
      message: 'the data loader was closed while a batch was wanted',
      remedy: 'Finish or leave the epoch before closing the loader.',
    });
    await Promise.all(this.workers.map((worker) => worker.terminate()));
  }
}

/** Makes batches in the calling thread, for tools and tests. */
export class SameThread implements BatchFactory {
  private readonly maker: BatchMaker;

  constructor(recipe: BatchRecipe) {
    this.maker = new BatchMaker(recipe);
  }

  make(task: BatchTask): Promise<MadeBatch> {
    return this.maker.make(task);
  }

  async close(): Promise<void> {
    this.maker.close();
  }
}
