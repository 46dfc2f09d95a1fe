/*
 * Speeds of this machine, from the programs themselves at their real sizes: a few batches of random pictures through the
 * network, a few updates on random rows. Weights are random where no network is given: they cost the same.
 */
import * as tf from '@tensorflow/tfjs';
import sharp from 'sharp';
import { type Progress, silentProgress } from '../../../core/progress.js';
import { Random } from '../../../core/random.js';
import type { Batch } from '../../../data/batchLoader.js';
import { configureSharp, decodeImage } from '../../../data/decode.js';
import { evalTransform, toUnitRange } from '../../../data/evalTransform.js';
import { ConceptPass } from '../../../explain/concepts/pass.js';
import { createSae, type Sae, type TappedModel } from '../../../explain/sae.js';
import { TapReader } from '../features/tapReader.js';
import { startWeights } from '../step/inits.js';
import { SaeTrainer } from '../step/trainer.js';
import type { SettingRates } from './rates.js';
import type { PlanSetting } from './settings.js';

/** Pictures a batch, and batches of which the fastest counts; the first compiles and is left out. */
const PICTURES = 16;
const RUNS = 2;
/** Updates are measured at this many rows and at a quarter of them: a line through both gives any batch. */
const ROWS = 4096;

/** Seconds of the fastest of a few runs, after one that does not count. */
async function fastest(work: () => Promise<unknown>): Promise<number> {
  await work();
  let best = Number.POSITIVE_INFINITY;
  for (let run = 0; run < RUNS; run++) {
    const start = performance.now();
    await work();
    best = Math.min(best, (performance.now() - start) / 1000);
  }
  return best;
}

function randomBatch([height, width]: readonly [number, number], classes: number): Batch {
  const random = new Random(1);
  const images = Float32Array.from({ length: PICTURES * height * width * 3 }, () => random.next());
  return {
    images,
    labels: Int32Array.from({ length: PICTURES }, (_, i) => i % classes),
    samples: Int32Array.from({ length: PICTURES }, (_, i) => i),
    keys: Array.from({ length: PICTURES }, (_, i) => String(i)),
    size: PICTURES,
    index: 0,
    waitMs: 0,
  };
}

async function measureUpdates(setting: PlanSetting): Promise<SettingRates['update']> {
  const { channels, config } = setting;
  const { latents, k, aux, learningRate } = config;
  const rows = Math.min(ROWS, config.batchRows);
  const trainer = new SaeTrainer(
    {
      channels,
      latents,
      k,
      learningRate,
      schedule: { totalSteps: 1000, warmupSteps: 0, decayStart: null },
      auxAlpha: aux.alpha,
      auxK: aux.k,
      // Long enough that nothing dies: in training few do.
      deadAfterRows: 2 ** 30,
      batchRows: rows,
      normFactor: 1,
    },
    startWeights('linear', { channels, latents, seed: 0 }),
  );
  const random = new Random(2);
  const values = Float32Array.from({ length: rows * channels }, () => random.next() - 0.5);
  const timed = async (count: number): Promise<number> => {
    const data = tf.tensor2d(values.subarray(0, count * channels), [count, channels]);
    try {
      return await fastest(() => trainer.step(data));
    } finally {
      data.dispose();
    }
  };
  try {
    const few = Math.max(1, Math.floor(rows / 4));
    const [small, large] = [await timed(few), await timed(rows)];
    const perRow = Math.max(0, (large - small) / Math.max(1, rows - few));
    return { fixed: Math.max(0, large - perRow * rows), perRow };
  } finally {
    trainer.dispose();
  }
}

function randomSae({ channels, config, tap }: PlanSetting): Sae {
  const { latents, k } = config;
  const { encoder, decoder } = startWeights('linear', { channels, latents, seed: 0 });
  const meta = { arch: null, normFactor: null, training: {} };
  return createSae({ channels, latents, k, encoder, decoder, tap, modelHash: null, meta });
}

/** Speeds of one setting with its network, at `imageSize`. Throws FactError E_TAP_UNKNOWN. */
export async function measureSetting(
  model: TappedModel,
  setting: PlanSetting,
  imageSize: readonly [number, number],
): Promise<SettingRates> {
  const batch = randomBatch(imageSize, model.spec.options.numClasses);
  const shared = { imageSize, batchSize: PICTURES };
  const request = { tap: setting.tap, positions: setting.config.features.positions };
  const reader = new TapReader(model, [request], { ...shared, seed: 0 });
  const collect = await fastest(() => reader.read(batch)).finally(() => reader.dispose());
  const sae = randomSae(setting);
  const pass = new ConceptPass(model, sae, shared);
  const evaluate = await fastest(() => pass.run(batch)).finally(() => {
    pass.dispose();
    sae.dispose();
  });
  const update = await measureUpdates(setting);
  return { collect: PICTURES / collect, evaluate: PICTURES / evaluate, update };
}

/** Pictures a second that one thread decodes, resizes and crops as evaluation does: 500 x 375 JPEGs, as most of ImageNet are. */
export async function measureDecoding(count = 12, progress: Progress = silentProgress): Promise<number> {
  configureSharp();
  const random = new Random(3);
  const coarse = Uint8Array.from({ length: 64 * 48 * 3 }, () => random.integer(256));
  const jpeg = await sharp(coarse, { raw: { width: 64, height: 48, channels: 3 } })
    .resize(500, 375, { kernel: 'cubic', fit: 'fill' })
    .jpeg({ quality: 92 })
    .toBuffer();
  const one = async (): Promise<void> => {
    toUnitRange(evalTransform(await decodeImage(jpeg, 'drawn'), { resize: 256, crop: [224, 224] }));
  };
  await one();
  const start = performance.now();
  for (let i = 0; i < count; i++) {
    await one();
    progress.update(i + 1);
  }
  return (1000 * count) / (performance.now() - start);
}
