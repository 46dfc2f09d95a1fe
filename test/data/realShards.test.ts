import { existsSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { BatchLoader } from '../../src/data/batchLoader.js';
import { decodeImage } from '../../src/data/decode.js';
import { evalTransform } from '../../src/data/evalTransform.js';
import { evaluationSplit, openImageSource } from '../../src/data/imageSource.js';

const DATA = process.env.FACT_DATA ?? resolve(import.meta.dirname, '..', '..', '..', 'shared', 'data');

/** Declares tests on a real data set; skipped, with the reason, where it is absent. */
function describeData(name: string, fn: (path: string) => void): void {
  const path = join(DATA, name);
  if (existsSync(path)) describe(`the data set ${name}`, () => fn(path));
  else
    describe.skip(`the data set ${name} (skipped: not found; FACT_DATA names its folder)`, () =>
      it('', () => {}));
}

describeData('cifar10', (path) => {
  it('has 10,000 test pictures in 10 equal classes', async () => {
    const source = await openImageSource(path, { split: evaluationSplit(path) });
    expect(source.size).toBe(10_000);
    expect(source.classNames[3]).toBe('cat');
    const counts = new Array(10).fill(0);
    for (let i = 0; i < source.size; i++) counts[source.label(i)]++;
    expect(counts).toEqual(new Array(10).fill(1000));
  });

  it('is delivered in batches of 32 x 32, none broken', async () => {
    const loader = await BatchLoader.open({
      path,
      split: 'test',
      batchSize: 500,
      seed: 1,
      imageSize: [32, 32],
      shuffle: true,
      augmentation: { kind: 'padCrop', padding: 4, flip: true },
    });
    for await (const batch of loader.epoch(0)) {
      expect(batch.images.length).toBe(500 * 32 * 32 * 3);
      if (batch.index === 2) break;
    }
    expect(loader.broken).toEqual([]);
    await loader.close();
  });
});

describeData('tiny-imagenet-50', (path) => {
  it('has 50 classes with WordNet ids and 50 validation pictures of each', async () => {
    const source = await openImageSource(path, { split: 'val', classes: 50 });
    expect(source.size).toBe(2500);
    expect(source.classNames[13]).toBe('tabby');
    expect(source.classIds?.[13]).toBe('n02123045');
    expect(source.key(0).startsWith(source.classIds?.[source.label(0)] ?? '?')).toBe(true);
    const { width, height } = await decodeImage(await source.read(0), source.key(0));
    expect([width, height]).toEqual([64, 64]);
  });
});

describeData('imagenet-sample', (path) => {
  it('is a folder of 1,000 class folders with a picture each', async () => {
    const source = await openImageSource(path);
    expect([source.size, source.classNames.length, source.warnings.length]).toEqual([1000, 1000, 0]);
    expect(source.classNames[0]).toBe(readdirSync(path).sort()[0]);
    const image = await decodeImage(await source.read(0), source.key(0));
    expect(evalTransform(image, { resize: 256, crop: [224, 224] }).length).toBe(224 * 224 * 3);
  });
});
