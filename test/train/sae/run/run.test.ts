import { cpSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { describe, expect, it } from 'vitest';
import { loadSae } from '../../../../src/explain/sae.js';
import { initialSaeWeights } from '../../../../src/layers/topKSae.js';
import { resolveSaeConfig } from '../../../../src/train/sae/config.js';
import type { FeatureSource } from '../../../../src/train/sae/features/featureSource.js';
import { trainSae } from '../../../../src/train/sae/run/run.js';
import { SaeTrainer } from '../../../../src/train/sae/step/trainer.js';
import { tensorGrowth, useEngine } from '../../../engine.js';
import { temporaryFolders } from '../../../fixtures/pictures.js';
import { syntheticFeatures } from '../syntheticFeatures.js';

useEngine();
const folder = temporaryFolders();

const config = (changes: Record<string, unknown> = {}) =>
  resolveSaeConfig(
    {
      tap: 'layer1',
      latents: 48,
      k: 4,
      epochs: 4,
      batchRows: 100,
      learningRate: 0.01,
      aux: { deadAfter: 0.4, k: 8 },
      logEvery: 1,
      checkpointEvery: 3,
      ...changes,
    },
    'test',
  );

/** A source that aborts after a number of batches were read. */
function aborting(
  source: FeatureSource,
  afterBatches: number,
): { source: FeatureSource; signal: AbortSignal } {
  const controller = new AbortController();
  let read = 0;
  const batches: FeatureSource['batches'] = async function* (order) {
    for await (const values of source.batches(order)) {
      if (++read === afterBatches) controller.abort();
      yield values;
    }
  };
  return { source: { ...source, batches }, signal: controller.signal };
}

/** The same source with other values. */
function refilled(source: FeatureSource, value: number): FeatureSource {
  return {
    ...source,
    batches: async function* (order) {
      for await (const values of source.batches(order)) yield values.fill(value);
    },
  };
}

/** Batch after batch of passes without end. */
async function* endless(source: FeatureSource, batchRows: number): AsyncGenerator<Float32Array> {
  for (let pass = 0; ; pass++) yield* source.batches({ seed: 0, pass, batchRows });
}

describe('a run', () => {
  it('learns synthetic concepts and leaves a folder that loads', async () => {
    const out = folder();
    const features = await syntheticFeatures(1050, 12, 20);
    const result = await trainSae(config({ epochs: 30 }), features, { out });
    expect(result.status).toBe('done');
    expect(result.updates).toBe(30 * 11 - 1);
    expect(result.last?.varianceExplained).toBeGreaterThan(0.85);
    const sae = await loadSae(result.sae!);
    expect(sae).toMatchObject({ channels: 12, latents: 48, k: 4, tap: 'layer1', modelHash: null });
    expect(sae.meta.training).toMatchObject({ rows: 1050, updates: 329 });
    const norms = tf.tidy(() => tf.norm(sae.decoder, 2, 0).dataSync());
    expect(norms).toBeNormwiseClose(new Float32Array(48).fill(1), 1e-6);
    sae.dispose();
    const summary = readFileSync(join(out, 'summary.csv'), 'utf8').trim().split('\n');
    expect(summary).toHaveLength(31);
    const metrics = readFileSync(join(out, 'metrics.jsonl'), 'utf8').trim().split('\n');
    expect(metrics).toHaveLength(329);
    expect(JSON.parse(metrics[0])).toMatchObject({ update: 1, learningRate: 0 });
  });

  it('counts no latent as dead before its time, however many rows that is', async () => {
    const features = await syntheticFeatures(300, 12, 20);
    const aux = { deadAfter: 3e9 / features.rows, k: 8 };
    const result = await trainSae(config({ epochs: 1, aux }), features, { out: folder() });
    expect(result.last).toMatchObject({ dead: 0, aux: 0 });
  });

  it('leaves the explained variance of features that do not vary empty', async () => {
    const out = folder();
    const varied = await syntheticFeatures(200, 8, 10);
    const result = await trainSae(config({ epochs: 1 }), refilled(varied, 1), { out });
    expect(result.last?.varianceExplained).toBeNull();
    const [header, row] = readFileSync(join(out, 'summary.csv'), 'utf8').split('\n');
    expect(row.split(',')[header.split(',').indexOf('varianceExplained')]).toBe('');
  });

  it('gives the same bytes when run twice, other ones with another seed', async () => {
    const features = await syntheticFeatures(350, 8, 10);
    const bytes = async (seed: number) => {
      const out = folder();
      await trainSae(config({ seed }), features, { out });
      return readFileSync(join(out, 'sae', 'sae_weights.safetensors'));
    };
    const first = await bytes(1);
    expect(await bytes(1)).toEqual(first);
    expect(await bytes(2)).not.toEqual(first);
  });

  it('stopped anywhere and resumed it ends with the same bits as without a stop', async () => {
    const features = await syntheticFeatures(350, 8, 10);
    const through = folder();
    await trainSae(config(), features, { out: through });
    const expected = ['sae/sae_weights.safetensors', 'sae/cfg.json', 'metrics.jsonl'].map((name) =>
      readFileSync(join(through, name)),
    );
    // Batch 4 of 4 is the short one; norm factor: 4 reads.
    for (const after of [5, 6, 8, 10, 13, 17]) {
      const out = folder();
      const { source, signal } = aborting(features, after);
      const stopped = await trainSae(config(), source, { out, signal });
      expect(stopped.status).toBe('stopped');
      expect(existsSync(join(out, 'sae'))).toBe(false);
      const resumed = await trainSae(config(), features, { out, resume: true });
      expect(resumed.status).toBe('done');
      expect(readFileSync(join(out, 'sae/sae_weights.safetensors'))).toEqual(expected[0]);
      expect(readFileSync(join(out, 'metrics.jsonl'))).toEqual(expected[2]);
    }
  });

  it('killed between checkpoints it goes on from the last one, and later log rows are dropped', async () => {
    const features = await syntheticFeatures(350, 8, 10);
    const through = folder();
    await trainSae(config(), features, { out: through });
    const out = folder();
    const { source, signal } = aborting(features, 9);
    await trainSae(config(), source, { out, signal });
    // As a kill leaves it: rows of updates that no checkpoint holds, the last one cut off.
    const metrics = join(out, 'metrics.jsonl');
    writeFileSync(metrics, `${readFileSync(metrics, 'utf8')}{"update":9,"loss":1}\n{"upd`);
    await trainSae(config(), features, { out, resume: true });
    expect(readFileSync(metrics)).toEqual(readFileSync(join(through, 'metrics.jsonl')));
  });

  it.each([
    { architecture: 'batchtopk', batchTopK: { thresholdStart: 4 } },
    { architecture: 'archetypal', archetypal: { points: 30 } },
    { init: 'data' },
    { init: 'orthogonal', initSeed: 7 },
  ])('of every kind (%j) stopped and resumed ends with the same bits as without a stop', async (changes) => {
    const features = await syntheticFeatures(350, 8, 10);
    const through = folder();
    await trainSae(config(changes), features, { out: through });
    const out = folder();
    const { source, signal } = aborting(features, 10);
    const stopped = await trainSae(config(changes), source, { out, signal });
    expect(stopped).toMatchObject({ status: 'stopped', updates: 6, sae: null });
    const resumed = await trainSae(config(changes), features, { out, resume: true });
    expect(resumed.status).toBe('done');
    for (const name of ['sae/sae_weights.safetensors', 'sae/cfg.json', 'metrics.jsonl'])
      expect(readFileSync(join(out, name))).toEqual(readFileSync(join(through, name)));
  });

  it('refuses a second run in its folder, another recipe or other features on resumption', async () => {
    const features = await syntheticFeatures(200, 6, 8);
    const out = folder();
    await trainSae(config({ epochs: 1 }), features, { out });
    await expect(trainSae(config({ epochs: 1 }), features, { out })).rejects.toMatchObject({
      code: 'E_RUN_EXISTS',
    });
    await expect(trainSae(config({ epochs: 2 }), features, { out, resume: true })).rejects.toMatchObject({
      code: 'E_CONFIG_CHANGED',
      message: expect.stringContaining('epochs: 1 -> 2'),
    });
    const others = await syntheticFeatures(200, 6, 8, 2);
    await expect(trainSae(config({ epochs: 1 }), others, { out, resume: true })).rejects.toMatchObject({
      code: 'E_SAE_FEATURES',
    });
    await expect(trainSae(config(), features, { out: folder(), resume: true })).rejects.toMatchObject({
      code: 'E_CHECKPOINT_MISSING',
    });
    await expect(trainSae(config({ tap: 'layer2' }), features, { out: folder() })).rejects.toMatchObject({
      code: 'E_SAE_FEATURES',
    });
  });

  it('refuses a damaged checkpoint', async () => {
    const features = await syntheticFeatures(200, 6, 8);
    const out = folder();
    await trainSae(config({ epochs: 1 }), features, { out });
    const path = join(out, 'checkpoint.safetensors');
    const bytes = readFileSync(path);
    for (const damaged of [bytes.subarray(0, 100), bytes.subarray(0, bytes.length - 4)]) {
      const copy = folder();
      cpSync(out, copy, { recursive: true });
      writeFileSync(join(copy, 'checkpoint.safetensors'), damaged);
      await expect(
        trainSae(config({ epochs: 1 }), features, { out: copy, resume: true }),
      ).rejects.toMatchObject({ code: 'E_CHECKPOINT_BROKEN' });
    }
  });

  it('says so where the features hold no numbers', async () => {
    const features = await syntheticFeatures(200, 6, 8);
    for (const value of [0, Number.NaN])
      await expect(trainSae(config(), refilled(features, value), { out: folder() })).rejects.toMatchObject({
        code: 'E_SAE_FEATURES',
      });
  });
});

describe('the trainer', () => {
  const [channels, latents] = [8, 24];
  const options = {
    channels,
    latents,
    k: 3,
    learningRate: 0.003,
    schedule: { totalSteps: 1000, warmupSteps: 0, decayStart: null },
    auxAlpha: 1 / 32,
    auxK: 16,
    deadAfterRows: 200,
    batchRows: 64,
    normFactor: 3,
  };

  /** A start whose second half of latents points away from all data: dead from the first row on. */
  function deadStart(features: Float32Array) {
    const start = initialSaeWeights(channels, latents, 0);
    const mean = new Float32Array(channels);
    for (let i = 0; i < features.length; i++) mean[i % channels] += features[i];
    for (let j = latents / 2; j < latents; j++) {
      for (let c = 0; c < channels; c++)
        start.encoder[j * channels + c] = 0.02 * start.encoder[j * channels + c];
    }
    return start;
  }

  async function deadAfterTraining(auxAlpha: number): Promise<number> {
    const features = await syntheticFeatures(512, channels, 12);
    const { value: all } = await endless(features, 512).next();
    const trainer = new SaeTrainer({ ...options, auxAlpha }, deadStart(all));
    let dead = 0;
    let steps = 0;
    for await (const values of endless(features, 64)) {
      const x = tf.tensor2d(values, [64, channels]);
      dead = (await trainer.step(x)).dead;
      x.dispose();
      if (++steps === 300) break;
    }
    trainer.dispose();
    return dead;
  }

  it('revives dead latents by the auxiliary loss, and not without it', async () => {
    const [without, withAux] = [await deadAfterTraining(0), await deadAfterTraining(1 / 32)];
    expect(without).toBeGreaterThan(6);
    expect(withAux).toBeLessThan(without / 2);
  });

  it('leaves no tensor behind, also when graphs change', async () => {
    const features = await syntheticFeatures(128, channels, 12);
    const growth = await tensorGrowth(async () => {
      const trainer = new SaeTrainer(options, initialSaeWeights(channels, latents, 0));
      // 52, 52 and 24 rows, again and again.
      let steps = 0;
      for await (const values of endless(features, 52)) {
        const x = tf.tensor2d(values, [values.length / channels, channels]);
        await trainer.step(x);
        x.dispose();
        if (++steps === 20) break;
      }
      await trainer.activity(true);
      trainer.restore(await trainer.state());
      trainer.dispose();
    });
    expect(growth).toBe(0);
  });

  it('does the same compiled and eager', async () => {
    const features = await syntheticFeatures(256, channels, 12);
    const weights = [];
    for (const compile of [true, false]) {
      const trainer = new SaeTrainer({ ...options, compile }, initialSaeWeights(channels, latents, 0));
      let steps = 0;
      for await (const values of endless(features, 64)) {
        const x = tf.tensor2d(values, [64, channels]);
        await trainer.step(x);
        x.dispose();
        if (++steps === 8) break;
      }
      weights.push(await trainer.weights());
      trainer.dispose();
    }
    expect(weights[0].encoder).toBeNormwiseClose(weights[1].encoder, 1e-5);
    expect(weights[0].decoder).toBeNormwiseClose(weights[1].decoder, 1e-5);
  });

  it('stops with the update where the loss is not finite, and changes nothing', async () => {
    const trainer = new SaeTrainer(options, initialSaeWeights(channels, latents, 0));
    const before = await trainer.state();
    const x = tf.fill([64, channels], Number.NaN) as tf.Tensor2D;
    await expect(trainer.step(x)).rejects.toMatchObject({
      code: 'E_SAE_DIVERGED',
      message: expect.stringContaining('update 1'),
    });
    expect(await trainer.state()).toEqual(before);
    tf.dispose(x);
    trainer.dispose();
  });
});
