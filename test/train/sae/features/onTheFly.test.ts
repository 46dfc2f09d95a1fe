import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ImageSource, openImageSource } from '../../../../src/data/imageSource.js';
import type { BcosModel } from '../../../../src/models/bcosModel.js';
import { resolveSaeConfig, type SaeTrainConfig } from '../../../../src/train/sae/config.js';
import type { FeatureSource, PassOrder } from '../../../../src/train/sae/features/featureSource.js';
import { imageFeatures } from '../../../../src/train/sae/features/imageFeatures.js';
import { OnTheFly, type OnTheFlyOptions } from '../../../../src/train/sae/features/onTheFly.js';
import { trainSae } from '../../../../src/train/sae/run/run.js';
import type { SaeRunOptions } from '../../../../src/train/sae/run/saeRun.js';
import { trainOnTheFly } from '../../../../src/train/sae/run/trainOnTheFly.js';
import { tensorGrowth, useEngine } from '../../../engine.js';
import { SIZE, smallModel } from '../../../explain/fixtures.js';
import { jpegOf, randomPicture, temporaryFolders } from '../../../fixtures/pictures.js';
import { scratchFolder } from '../../tinyRun.js';

useEngine();
const folder = temporaryFolders();
const scratch = scratchFolder();
const IMAGES = 13;
let model: BcosModel;
let images: ImageSource;
let data: string;

beforeAll(async () => {
  model = smallModel();
  data = join(scratch.path, 'data');
  for (let i = 0; i < IMAGES; i++) {
    const place = join(data, `class${i % 2}`);
    mkdirSync(place, { recursive: true });
    writeFileSync(join(place, `p${i}.jpg`), await jpegOf(randomPicture(SIZE, SIZE, i, true)));
  }
  images = await openImageSource(data);
});
afterAll(() => {
  images.close();
  model.dispose();
  scratch.remove();
});

const OPTIONS: OnTheFlyOptions = { seed: 5, imageBatch: 2, blockImages: 4, workers: 0 };
const ALL = [{ tap: 'layer3', positions: 'all' }] as const;
const BOTH = [
  { tap: 'layer2', positions: 20 },
  { tap: 'layer3', positions: 'all' },
] as const;

async function withFeatures<T>(
  requests: ConstructorParameters<typeof OnTheFly>[2],
  work: (features: OnTheFly) => Promise<T>,
  changes: Partial<OnTheFlyOptions> = {},
): Promise<T> {
  const features = new OnTheFly(model, images, requests, { ...OPTIONS, ...changes });
  try {
    return await work(features);
  } finally {
    await features.close();
  }
}

async function batchesOf(source: FeatureSource, order: PassOrder): Promise<Float32Array[]> {
  const batches: Float32Array[] = [];
  for await (const values of source.batches(order)) batches.push(values);
  return batches;
}

/** Rows as texts in a fixed order, so that multisets can be compared; rounded, as other graphs round otherwise. */
function sortedRows(batches: readonly Float32Array[], channels: number): string[] {
  return batches
    .flatMap((values) =>
      Array.from({ length: values.length / channels }, (_, i) =>
        Array.from(values.subarray(i * channels, (i + 1) * channels), (v) => v.toPrecision(3)).join(' '),
      ),
    )
    .sort();
}

const config = (tap: string, changes: Record<string, unknown> = {}): SaeTrainConfig =>
  resolveSaeConfig(
    {
      tap,
      latents: 24,
      k: 3,
      epochs: 2,
      batchRows: 100,
      seed: 5,
      learningRate: 0.01,
      logEvery: 1,
      checkpointEvery: 1000,
      ...changes,
    },
    'test',
  );

const filesOf = (out: string) =>
  ['sae/sae_weights.safetensors', 'sae/cfg.json', 'metrics.jsonl'].map((name) =>
    readFileSync(join(out, name), 'utf8'),
  );

describe('features on the fly', () => {
  it('are the same rows in every pass, those of the stored features, in another order', async () => {
    const stored = await imageFeatures(model, data, { ...ALL[0], seed: 5, imageBatch: 2, workers: 0 });
    const order = { seed: 5, batchRows: 100 };
    const expected = sortedRows(await batchesOf(stored, { ...order, pass: 1 }), 32);
    await withFeatures(ALL, async (features) => {
      const source = features.source(0);
      expect(source).toMatchObject({
        rows: IMAGES * 64,
        channels: 32,
        tap: 'layer3',
        arch: 'cifar10_resnet_20',
      });
      const [first, again, second] = [
        await batchesOf(source, { ...order, pass: 1 }),
        await batchesOf(source, { ...order, pass: 1 }),
        await batchesOf(source, { ...order, pass: 2 }),
      ];
      expect(first.map((values) => values.length / 32)).toEqual([100, 100, 100, 100, 100, 100, 100, 100, 32]);
      expect(again).toEqual(first);
      expect(second).not.toEqual(first);
      expect(sortedRows(first, 32)).toEqual(expected);
      expect(sortedRows(second, 32)).toEqual(expected);
    });
  });

  it('start in the middle of a pass with the same bits', async () => {
    for (const request of BOTH) {
      await withFeatures([request], async (features) => {
        const order = { seed: 5, pass: 3, batchRows: 37 };
        const whole = await batchesOf(features.source(0), order);
        for (const start of [0, 1, 5, whole.length - 1, whole.length]) {
          expect(await batchesOf(features.source(0), { ...order, start })).toEqual(whole.slice(start));
        }
      });
    }
  });

  it('hold one block and one batch in memory, whatever the number of images', async () => {
    await withFeatures(BOTH, async (features) => {
      expect(features.blockBytes).toBe(4 * (20 * 16 + 64 * 32) * 4);
      for await (const block of features.blocks(1)) {
        const bytes = block.reduce((sum, { values }) => sum + values.byteLength, 0);
        expect(bytes).toBeLessThanOrEqual(features.blockBytes);
      }
    });
  });

  it('leave no tensor behind', async () => {
    const growth = await tensorGrowth(async () => {
      await withFeatures(BOTH, async (features) => {
        await batchesOf(features.source(1), { seed: 5, pass: 1, batchRows: 64 });
      });
    });
    expect(growth).toBe(0);
  });
});

describe('training on the fly', () => {
  const jobsOf = (out: string, options: Partial<SaeRunOptions> = {}) =>
    BOTH.map(({ tap }, i) => ({
      config: config(tap, i === 0 ? { batchRows: 64 } : {}),
      tap: i,
      options: { out: join(out, tap), ...options },
    }));

  it('learns as well as from stored features', async () => {
    const stored = await imageFeatures(model, data, { ...ALL[0], seed: 5, imageBatch: 2, workers: 0 });
    const recipe = config('layer3', { epochs: 8 });
    const [a, b] = [folder(), folder()];
    const fromStore = await trainSae(recipe, stored, { out: a });
    const [fromImages] = await withFeatures(ALL, (features) =>
      trainOnTheFly(features, [{ config: recipe, tap: 0, options: { out: b } }]),
    );
    expect(fromImages.updates).toBe(fromStore.updates);
    const lossesOf = (out: string) => {
      const [header, ...rows] = readFileSync(join(out, 'summary.csv'), 'utf8').trim().split('\n');
      return rows.map((row) => Number(row.split(',')[header.split(',').indexOf('loss')]));
    };
    const [x, y] = [lossesOf(b), lossesOf(a)];
    expect(x).toHaveLength(8);
    x.forEach((loss, epoch) => {
      expect(Math.abs(loss / y[epoch] - 1)).toBeLessThan(0.05);
    });
    expect(y[7]).toBeLessThan(0.2 * y[0]);
  });

  it('of two taps in one pass gives each the bits of a training of its own', async () => {
    const out = folder();
    const results = await withFeatures(BOTH, (features) => trainOnTheFly(features, jobsOf(out)));
    expect(results.map(({ status }) => status)).toEqual(['done', 'done']);
    for (const [i, job] of jobsOf(folder()).entries()) {
      const alone = await withFeatures(BOTH, (features) => trainOnTheFly(features, [{ ...job, tap: i }]));
      expect(filesOf(alone[0].folder)).toEqual(filesOf(join(out, BOTH[i].tap)));
      const pulled = folder();
      await withFeatures(BOTH, (features) => trainSae(job.config, features.source(i), { out: pulled }));
      expect(filesOf(pulled)).toEqual(filesOf(join(out, BOTH[i].tap)));
    }
  });

  it('of two taps stopped anywhere and resumed ends with the bits of an uninterrupted one', async () => {
    const through = folder();
    await withFeatures(BOTH, (features) => trainOnTheFly(features, jobsOf(through)));
    for (const after of [1, 6, 10]) {
      const out = folder();
      const controller = new AbortController();
      const { signal } = controller;
      const stopped = await withFeatures(
        BOTH,
        (features) => {
          abortAfterBlocks(features, after, controller);
          return trainOnTheFly(features, jobsOf(out, { signal }), { signal });
        },
        { signal },
      ).catch((error: unknown) => error);
      const isEarly = stopped === signal.reason;
      if (!isEarly) expect(stopped).toMatchObject([{ status: 'stopped' }, { status: 'stopped' }]);
      const resumed = await withFeatures(BOTH, (features) =>
        trainOnTheFly(features, jobsOf(out, { resume: true })),
      );
      expect(resumed.map(({ status }) => status)).toEqual(['done', 'done']);
      for (const { tap } of BOTH) expect(filesOf(join(out, tap))).toEqual(filesOf(join(through, tap)));
    }
  });

  /** Aborts after a number of blocks of all passes. */
  function abortAfterBlocks(features: OnTheFly, count: number, controller: AbortController): void {
    const blocks = features.blocks.bind(features);
    let read = 0;
    features.blocks = async function* (pass, first) {
      for await (const block of blocks(pass, first)) {
        if (++read === count) controller.abort();
        yield block;
      }
    };
  }

  it('resumes runs that stand at different updates, as a kill leaves them', async () => {
    const through = folder();
    await withFeatures(BOTH, (features) => trainOnTheFly(features, jobsOf(through)));
    const out = folder();
    // The first tap alone until its second epoch; the second tap not even begun.
    const controller = new AbortController();
    await withFeatures(
      BOTH,
      (features) => {
        abortAfterBlocks(features, 9, controller);
        const [first] = jobsOf(out, { signal: controller.signal });
        return trainOnTheFly(features, [first], { signal: controller.signal });
      },
      { signal: controller.signal },
    );
    const [first, second] = [jobsOf(out, { resume: true })[0], jobsOf(out)[1]];
    await withFeatures(BOTH, (features) => trainOnTheFly(features, [first, second]));
    for (const { tap } of BOTH) expect(filesOf(join(out, tap))).toEqual(filesOf(join(through, tap)));
  });

  it('refuses to resume with other images, another order or other positions', async () => {
    const out = folder();
    const job = (resume: boolean) => [
      { config: config('layer3', { epochs: 1 }), tap: 0, options: { out, resume } },
    ];
    await withFeatures(ALL, (features) => trainOnTheFly(features, job(false)));
    for (const [requests, changes] of [
      [ALL, { samples: Uint32Array.of(0, 1, 2, 3, 4) }],
      [ALL, { seed: 6 }],
      [[{ tap: 'layer3', positions: 30 }], {}],
    ] as const) {
      await expect(
        withFeatures(requests, (features) => trainOnTheFly(features, job(true)), changes),
      ).rejects.toMatchObject({ code: 'E_SAE_FEATURES' });
    }
  });

  it('of two taps, one of which diverges, names it and keeps the other', async () => {
    const through = folder();
    await withFeatures(BOTH, (features) => trainOnTheFly(features, jobsOf(through)));
    const out = folder();
    await expect(
      withFeatures(BOTH, (features) => {
        const blocks = features.blocks.bind(features);
        features.blocks = async function* (pass, first) {
          for await (const block of blocks(pass, first)) {
            if (pass === 2) block[1].values.fill(Number.NaN);
            yield block;
          }
        };
        return trainOnTheFly(features, jobsOf(out));
      }),
    ).rejects.toMatchObject({ code: 'E_SAE_DIVERGED' });
    const resumed = await withFeatures(BOTH, (features) =>
      trainOnTheFly(features, jobsOf(out, { resume: true })),
    );
    expect(resumed.map(({ status }) => status)).toEqual(['done', 'done']);
    for (const { tap } of BOTH) expect(filesOf(join(out, tap))).toEqual(filesOf(join(through, tap)));
  });

  it('replaces a broken image, so that every pass has as many rows', async () => {
    const place = folder();
    mkdirSync(join(place, 'a'));
    for (let i = 0; i < 6; i++)
      writeFileSync(join(place, 'a', `p${i}.jpg`), await jpegOf(randomPicture(SIZE, SIZE, i, true)));
    writeFileSync(join(place, 'a', 'p3.jpg'), 'no picture');
    const source = await openImageSource(place);
    const features = new OnTheFly(model, source, ALL, OPTIONS);
    for (const pass of [0, 1, 2]) {
      const rows = sortedRows(await batchesOf(features.source(0), { seed: 5, pass, batchRows: 50 }), 32);
      expect(rows).toHaveLength(6 * 64);
    }
    expect(features.broken.map(({ name }) => name)).toEqual([expect.stringContaining('p3.jpg')]);
    await features.close();
    source.close();
  });
});
