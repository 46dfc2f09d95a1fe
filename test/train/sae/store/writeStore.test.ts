import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { lockFolder } from '../../../../src/core/folderLock.js';
import { silentLogger } from '../../../../src/core/log.js';
import { openImages } from '../../../../src/data/openImages.js';
import type { BcosModel } from '../../../../src/models/bcosModel.js';
import { TapReader } from '../../../../src/train/sae/features/tapReader.js';
import { readStoreIndex } from '../../../../src/train/sae/store/storeIndex.js';
import type { StorePlan } from '../../../../src/train/sae/store/storePlan.js';
import { WorkFolder } from '../../../../src/train/sae/store/workFolder.js';
import { useEngine } from '../../../engine.js';
import { smallModel } from '../../../explain/fixtures.js';
import { temporaryFolders } from '../../../fixtures/pictures.js';
import { abortingAfter, hashes, REQUEST, storedRows, write, writePictures } from './storeCase.js';
import { writeSynthetic } from './syntheticStore.js';

useEngine();
const folder = temporaryFolders();
const COUNT = 23;
/** Small shards: 230 rows of 136 and 72 bytes make some of each tap. */
const SMALL = { shardBytes: 8192 };
let data = '';
let model: BcosModel;
let whole: Record<string, string>;

/** A folder that outlives a test. */
const root = temporaryRoot();
function temporaryRoot(): { path: string } {
  const place = { path: '' };
  beforeAll(async () => {
    const { mkdtempSync } = await import('node:fs');
    const { tmpdir } = await import('node:os');
    place.path = mkdtempSync(join(tmpdir(), 'fact-store-'));
  });
  afterAll(() => rmSync(place.path, { recursive: true, force: true }));
  return place;
}

beforeAll(async () => {
  data = join(root.path, 'data');
  await writePictures(data, COUNT);
  model = smallModel();
  const out = join(root.path, 'whole');
  expect(await write(model, data, out, SMALL)).toMatchObject({ status: 'done', imagesDone: COUNT });
  whole = hashes(out);
});
afterAll(() => model.dispose());

const storePath = () => join(root.path, 'whole');

describe('a store', () => {
  it('holds the rows of every tap, each once, with image and position', async () => {
    const { index } = readStoreIndex(storePath());
    expect(index).toMatchObject({
      images: COUNT,
      dtype: 'f32',
      broken: [],
      network: { arch: 'cifar10_resnet_20' },
    });
    expect(index.taps[0].shards.length).toBeGreaterThan(2);
    const { loader, imageSize, batchSize } = await openImages(data, model.spec.preprocessing, {
      batchSize: REQUEST.imageBatch,
      workers: 0,
    });
    const requests = REQUEST.taps.map((tap) => ({ tap, positions: 10 }));
    const reader = new TapReader(model, requests, { imageSize, batchSize, seed: REQUEST.seed });
    const wanted = REQUEST.taps.map(() => new Map<string, Float32Array>());
    for await (const batch of loader.epoch(0)) {
      const rows = await reader.read(batch);
      rows.forEach(({ values, positions }, place) => {
        const { channels } = reader.taps[place];
        positions.forEach((position, i) => {
          const image = batch.samples[Math.floor(i / 10)];
          wanted[place].set(`${image}/${position}`, values.slice(i * channels, (i + 1) * channels));
        });
      });
    }
    for (const [place, tap] of REQUEST.taps.entries()) {
      const rows = storedRows(storePath(), tap);
      expect(rows).toHaveLength(COUNT * 10);
      for (const { image, position, values } of rows)
        expect(values).toEqual(wanted[place].get(`${image}/${position}`));
      expect(new Set(rows.map(({ image, position }) => `${image}/${position}`)).size).toBe(rows.length);
      const squares = rows.reduce((sum, { values }) => sum + values.reduce((s, v) => s + v * v, 0), 0);
      expect(index.taps[place].rmsNorm).toBeCloseTo(Math.sqrt(squares / rows.length), 6);
    }
    reader.dispose();
    await loader.close();
  });

  it('has names that are hashes, and nothing beside', () => {
    const { index } = readStoreIndex(storePath());
    const files = index.taps.flatMap((tap) =>
      tap.shards.map((shard) => [`${tap.folder}/${shard.file}`, shard.sha256]),
    );
    expect(Object.fromEntries(files)).toEqual(
      Object.fromEntries(Object.entries(whole).filter(([name]) => name !== 'store.json')),
    );
    for (const [name, hash] of files) expect(name).toContain(`features-${hash.slice(0, 16)}.safetensors`);
  });

  it('is written once: the same command again changes nothing, one of other work is refused', async () => {
    expect(await write(model, data, storePath(), SMALL)).toMatchObject({ status: 'done', imagesDone: COUNT });
    expect(hashes(storePath())).toEqual(whole);
    await expect(write(model, data, storePath(), { ...SMALL, seed: 4, dtype: 'f16' })).rejects.toMatchObject({
      code: 'E_STORE_EXISTS',
      exitCode: 2,
      message: expect.stringContaining('dtype: "f32" -> "f16"; seed: 3 -> 4'),
    });
    const other = folder();
    writeFileSync(join(other, 'letter.txt'), 'dear');
    await expect(write(model, data, other)).rejects.toMatchObject({
      code: 'E_STORE_EXISTS',
      message: expect.stringContaining('other files'),
    });
  });

  it('in half precision holds the rounded features', async () => {
    const out = join(folder(), 's');
    await write(model, data, out, { dtype: 'f16', taps: ['layer3'], shardBytes: 4096 });
    const full = new Map(
      storedRows(storePath(), 'layer3').map((row) => [`${row.image}/${row.position}`, row.values]),
    );
    const rows = storedRows(out, 'layer3');
    expect(rows).toHaveLength(COUNT * 10);
    for (const { image, position, values } of rows)
      values.forEach((v, c) => {
        const exact = full.get(`${image}/${position}`)![c];
        expect(Math.abs(v - exact)).toBeLessThanOrEqual(Math.abs(exact) * 2 ** -11 + 2 ** -25);
      });
  });
});

describe('the bytes of a store do not depend', () => {
  it('on the number of processes', async () => {
    const out = join(folder(), 's');
    const share = (index: number) => ({ share: { index, count: 3 } });
    expect(await write(model, data, out, SMALL, share(2))).toMatchObject({
      status: 'waiting',
      imagesDone: 8,
    });
    // A share that is done is done: nothing happens.
    expect(await write(model, data, out, SMALL, share(2))).toMatchObject({
      status: 'waiting',
      imagesDone: 8,
    });
    const last = await Promise.all([1, 3].map((i) => write(model, data, out, SMALL, share(i))));
    expect(last.map(({ status }) => status)).toContain('done');
    expect(hashes(out)).toEqual(whole);
  });

  it('on the workers, the memory and the time between checkpoints', async () => {
    const out = join(folder(), 's');
    await write(model, data, out, SMALL, { workers: 2, spillMemory: 500, checkpointMs: 0 });
    expect(hashes(out)).toEqual(whole);
  });

  it('on interruptions, in either half, also by shares of another division', async () => {
    const out = join(folder(), 's');
    const first = await write(model, data, out, SMALL, {
      signal: abortingAfter(3),
      share: { index: 1, count: 2 },
    });
    expect(first.status).toBe('stopped');
    expect(first.imagesDone).toBeGreaterThan(0);
    let stops = 0;
    // Each attempt gets a little further: 5 questions more.
    for (let questions = 3; ; questions += 5) {
      const run = await write(model, data, out, SMALL, { signal: abortingAfter(questions) });
      if (run.status === 'done') break;
      expect(run.status).toBe('stopped');
      expect(existsSync(join(out, 'store.json'))).toBe(false);
      stops++;
    }
    expect(stops).toBeGreaterThan(2);
    expect(hashes(out)).toEqual(whole);
  });

  it('on what a killed process wrote after its last checkpoint, in either half', async () => {
    const out = join(folder(), 's');
    await write(model, data, out, SMALL, { signal: abortingAfter(3), spillMemory: 0, checkpointMs: 0 });
    const writer = join(out, '.writing', '1-of-1');
    const buckets = readdirSync(writer).filter((name) => name.endsWith('.rows'));
    expect(buckets.length).toBeGreaterThan(2);
    for (const name of buckets) appendFileSync(join(writer, name), 'torn off in the middle of a row');
    writeFileSync(join(writer, 'tap1-0.rows.tmp'), '');
    // Of the second half: a shard that was begun, and a lock whose process is gone.
    mkdirSync(join(out, 'layer2'));
    writeFileSync(join(out, 'layer2', '.bucket-0.tmp'), 'half a shard');
    writeFileSync(
      join(writer, 'run.lock'),
      JSON.stringify({ pid: 2 ** 22 + 1, host: (await import('node:os')).hostname() }),
    );
    expect((await write(model, data, out, SMALL)).status).toBe('done');
    expect(hashes(out)).toEqual(whole);
  });
});

describe('unfinished work', () => {
  async function stopped(): Promise<string> {
    const out = join(folder(), 's');
    expect((await write(model, data, out, SMALL, { signal: abortingAfter(4) })).status).toBe('stopped');
    return out;
  }

  it('is not gone on with under other options', async () => {
    const out = await stopped();
    await expect(write(model, data, out, { ...SMALL, imageBatch: 5 })).rejects.toMatchObject({
      code: 'E_STORE_EXISTS',
      message: expect.stringContaining('imageBatch: 4 -> 5'),
    });
    const more = join(folder(), 'more');
    await writePictures(more, COUNT + 1);
    await expect(write(model, more, out, SMALL)).rejects.toMatchObject({
      code: 'E_STORE_EXISTS',
      message: expect.stringContaining('data:'),
    });
  });

  it('that another process ends meanwhile is not done again', async () => {
    const out = join(folder(), 's');
    const release = lockFolder(join(out, '.writing', 'begin'));
    const log = {
      ...silentLogger,
      info: (line: string) => {
        if (!line.startsWith('waiting')) return;
        cpSync(storePath(), out, { recursive: true });
        release();
      },
    };
    // It may look twice whether it is its turn, but begin no batch.
    const late = write(model, data, out, SMALL, { log, signal: abortingAfter(2) });
    expect((await late).status).toBe('done');
    expect(hashes(out)).toEqual(whole);
  });

  it('is removed, or left to the process that waits in its folder', async () => {
    const out = folder();
    const work = new WorkFolder(out, {} as StorePlan);
    const waiting = join(work.path, 'finish');
    const loop = `for (;;) try { fs.mkdirSync(place, { recursive: true }); fs.writeFileSync(place + '/a', ''); } catch {}`;
    const child = spawn(process.execPath, ['-e', `const place = ${JSON.stringify(waiting)}; ${loop}`]);
    try {
      while (!existsSync(waiting)) await new Promise((resolve) => setTimeout(resolve, 5));
      for (let turn = 0; turn < 50; turn++) {
        mkdirSync(join(work.path, 'shards'), { recursive: true });
        for (let i = 0; i < 20; i++) writeFileSync(join(work.path, 'shards', `tap0-${i}.json`), '');
        work.remove();
      }
    } finally {
      child.kill();
      await once(child, 'exit');
    }
    work.remove();
    expect(existsSync(work.path)).toBe(false);
  });

  it('of a share that another process works on is left alone', async () => {
    const out = join(folder(), 's');
    const share = (index: number, count: number) => ({ share: { index, count } });
    const first = { ...share(1, 2), signal: abortingAfter(2) };
    expect((await write(model, data, out, SMALL, first)).status).toBe('stopped');
    const unlock = lockFolder(join(out, '.writing', '1-of-2'));
    await expect(write(model, data, out, SMALL, share(1, 2))).rejects.toMatchObject({ code: 'E_RUN_LOCKED' });
    await expect(write(model, data, out, SMALL)).rejects.toMatchObject({ code: 'E_RUN_LOCKED' });
    unlock();
    expect((await write(model, data, out, SMALL, share(1, 2))).status).toBe('waiting');
    expect((await write(model, data, out, SMALL, share(2, 2))).status).toBe('done');
    expect(hashes(out)).toEqual(whole);
  });

  it('whose files were cut is refused with file and byte', async () => {
    const out = await stopped();
    const writer = join(out, '.writing', '1-of-1');
    const name = readdirSync(writer).find((file) => file.endsWith('.rows'))!;
    truncateSync(join(writer, name), 5);
    await expect(write(model, data, out, SMALL)).rejects.toMatchObject({
      code: 'E_STORE_DAMAGED',
      message: expect.stringMatching(
        new RegExp(`${name}, byte 5: it ends here, a checkpoint counts \\d+ bytes`),
      ),
    });
    const spoilt = await stopped();
    writeFileSync(join(spoilt, '.writing', '1-of-1', 'state.json'), '{');
    await expect(write(model, data, spoilt, SMALL)).rejects.toMatchObject({
      code: 'E_STORE_DAMAGED',
      message: expect.stringContaining('state.json: not JSON'),
    });
  });

  it('cannot begin where a folder cannot be made', async () => {
    const place = join(folder(), 'file');
    writeFileSync(place, '');
    await expect(write(model, data, join(place, 's'))).rejects.toMatchObject({ code: 'E_WRITE' });
  });
});

describe('the images of a store', () => {
  it('leave out those held out per class, which the index names', async () => {
    const many = join(folder(), 'many');
    await writePictures(many, 42);
    const out = join(folder(), 's');
    const { index } = await write(model, many, out, { holdOut: 2, taps: ['layer3'], imageBatch: 16 });
    expect(index).toMatchObject({ images: 38, holdOut: { perClass: 2, seed: 42 } });
    const { keys } = index!.holdOut;
    expect(keys.filter((key) => key.startsWith('class0/'))).toHaveLength(2);
    expect(keys.filter((key) => key.startsWith('class1/'))).toHaveLength(2);
    // Pictures are numbered by class, then name.
    const all = [0, 1].flatMap((label) =>
      readdirSync(join(many, `class${label}`)).map((name) => `class${label}/${name}`),
    );
    const held = keys.map((key) => all.indexOf(key));
    const stored = new Set(storedRows(out, 'layer3').map(({ image }) => image));
    expect(stored.size).toBe(38);
    for (const image of held) expect(stored).not.toContain(image);
  });

  it('are drawn uniformly where a budget binds, which is never exceeded', async () => {
    const many = join(folder(), 'many');
    await writePictures(many, 60);
    const out = join(folder(), 's');
    const maxBytes = 60_000;
    const options = { maxBytes, shardBytes: 8192, taps: ['layer3'] };
    const lines: string[] = [];
    const log = { info: (line: string) => lines.push(line), warn: () => {}, error: () => {} };
    const { index, images } = await write(model, many, out, options, { log: log as never });
    expect(images).toBeLessThan(60);
    expect(images).toBeGreaterThan(20);
    expect(lines.join('\n')).toContain(`holds ${images} of 60 images, drawn uniformly with seed 3`);
    expect(index).toMatchObject({ images, maxBytes });
    const bytes = readdirSync(join(out, 'layer3')).reduce(
      (sum, name) => sum + readFileSync(join(out, 'layer3', name)).length,
      0,
    );
    expect(bytes + readFileSync(join(out, 'store.json')).length).toBeLessThan(maxBytes);
    const drawn = new Set(storedRows(out, 'layer3').map(({ image }) => image));
    expect(drawn.size).toBe(images);
    expect([...drawn].filter((image) => image >= 30).length).toBeGreaterThan(images / 4);
    const again = join(folder(), 's');
    await write(model, many, again, options);
    expect(hashes(again)).toEqual(hashes(out));
    await expect(
      write(model, many, join(folder(), 's'), { ...options, maxBytes: 4000 }),
    ).rejects.toMatchObject({
      code: 'E_STORE_BUDGET',
      exitCode: 2,
    });
  });

  it('that are broken are skipped, counted and named, up to a limit', async () => {
    const torn = join(folder(), 'torn');
    // Picture 8 to 15 fill two whole batches.
    const broken = [1, 16, 18, 20, 22];
    await writePictures(torn, 24, broken);
    const out = join(folder(), 's');
    const { index } = await write(model, torn, out, SMALL);
    expect(index).toMatchObject({ images: 19 });
    expect(index!.broken.map(({ key }) => key)).toEqual([
      'class0/p0016.jpg',
      'class0/p0018.jpg',
      'class0/p0020.jpg',
      'class0/p0022.jpg',
      'class1/p0001.jpg',
    ]);
    const images = new Set(storedRows(out, 'layer2').map(({ image }) => image));
    for (const { image } of index!.broken) expect(images).not.toContain(image);
    const shared = join(folder(), 's');
    for (const i of [1, 2]) await write(model, torn, shared, SMALL, { share: { index: i, count: 2 } });
    expect(hashes(shared)).toEqual(hashes(out));

    const hopeless = join(folder(), 'hopeless');
    await writePictures(
      hopeless,
      30,
      Array.from({ length: 11 }, (_, i) => 2 * i),
    );
    await expect(write(model, hopeless, join(folder(), 's'))).rejects.toMatchObject({
      code: 'E_DATA_TOO_MANY_BROKEN',
    });
    // Each share alone stays below the limit; together they do not.
    const divided = join(folder(), 's');
    const shares = [1, 2].map(
      (i) => () => write(model, hopeless, divided, {}, { share: { index: i, count: 2 } }),
    );
    await shares[0]();
    await expect(shares[1]()).rejects.toMatchObject({ code: 'E_DATA_TOO_MANY_BROKEN' });
  });
});

describe('a tap', () => {
  it('that is unknown or given twice is refused', async () => {
    await expect(write(model, data, join(folder(), 's'), { taps: ['layer33'] })).rejects.toMatchObject({
      code: 'E_TAP_UNKNOWN',
    });
    await expect(
      write(model, data, join(folder(), 's'), { taps: ['layer3', 'layer3'] }),
    ).rejects.toMatchObject({
      code: 'E_STORE_TAP',
    });
  });

  it('whose features are not finite stops with tap and image', async () => {
    const spoilt = smallModel();
    for (const { variable } of spoilt.stateDict(['layer3']))
      tf.tidy(() => variable.assign(tf.mul(variable, Number.NaN)));
    await expect(write(spoilt, data, join(folder(), 's'))).rejects.toMatchObject({
      code: 'E_FEATURE_NAN',
      message: 'features at tap layer3 of image class0/p0000.jpg: one is NaN',
    });
    spoilt.dispose();
  });

  it('whose features are too large for half precision stops with tap and image', async () => {
    const large = (limit: number) => ({
      images: 3,
      kept: 2,
      channels: 4,
      values: (image: number, target: Float32Array) => target.fill(image === 1 ? -limit : 1),
    });
    // 65519.99 is rounded down to the largest number, 65504.
    await writeSynthetic(join(folder(), 's'), { ...large(65519.98), dtype: 'f16' });
    await writeSynthetic(join(folder(), 's'), large(1e30));
    await expect(
      writeSynthetic(join(folder(), 's'), { ...large(65520), dtype: 'f16' }),
    ).rejects.toMatchObject({
      code: 'E_FEATURE_OVERFLOW',
      message: 'features at tap layer1 of image image 1: -65520 is beyond the range of f16 (65504)',
    });
  });
});
