import { EventEmitter } from 'node:events';
import { expect, it, vi } from 'vitest';
import type { BatchRecipe, BatchTask } from '../../src/data/batchMaker.js';
import { startWorker } from '../../src/data/workerEntry.js';
import { WorkerPool } from '../../src/data/workerPool.js';

vi.mock('../../src/data/workerEntry.js', () => ({ startWorker: vi.fn() }));

/** A thread as the pool sees it; like Node's, one that is being ended keeps the process alive. */
class FakeWorker extends EventEmitter {
  keepsAlive = true;
  readonly sent: { id: number }[] = [];
  ref(): void {
    this.keepsAlive = true;
  }
  unref(): void {
    this.keepsAlive = false;
  }
  postMessage(message: { id: number }): void {
    this.sent.push(message);
  }
  terminate(): Promise<number> {
    this.ref();
    return new Promise((resolve) => this.once('exit', resolve));
  }
}

function poolOf(worker: FakeWorker): WorkerPool {
  vi.mocked(startWorker).mockReturnValue(worker as unknown as ReturnType<typeof startWorker>);
  return new WorkerPool({} as BatchRecipe, 1);
}

it('a thread keeps the process alive only while a task waits', async () => {
  const worker = new FakeWorker();
  const pool = poolOf(worker);
  expect(worker.keepsAlive).toBe(false);
  const batch = pool.make({} as BatchTask);
  expect(worker.keepsAlive).toBe(true);
  worker.emit('message', { id: worker.sent[0].id, batch: 'made' });
  expect(await batch).toBe('made');
  expect(worker.keepsAlive).toBe(false);
});

it('an answer that arrives while the pool closes does not let the process end before the thread has', async () => {
  const worker = new FakeWorker();
  const pool = poolOf(worker);
  const batch = pool.make({} as BatchTask);
  const closed = pool.close();
  worker.emit('message', { id: worker.sent[0].id, batch: 'made' });
  expect(worker.keepsAlive).toBe(true);
  expect(await batch).toBe('made');
  worker.emit('exit', 1);
  await closed;
});
