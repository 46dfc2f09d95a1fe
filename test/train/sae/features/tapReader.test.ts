import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Batch } from '../../../../src/data/batchLoader.js';
import { imageFeatures } from '../../../../src/train/sae/features/imageFeatures.js';
import { TapReader, type TapRequest, type TapRows } from '../../../../src/train/sae/features/tapReader.js';
import { tensorGrowth, useEngine } from '../../../engine.js';
import { SIZE, smallModel } from '../../../explain/fixtures.js';
import { jpegOf, randomPicture, temporaryFolders } from '../../../fixtures/pictures.js';

useEngine();
const folder = temporaryFolders();

function batchOf(numbers: readonly number[]): Batch {
  const images = new Float32Array(numbers.length * SIZE * SIZE * 3);
  numbers.forEach((number, row) => {
    for (let i = 0; i < SIZE * SIZE * 3; i++)
      images[row * SIZE * SIZE * 3 + i] = 0.5 + 0.5 * Math.sin((i + 1) * (number + 1) * 0.37);
  });
  const samples = Int32Array.from(numbers);
  return {
    images,
    samples,
    labels: samples,
    keys: numbers.map(String),
    size: numbers.length,
    index: 0,
    waitMs: 0,
  };
}

async function rowsOf(
  requests: readonly TapRequest[],
  numbers: readonly number[],
  { batchSize = numbers.length, seed = 3 } = {},
): Promise<readonly TapRows[]> {
  const model = smallModel();
  const reader = new TapReader(model, requests, { imageSize: [SIZE, SIZE], batchSize, seed });
  const rows = await reader.read(batchOf(numbers));
  reader.dispose();
  model.dispose();
  return rows;
}

describe('a reader of taps', () => {
  it('gives all positions image by image, in short batches too', async () => {
    const [rows] = await rowsOf([{ tap: 'layer3', positions: 'all' }], [0, 1, 2]);
    expect(rows.values).toHaveLength(3 * 64 * 32);
    expect(Array.from(rows.positions.subarray(60, 70))).toEqual([60, 61, 62, 63, 0, 1, 2, 3, 4, 5]);
    const [short] = await rowsOf([{ tap: 'layer3', positions: 'all' }], [0, 1, 2], { batchSize: 5 });
    expect(short.positions).toEqual(rows.positions);
    expect(short.values).toBeNormwiseClose(rows.values, 1e-6);
  });

  it('gives several taps from one pass as it gives them one by one, whatever their order', async () => {
    const requests: TapRequest[] = [
      { tap: 'layer3', positions: 10 },
      { tap: 'layer1', positions: 'all' },
      { tap: 'layer2', positions: 7 },
    ];
    const together = await rowsOf(requests, [0, 1, 2, 3]);
    for (const [i, request] of requests.entries()) {
      const [single] = await rowsOf([request], [0, 1, 2, 3]);
      expect(together[i].positions).toEqual(single.positions);
      expect(together[i].values).toBeNormwiseClose(single.values, 1e-6);
    }
  });

  it('draws different positions per image, which depend on seed and number of the image alone', async () => {
    const request: TapRequest[] = [{ tap: 'layer3', positions: 10 }];
    const [rows] = await rowsOf(request, [4, 5, 6]);
    for (let i = 0; i < 3; i++) {
      const drawn = rows.positions.subarray(i * 10, (i + 1) * 10);
      expect(new Set(drawn).size).toBe(10);
      const [alone] = await rowsOf(request, [4 + i], { batchSize: 3 });
      expect(alone.positions).toEqual(drawn);
    }
    const [all] = await rowsOf([{ tap: 'layer3', positions: 'all' }], [4, 5, 6]);
    const expected = Float32Array.from(
      Array.from(rows.positions).flatMap((position, j) => {
        const row = Math.floor(j / 10) * 64 + position;
        return Array.from(all.values.subarray(row * 32, (row + 1) * 32));
      }),
    );
    expect(rows.values).toBeNormwiseClose(expected, 1e-6);
    const [other] = await rowsOf(request, [4, 5, 6], { seed: 4 });
    expect(other.positions).not.toEqual(rows.positions);
  });

  it('leaves no tensor behind', async () => {
    const model = smallModel();
    const requests: TapRequest[] = [
      { tap: 'layer1', positions: 5 },
      { tap: 'layer2', positions: 'all' },
      { tap: 'layer3', positions: 5 },
    ];
    const growth = await tensorGrowth(async () => {
      const reader = new TapReader(model, requests, { imageSize: [SIZE, SIZE], batchSize: 2, seed: 0 });
      await Promise.all([reader.read(batchOf([0, 1])), reader.read(batchOf([2]))]);
      reader.dispose();
    });
    expect(growth).toBe(0);
    model.dispose();
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
  const request = { tap: 'layer3', seed: 3, imageBatch: 4, workers: 0, positions: 10 } as const;

  it('are collected in memory from a folder of images', async () => {
    const model = smallModel();
    const source = await imageFeatures(model, await pictures(6), request);
    expect(source).toMatchObject({ rows: 60, channels: 32, tap: 'layer3', arch: 'cifar10_resnet_20' });
    model.dispose();
  });

  it('name an unknown tap with the nearest one', async () => {
    const model = smallModel();
    await expect(
      imageFeatures(model, await pictures(2), { ...request, tap: 'layer33' }),
    ).rejects.toMatchObject({
      code: 'E_TAP_UNKNOWN',
      message: expect.stringContaining('the nearest is "layer3"'),
    });
    model.dispose();
  });
});
