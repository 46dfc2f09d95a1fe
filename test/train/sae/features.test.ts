import { existsSync, mkdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { describe, expect, it } from 'vitest';
import { positionsPerImage } from '../../../src/train/sae/collect.js';
import { FeatureFolderSink, openFeatures } from '../../../src/train/sae/featureFolder.js';
import type { FeatureSource } from '../../../src/train/sae/featureSource.js';
import { imageFeatures } from '../../../src/train/sae/imageFeatures.js';
import { MemoryFeatures } from '../../../src/train/sae/memoryFeatures.js';
import { VarianceSums, varianceExplained } from '../../../src/train/sae/metrics.js';
import { normFactorOf } from '../../../src/train/sae/normFactor.js';
import { drawPositions, positionBudget } from '../../../src/train/sae/sampling.js';
import { useEngine } from '../../engine.js';
import { SIZE, smallModel } from '../../explain/fixtures.js';
import { jpegOf, randomPicture, temporaryFolders } from '../../fixtures/pictures.js';

useEngine();
const folder = temporaryFolders();
const INFO = { channels: 3, tap: 'layer1', arch: 'resnet18', modelHash: null };
const VALUES = Float32Array.from({ length: 3 * 25 }, (_, i) => Math.sin(i));

async function allRows(source: FeatureSource): Promise<Float32Array> {
  return source.gather(Array.from({ length: source.rows }, (_, i) => i));
}

describe('features', () => {
  it('are the same in memory and on disk, in any order of rows', async () => {
    const memory = new MemoryFeatures(INFO, 2);
    const out = folder();
    const disk = new FeatureFolderSink(out, INFO, 7 * 12);
    for (const sink of [memory, disk]) {
      for (let i = 0; i < VALUES.length; i += 6) await sink.append(VALUES.slice(i, i + 6));
    }
    const [a, b] = [await memory.finish(), await disk.finish()];
    for (const source of [a, b]) {
      expect(source).toMatchObject({ ...INFO, rows: 25 });
      expect(await allRows(source)).toEqual(VALUES);
      const picked = await source.gather([24, 0, 7, 7]);
      expect(picked).toEqual(
        Float32Array.of(
          ...VALUES.slice(72),
          ...VALUES.slice(0, 3),
          ...VALUES.slice(21, 24),
          ...VALUES.slice(21, 24),
        ),
      );
      await source.close();
    }
    expect(existsSync(join(out, 'features-00003.safetensors'))).toBe(true);
  });

  it('on disk that are incomplete, cut or changed are refused with the file named', async () => {
    const make = async () => {
      const out = folder();
      const sink = new FeatureFolderSink(out, INFO, 120);
      await sink.append(VALUES);
      return { out, sink };
    };
    const unfinished = await make();
    expect(() => openFeatures(unfinished.out)).toThrow(/features\.json/);
    const { out, sink } = await make();
    await (await sink.finish()).close();
    const index = join(out, 'features.json');
    const text = readFileSync(index, 'utf8');
    for (const [change, message] of [
      [text.replace('"rows": 25', '"rows": 26'), /"rows" is 26, shards hold 25/],
      [text.replace('"channels": 3', '"channels": 4'), /do not hold/],
      [text.replace('features-00001', '../features-00001'), /shards/],
      [text.replace('features-00001', 'features-00009'), /features-00009/],
      ['{', /not JSON/],
    ] as const) {
      writeFileSync(index, change);
      expect(() => openFeatures(out)).toThrow(
        expect.objectContaining({ code: 'E_SAE_FEATURES', message: expect.stringMatching(message) }),
      );
    }
    writeFileSync(index, text);
    truncateSync(join(out, 'features-00002.safetensors'), 150);
    expect(() => openFeatures(out)).toThrow(/features-00002/);
  });
});

describe('the choice of positions', () => {
  it('is all, a number, or the budget of the reference', () => {
    expect(positionsPerImage('all', 512, 784)).toBe(784);
    expect(positionsPerImage('budget', 512, 784)).toBe(72);
    expect(positionsPerImage(10, 512, 784)).toBe(10);
    expect(positionsPerImage(10, 512, 4)).toBe(4);
    expect(positionBudget(100_000, 49)).toBe(1);
  });

  it('takes positions without weight last, by place', () => {
    expect(Array.from(drawPositions([0, 2, 0, 1], [1, 1, 1, 1], 4))).toEqual([1, 3, 0, 2]);
    expect(Array.from(drawPositions([0, 0], [0, 1], 2))).toEqual([0, 1]);
  });
});

describe('measures', () => {
  it('give the same explained variance in one piece and in sums over batches', () => {
    const x = tf.randomNormal([40, 3], 1, 2, 'float32', 1) as tf.Tensor2D;
    const r = tf.add(tf.mul(x, 0.9), tf.randomNormal([40, 3], 0, 0.3, 'float32', 2)) as tf.Tensor2D;
    const sums = new VarianceSums(3);
    const [values, residuals] = [x, tf.sub(x, r)].map((t) => t.dataSync() as Float32Array);
    for (const [from, to] of [
      [0, 33],
      [33, 120],
    ])
      sums.add(values.subarray(from, to), residuals.subarray(from, to));
    expect(sums.explained()).toBeCloseTo(varianceExplained(x, r).dataSync()[0], 5);
    expect(new VarianceSums(2).explained()).toBeNull();
  });

  it('norm factor: the root of the mean over batches of the mean squared norm', async () => {
    const sink = new MemoryFeatures({ ...INFO, channels: 1 }, 3);
    await sink.append(Float32Array.of(3, 1, 5));
    const source = await sink.finish();
    expect(await normFactorOf(source, Uint32Array.of(0, 1, 2), 2)).toBeCloseTo(Math.sqrt((5 + 25) / 2), 6);
  });
});

describe('features of a network', () => {
  async function pictures(count: number): Promise<string> {
    const root = folder();
    for (let i = 0; i < count; i++) {
      const place = join(root, `class${i % 2}`);
      mkdirSync(place, { recursive: true });
      writeFileSync(join(place, `p${i}.jpg`), await jpegOf(randomPicture(SIZE, SIZE, i, true)));
    }
    return root;
  }
  const request = { tap: 'layer3', seed: 3, imageBatch: 4, workers: 0 } as const;

  it('with all positions are its activations, image by image, the last batch filled up', async () => {
    const model = smallModel();
    const data = await pictures(6);
    const source = await imageFeatures(model, data, { ...request, positions: 'all' });
    expect(source).toMatchObject({ rows: 6 * 64, channels: 32, tap: 'layer3', arch: 'cifar10_resnet_20' });
    const single = await imageFeatures(model, data, { ...request, positions: 'all', imageBatch: 1 });
    expect(await allRows(single)).toBeNormwiseClose(await allRows(source), 1e-6);
    model.dispose();
  });

  it('drawn by contribution are rows of the full set, reproducibly, to memory and to disk', async () => {
    const model = smallModel();
    const data = await pictures(5);
    const all = await allRows(await imageFeatures(model, data, { ...request, positions: 'all' }));
    const out = folder();
    const disk = await imageFeatures(model, data, { ...request, positions: 10 }, { out });
    const memory = await imageFeatures(model, data, { ...request, positions: 10 });
    const rows = await allRows(disk);
    expect(disk.rows).toBe(50);
    expect(await allRows(memory)).toEqual(rows);
    // The graph with the gradient may round its features differently: rows are found by nearness.
    const found = Array.from({ length: 50 }, (_, i) => nearestRow(rows.subarray(i * 32, (i + 1) * 32), all));
    expect(new Set(found).size).toBe(50);
    found.forEach((row, i) => {
      expect(Math.floor(row / 64)).toBe(Math.floor(i / 10));
    });
    const other = await imageFeatures(model, data, { ...request, positions: 10, seed: 4 });
    expect(await allRows(other)).not.toEqual(rows);
    await disk.close();
    model.dispose();
  });

  /** Number of the row of the full set that equals `row` up to rounding; -1 where there is none. */
  function nearestRow(row: Float32Array, all: Float32Array): number {
    const norm = row.reduce((s, v) => s + v * v, 0);
    for (let i = 0; i < all.length / 32; i++) {
      const difference = row.reduce((s, v, c) => s + (v - all[i * 32 + c]) ** 2, 0);
      if (difference <= 1e-10 * norm) return i;
    }
    return -1;
  }

  it('name an unknown tap with the nearest one', async () => {
    const model = smallModel();
    const data = await pictures(2);
    await expect(
      imageFeatures(model, data, { ...request, tap: 'layer33', positions: 'all' }),
    ).rejects.toMatchObject({
      code: 'E_TAP_UNKNOWN',
      message: expect.stringContaining('the nearest is "layer3"'),
    });
    model.dispose();
  });
});
