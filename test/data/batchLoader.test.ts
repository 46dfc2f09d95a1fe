import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Worker } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import { sha256 } from '../../src/core/hash.js';
import { type Batch, BatchLoader, epochOrder, type OpenLoaderOptions } from '../../src/data/batchLoader.js';
import { shardMembers, temporaryFolders, writeShards, writeTar } from '../fixtures/pictures.js';

const folder = temporaryFolders();

const OPTIONS: Omit<OpenLoaderOptions, 'path'> = {
  batchSize: 4,
  seed: 7,
  imageSize: [12, 12],
  augmentation: { kind: 'padCrop', padding: 2, flip: true },
  shuffle: true,
};

async function dataset(pictures = 22): Promise<string> {
  const root = folder();
  await writeShards(root, ['d-train-000.tar.gz', 'd-train-001.tar'], pictures / 2, ['a', 'b', 'c']);
  return root;
}

const digest = (batch: Batch): string =>
  `${batch.index} ${batch.keys.join()} ${batch.labels.join()} ${sha256(new Uint8Array(batch.images.buffer))}`;

async function digests(options: OpenLoaderOptions, epoch = 0, startBatch = 0): Promise<string[]> {
  const loader = await BatchLoader.open(options);
  const found: string[] = [];
  for await (const batch of loader.epoch(epoch, startBatch)) found.push(digest(batch));
  await loader.close();
  return found;
}

describe('a batch loader', () => {
  it('gives the same batches for any number of workers and any prefetching', async () => {
    const path = await dataset();
    const expected = await digests({ ...OPTIONS, path, workers: 0 });
    expect(expected.length).toBe(6);
    for (const [workers, prefetch] of [
      [1, 1],
      [1, undefined],
      [3, undefined],
      [3, 9],
    ]) {
      expect(await digests({ ...OPTIONS, path, workers, prefetch })).toEqual(expected);
    }
  });

  it('resumed at any batch gives the rest of the uninterrupted epoch', async () => {
    const path = await dataset();
    const whole = await digests({ ...OPTIONS, path, workers: 0 }, 3);
    for (let start = 0; start <= whole.length; start++) {
      expect(await digests({ ...OPTIONS, path, workers: 0 }, 3, start)).toEqual(whole.slice(start));
    }
    expect(await digests({ ...OPTIONS, path, workers: 2 }, 3, 2)).toEqual(whole.slice(2));
  });

  it('gives each picture once an epoch, in another order and cut otherwise in the next', async () => {
    const path = await dataset();
    const loader = await BatchLoader.open({ ...OPTIONS, path });
    const epochs: string[][] = [];
    for (const epoch of [0, 1, 0]) {
      const keys: string[] = [];
      for await (const batch of loader.epoch(epoch)) keys.push(...batch.keys);
      epochs.push(keys);
    }
    await loader.close();
    expect(new Set(epochs[0]).size).toBe(22);
    expect([...epochs[0]].sort()).toEqual([...epochs[1]].sort());
    expect(epochs[0]).not.toEqual(epochs[1]);
    expect(epochs[2]).toEqual(epochs[0]);
  });

  it('gives other batches for another seed', async () => {
    const path = await dataset();
    const seeds = [1, 2].map((seed) => digests({ ...OPTIONS, path, seed, workers: 0 }));
    expect(await seeds[0]).not.toEqual(await seeds[1]);
  });

  it('without shuffling and augmentation keeps the order and the pixels of every epoch', async () => {
    const path = await dataset();
    const options = { ...OPTIONS, path, shuffle: false, augmentation: undefined, workers: 0 };
    const [first] = await digests(options, 0);
    expect(await digests(options, 5)).toEqual(await digests(options, 0));
    expect(first).toContain('p0000,p0001,p0002,p0003');
  });

  it('gives labels, sizes and values in [0, 1], a last batch that is smaller or none', async () => {
    const path = await dataset();
    const loader = await BatchLoader.open({ ...OPTIONS, path, workers: 1 });
    expect([loader.batchesPerEpoch, loader.size]).toEqual([6, 22]);
    expect(loader.classNames).toEqual(['a', 'b', 'c']);
    const sizes: number[] = [];
    for await (const batch of loader.epoch(0)) {
      sizes.push(batch.size);
      expect(batch.images.length).toBe(batch.size * 12 * 12 * 3);
      expect(batch.labels.length).toBe(batch.size);
      expect(batch.images.every((v) => v >= 0 && v <= 1)).toBe(true);
      batch.keys.forEach((key, i) => {
        expect(batch.labels[i]).toBe(Number(key.slice(1)) % 3);
      });
      expect(batch.waitMs).toBeGreaterThanOrEqual(0);
    }
    expect(sizes).toEqual([4, 4, 4, 4, 4, 2]);
    expect(loader.totalWaitMs).toBeGreaterThan(0);
    await loader.close();
    const full = await BatchLoader.open({ ...OPTIONS, path, dropLast: true, workers: 0 });
    expect(full.batchesPerEpoch).toBe(5);
    await full.close();
  });

  it('can be left in the middle of an epoch and used again', async () => {
    const path = await dataset();
    const loader = await BatchLoader.open({ ...OPTIONS, path, workers: 2 });
    for await (const batch of loader.epoch(0)) if (batch.index === 1) break;
    const found: string[] = [];
    for await (const batch of loader.epoch(0)) found.push(digest(batch));
    expect(found).toEqual(await digests({ ...OPTIONS, path, workers: 0 }));
    await loader.close();
  });

  it('gives the same batches with a cache of any size, in its first epoch and after', async () => {
    const path = await dataset();
    const expected = await digests({ ...OPTIONS, path, workers: 0, cacheBytes: 0 }, 1);
    const needed = 22 * 12 * 12 * 3;
    for (const cacheBytes of [undefined, needed, needed + 5]) {
      for (const workers of [0, 2]) {
        const loader = await BatchLoader.open({ ...OPTIONS, path, workers, cacheBytes });
        for (const epoch of [0, 1, 1]) {
          const found: string[] = [];
          for await (const batch of loader.epoch(epoch)) found.push(digest(batch));
          if (epoch === 1) expect(found).toEqual(expected);
        }
        await loader.close();
      }
    }
  });

  it('refuses wrong options', async () => {
    const path = await dataset();
    for (const wrong of [
      { batchSize: 0 },
      { workers: -1 },
      { imageSize: [0, 4] as const },
      { prefetch: 0 },
      { seed: 0.5 },
      { cacheBytes: -1 },
    ]) {
      await expect(BatchLoader.open({ ...OPTIONS, path, ...wrong })).rejects.toMatchObject({
        code: 'E_LOADER_OPTION',
        exitCode: 2,
      });
    }
    await expect(
      BatchLoader.open({ ...OPTIONS, path, batchSize: 100, dropLast: true }),
    ).rejects.toMatchObject({ code: 'E_DATA_EMPTY' });
  });
});

describe('broken pictures', () => {
  /** 20 pictures of which those given are damaged. */
  async function damaged(...bad: number[]): Promise<string> {
    const root = folder();
    const members = await shardMembers(20, 2);
    for (const i of bad) members[2 * i] = { ...members[2 * i], content: 'not a picture' };
    await writeTar(join(root, 'd.tar.gz'), members);
    writeFileSync(join(root, 'index.json'), '{"classes": ["a", "b"]}');
    return root;
  }

  it('are left out of an evaluation, counted and named', async () => {
    const path = await damaged(1, 8, 9, 10, 11);
    const loader = await BatchLoader.open({ ...OPTIONS, path, shuffle: false, augmentation: undefined });
    const keys: string[] = [];
    for await (const batch of loader.epoch(0)) {
      expect(batch.keys.length).toBe(batch.labels.length);
      keys.push(...batch.keys);
    }
    await loader.close();
    expect(keys.length).toBe(15);
    expect(keys).not.toContain('p0008');
    expect(loader.broken.map((b) => b.sample)).toEqual([1, 8, 9, 10, 11]);
    expect(loader.broken[0]).toMatchObject({
      code: 'E_IMAGE_FORMAT',
      name: expect.stringContaining('d.tar.gz: p0001'),
    });
  });

  it('are replaced in training, the same way for any number of workers and on resume', async () => {
    const path = await damaged(1, 8, 9);
    const expected = await digests({ ...OPTIONS, path, workers: 0 });
    expect(expected.join()).not.toMatch(/p0001|p0008|p0009/);
    expect(await digests({ ...OPTIONS, path, workers: 3 })).toEqual(expected);
    expect(await digests({ ...OPTIONS, path, workers: 1 }, 0, 3)).toEqual(expected.slice(3));
    const loader = await BatchLoader.open({ ...OPTIONS, path });
    for await (const batch of loader.epoch(0)) expect(batch.size).toBe(4);
    expect(new Set(loader.broken.map((b) => b.sample))).toEqual(new Set([1, 8, 9]));
    await loader.close();
  });

  it('above the limit are an error that names the first', async () => {
    const path = await damaged(1, 2, 3);
    for (const broken of ['replace', 'drop'] as const) {
      const reading = digests({ ...OPTIONS, path, broken, brokenLimit: 2, shuffle: false });
      await expect(reading).rejects.toMatchObject({
        code: 'E_DATA_TOO_MANY_BROKEN',
        message: expect.stringMatching(/3 pictures are broken, the limit is 2.*p0001/),
      });
    }
  });

  it('in place of all of them are an error, not an endless search', async () => {
    const path = await damaged(...Array.from({ length: 20 }, (_, i) => i));
    const reading = digests({ ...OPTIONS, path, brokenLimit: 1000 });
    await expect(reading).rejects.toMatchObject({ code: 'E_DATA_TOO_MANY_BROKEN' });
  });
});

describe('a worker thread', () => {
  const threads = (loader: BatchLoader): Worker[] =>
    (loader as unknown as { factory: { workers: Worker[] } }).factory.workers;

  it('that dies makes the epoch fail instead of hang', async () => {
    const loader = await BatchLoader.open({ ...OPTIONS, path: await dataset(), workers: 2 });
    const reading = (async () => {
      for await (const batch of loader.epoch(0)) if (batch.index === 0) await threads(loader)[1].terminate();
    })();
    await expect(reading).rejects.toMatchObject({ code: 'E_WORKER_CRASHED' });
    await expect(loader.epoch(1).next()).rejects.toMatchObject({ code: 'E_WORKER_CRASHED' });
    await loader.close();
  });

  it('ends when the loader is closed, and a batch still wanted fails', async () => {
    const loader = await BatchLoader.open({ ...OPTIONS, path: await dataset(), workers: 2 });
    const epoch = loader.epoch(0);
    const failing = expect(epoch.next()).rejects.toMatchObject({ code: 'E_DATA_CLOSED' });
    const ended = threads(loader).map((t) => new Promise((resolve) => t.once('exit', resolve)));
    await loader.close();
    await Promise.all(ended);
    await failing;
    await loader.close();
  });
});

describe('the order of an epoch', () => {
  it('is a permutation that depends on seed, epoch and size only', () => {
    const order = epochOrder(1000, 5, 2, true);
    expect([...order].sort((a, b) => a - b)).toEqual([...epochOrder(1000, 5, 2, false)]);
    expect(epochOrder(1000, 5, 2, true)).toEqual(order);
    expect(epochOrder(1000, 5, 3, true)).not.toEqual(order);
    expect(epochOrder(1000, 6, 2, true)).not.toEqual(order);
  });
});
