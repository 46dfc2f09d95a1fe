import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openImages } from '../../src/data/openImages.js';
import type { ModelSpec } from '../../src/models/spec.js';
import { pngOf, randomPicture } from '../fixtures/pictures.js';

const root = mkdtempSync(join(tmpdir(), 'fact-open-images-'));

/** Labels of the batches, by the folder's name. */
async function labelsOf(classNames: readonly string[] | null): Promise<Record<string, number>> {
  const labelsFor = { classNames, options: { numClasses: 3 } } as unknown as ModelSpec;
  const { loader } = await openImages(
    root,
    { resize: 8, crop: [8, 8] },
    { batchSize: 2, workers: 0, labelsFor },
  );
  const found: Record<string, number> = {};
  try {
    for await (const batch of loader.epoch(0))
      batch.keys.forEach((key, i) => {
        found[key.split('/')[0]] = batch.labels[i];
      });
  } finally {
    await loader.close();
  }
  return found;
}

describe('images that are opened for a network', () => {
  beforeAll(async () => {
    for (const [i, name] of ['apple', 'school_bus', 'zebra'].entries()) {
      mkdirSync(join(root, name));
      writeFileSync(join(root, name, '0.png'), await pngOf(randomPicture(8, 8, i, true)));
    }
  });
  afterAll(() => rmSync(root, { recursive: true }));

  it('have the labels of its own order where it knows the names of their folders', async () => {
    expect(await labelsOf(['zebra', 'apple', 'School bus'])).toEqual({ zebra: 0, apple: 1, school_bus: 2 });
  });

  it('have those of the folders where it does not', async () => {
    for (const names of [null, ['a', 'b', 'c']])
      expect(await labelsOf(names)).toEqual({ apple: 0, school_bus: 1, zebra: 2 });
  });
});
