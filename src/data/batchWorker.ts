// Entry of the worker threads that `WorkerPool` starts: answers each task with the batch, or with the error as data.

import { parentPort, workerData } from 'node:worker_threads';
import { FactError, messageOf } from '../core/index.js';
import { BatchMaker, type BatchRecipe, type BatchTask, type MadeBatch } from './batchMaker.js';

export interface WorkerTask extends BatchTask {
  readonly id: number;
}

export type WorkerAnswer =
  | { readonly id: number; readonly batch: MadeBatch }
  | { readonly id: number; readonly error: { code: string; message: string; remedy: string } };

if (parentPort !== null) {
  const port = parentPort;
  const maker = new BatchMaker(workerData as BatchRecipe);
  // Tasks one after the other: the pictures within a batch are what runs side by side.
  let last: Promise<void> = Promise.resolve();
  port.on('message', (task: WorkerTask) => {
    last = last.then(async () => {
      try {
        const batch = await maker.make(task);
        port.postMessage({ id: task.id, batch } satisfies WorkerAnswer, [batch.images.buffer]);
      } catch (error) {
        const { code, remedy } =
          error instanceof FactError
            ? error
            : { code: 'E_INTERNAL', remedy: 'Run again with --debug and report it.' };
        port.postMessage({
          id: task.id,
          error: { code, message: messageOf(error), remedy },
        } satisfies WorkerAnswer);
      }
    });
  });
}
