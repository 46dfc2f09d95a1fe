import {
  appendFileSync,
  existsSync,
  openSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openFeatures } from '../../../../src/train/sae/features/featureFolder.js';
import type { FeatureSource, PassOrder } from '../../../../src/train/sae/features/featureSource.js';
import { checkStore } from '../../../../src/train/sae/store/checkStore.js';
import { pagesOf, passWindows } from '../../../../src/train/sae/store/passWindows.js';
import { openStore, type ReaderOptions } from '../../../../src/train/sae/store/storeReader.js';
import { temporaryFolders } from '../../../fixtures/pictures.js';
import { storedRows } from './storeCase.js';
import { type SyntheticOptions, writeSynthetic } from './syntheticStore.js';

const folder = temporaryFolders();
const ROWS = 900;
const CHANNELS = 6;
const SYNTHETIC: SyntheticOptions = { images: 90, kept: 10, channels: CHANNELS, shardBytes: 8192 };
/** Windows of 100 rows, pages of 10: neither divides a shard. */
const STREAMED: ReaderOptions = { memory: 200 * CHANNELS * 4, pageBytes: 10 * CHANNELS * 4 };

async function pass(source: FeatureSource, order: Partial<PassOrder> = {}): Promise<number[][]> {
  const batches: number[][] = [];
  for await (const values of source.batches({ seed: 0, pass: 1, batchRows: 64, ...order })) {
    const rows = Array.from({ length: values.length / CHANNELS }, (_, i) => values[i * CHANNELS]);
    expect(values.every((value, i) => value === rows[Math.floor(i / CHANNELS)])).toBe(true);
    batches.push(rows);
  }
  return batches;
}

const numbers = Array.from({ length: ROWS }, (_, i) => i);

describe('a pass over a store', () => {
  it.each([
    ['through windows', STREAMED, 'f32'],
    ['through windows, half precision', { ...STREAMED, memory: 100 * CHANNELS * 4 }, 'f16'],
    ['in memory', {}, 'f32'],
  ] as const)('%s gives every row once, in an order of its own', async (_, options, dtype) => {
    const out = folder();
    const { taps } = await writeSynthetic(out, {
      ...SYNTHETIC,
      dtype,
      ...(dtype === 'f16' ? { shardBytes: 6000 } : {}),
    });
    expect(taps[0].shards.length).toBeGreaterThan(2);
    const source = openStore(out, options);
    expect(source).toMatchObject({ rows: ROWS, channels: CHANNELS, tap: 'layer1', arch: 'synthetic' });
    const seen = new Set<string>();
    for (const order of [{}, { pass: 2 }, { seed: 9 }]) {
      const batches = await pass(source, order);
      expect(batches.map(({ length }) => length)).toEqual([...new Array(14).fill(64), 4]);
      const rows = batches.flat();
      expect([...rows].sort((a, b) => a - b)).toEqual(numbers);
      seen.add(rows.join());
    }
    expect(seen.size).toBe(3);
    await source.close();
  });

  it.each([
    ['windows', STREAMED],
    ['memory', {}],
  ] as const)('goes on from any batch (%s)', async (_, options) => {
    const out = folder();
    await writeSynthetic(out, SYNTHETIC);
    const source = openStore(out, options);
    const all = await pass(source);
    for (const start of [0, 1, 2, 5, 13, 14, 15, 20])
      expect(await pass(source, { start })).toEqual(all.slice(start));
    for (const batchRows of [1, 7, 100, 899, 900, 2000])
      expect((await pass(source, { batchRows })).flat()).toEqual(all.flat());
    await source.close();
  });

  it('may be left early and run beside another', async () => {
    const out = folder();
    await writeSynthetic(out, SYNTHETIC);
    const source = openStore(out, STREAMED);
    const all = await pass(source);
    for await (const values of source.batches({ seed: 0, pass: 1, batchRows: 64 })) {
      expect(values[0]).toBe(all[0][0]);
      break;
    }
    const [one, two] = await Promise.all([pass(source), pass(source, { pass: 2 })]);
    expect(one).toEqual(all);
    expect(two.flat().sort((a, b) => a - b)).toEqual(numbers);
    await source.close();
  });

  it('reads nothing of the windows before its start', async () => {
    const out = folder();
    const { taps } = await writeSynthetic(out, SYNTHETIC);
    const { shards } = taps[0];
    // Windows of two pages of ten rows: the last batch needs few of the shards.
    const source = openStore(out, { ...STREAMED, memory: 40 * CHANNELS * 4 });
    const all = await pass(source);
    const pages = pagesOf(
      shards.map(({ rows }) => rows),
      10,
    );
    const needed = new Set<number>();
    let before = 0;
    for (const window of passWindows(pages, 20, 0, 1)) {
      if (before + window.rows > 14 * 64) for (const { shard } of window.pages) needed.add(shard);
      before += window.rows;
    }
    expect(needed.size).toBeLessThan(shards.length);
    shards.forEach(({ file }, i) => {
      if (!needed.has(i)) rmSync(join(out, 'layer1', file));
    });
    expect(await pass(source, { start: 14 })).toEqual(all.slice(14));
    await expect(pass(source)).rejects.toMatchObject({ code: 'E_STORE_DAMAGED' });
  });
});

describe('opening a store', () => {
  async function made(changes: Partial<SyntheticOptions> = {}) {
    const out = folder();
    const { taps } = await writeSynthetic(out, { ...SYNTHETIC, ...changes });
    const shards = taps[0].shards.map(({ file }) => join(out, 'layer1', file));
    const index = join(out, 'store.json');
    return { out, shards, index, text: readFileSync(index, 'utf8'), shard: taps[0].shards[0] };
  }

  it('finds cut, longer and exchanged shards, and names file and byte', async () => {
    const cut = await made();
    truncateSync(cut.shards[1], 700);
    expect(() => openFeatures(cut.out)).toThrow(
      expect.objectContaining({
        code: 'E_STORE_DAMAGED',
        message: expect.stringContaining(`${cut.shards[1]}, byte 700: the file ends here`),
      }),
    );
    const longer = await made();
    appendFileSync(longer.shards[0], '!');
    expect(() => openFeatures(longer.out)).toThrow(/byte \d+: the file goes on/);
    const changed = await made();
    const handle = openSync(changed.shards[0], 'r+');
    writeSync(handle, '{"imAge"', 8);
    expect(() => openFeatures(changed.out)).toThrow(/byte 12: the header is not that of \d+ rows of 6 f32/);
    const missing = await made();
    rmSync(missing.shards[2]);
    expect(() => openFeatures(missing.out)).toThrow(
      expect.objectContaining({
        code: 'E_STORE_DAMAGED',
        message: expect.stringContaining('cannot be read'),
      }),
    );
  });

  it('finds a shard that is cut while it is read', async () => {
    const { out, shards } = await made();
    const source = openStore(out, STREAMED);
    truncateSync(shards[0], 2000);
    await expect(pass(source)).rejects.toMatchObject({
      code: 'E_STORE_DAMAGED',
      message: expect.stringMatching(/byte 2000: the file ends here, it was cut since/),
    });
  });

  it.each([
    ['{', 'E_STORE_DAMAGED', 'not JSON'],
    ['null', 'E_STORE_DAMAGED', 'expected object'],
    [
      (text: string) => text.replace('"version": 1', '"version": 2'),
      'E_STORE_VERSION',
      'schema version 2, this',
    ],
    [(text: string) => text.replace('"rows": 900', '"rows": 901'), 'E_STORE_DAMAGED', 'its shards hold 900'],
    [
      (text: string) => text.replace('"channels": 6', '"channels": 7'),
      'E_STORE_DAMAGED',
      'of 7 f32 features',
    ],
    [
      (text: string) => text.replace('"file": "features', '"file": "../features'),
      'E_STORE_DAMAGED',
      'shards.0.file',
    ],
    [(text: string) => text.replace('"seed": 1', '"seed": 1, "sede": 1'), 'E_STORE_DAMAGED', 'sede'],
  ] as const)('refuses an index that is wrong (%#)', async (change, code, message) => {
    const { out, index, text } = await made();
    writeFileSync(index, typeof change === 'string' ? change : change(text));
    expect(() => openFeatures(out)).toThrow(
      expect.objectContaining({ code, message: expect.stringContaining(message) }),
    );
  });

  it('says what a folder is that is no store', () => {
    const empty = folder();
    expect(() => openFeatures(join(empty, 'nowhere'))).toThrow(
      expect.objectContaining({ code: 'E_STORE_MISSING', message: expect.stringContaining('store.json') }),
    );
    writeFileSync(join(empty, 'features.json'), '{}');
    expect(() => openFeatures(empty)).toThrow(/earlier version \(features.json\)/);
  });

  it('asks which tap is meant', async () => {
    const { out } = await made();
    expect(openFeatures(out, '0.layer1').tap).toBe('layer1');
    expect(() => openFeatures(out, 'layer2')).toThrow(
      expect.objectContaining({
        code: 'E_STORE_TAP',
        message: expect.stringContaining('at layer1, not at "layer2"'),
      }),
    );
  });

  it('leaves changed features to the full check, which names the block', async () => {
    const { out, shards, shard } = await made({ shardBytes: 2 ** 25, images: 900, kept: 100, channels: 30 });
    expect(shard.bytes).toBeGreaterThan(2 ** 23);
    expect(await checkStore(out)).toMatchObject({ images: 900 });
    const handle = openSync(shards[0], 'r+');
    writeSync(handle, Uint8Array.of(0x11), 0, 1, 2 ** 22 + 12345);
    openFeatures(out);
    await expect(checkStore(out)).rejects.toMatchObject({
      code: 'E_STORE_DAMAGED',
      message: expect.stringMatching(
        /, byte 4194304: the 4194304 bytes from here on were changed; SHA-256 is/,
      ),
    });
  });
});

describe('the order of a store', () => {
  it('has the rows of an image spread over all shards', async () => {
    const out = folder();
    await writeSynthetic(out, SYNTHETIC);
    const rows = storedRows(out, 'layer1');
    expect(rows.map(({ values }) => values[0])).toEqual(
      rows.map(({ image, position }) => image * 10 + position),
    );
    const places = rows.flatMap(({ image }, place) => (image === 17 ? [place] : []));
    expect(places).toHaveLength(10);
    expect(Math.max(...places) - Math.min(...places)).toBeGreaterThan(ROWS / 3);
    expect(existsSync(join(out, '.writing'))).toBe(false);
  });
});
