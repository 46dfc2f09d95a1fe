import { join } from 'node:path';
import type * as tf from '@tensorflow/tfjs';
import { afterAll, describe, expect, it } from 'vitest';
import { initialSaeWeights } from '../../src/layers/topKSae.js';
import { MemoryFeatures } from '../../src/train/sae/features/memoryFeatures.js';
import { SaeTrainer, type SaeTrainerOptions } from '../../src/train/sae/step/trainer.js';
import { train } from '../../src/train/train.js';
import { namedWeights } from '../../src/train/weights.js';
import { useEngine } from '../engine.js';
import { scratchFolder, tinyConfig, writeTinyData } from './tinyRun.js';

useEngine();
const scratch = scratchFolder();
afterAll(() => scratch.remove());

describe('training refuses', () => {
  it('to resume with a data set of another size', async () => {
    const [small, large, out] = ['small', 'large', 'run'].map((name) => join(scratch.path, name));
    await writeTinyData(small, { train: 8, val: 2 });
    await writeTinyData(large, { train: 16, val: 2 });
    await train(tinyConfig({ epochs: 1 }), { dataDir: small, out });
    await expect(
      train(tinyConfig({ epochs: 1 }), { dataDir: large, out, resume: true }),
    ).rejects.toMatchObject({ code: 'E_DATA_CHANGED', message: expect.stringContaining('batches an epoch') });
  });

  it('a network with two weights of one name', () => {
    const weight = (originalName: string) => ({ originalName, read: () => ({}) });
    const network = {
      layers: [{ name: 'fc', weights: [weight('a/weight'), weight('b/weight')], trainableWeights: [] }],
    };
    expect(() => namedWeights(network as unknown as tf.LayersModel)).toThrowError(
      expect.objectContaining({ code: 'E_WEIGHT_NAMES', message: expect.stringContaining('fc.weight') }),
    );
  });

  it('features that no memory can hold', () => {
    const info = { tap: 'layer3', channels: 64, arch: null, modelHash: null };
    expect(() => new MemoryFeatures(info, 2 ** 50)).toThrowError(
      expect.objectContaining({ code: 'E_SAE_MEMORY', message: expect.stringContaining('layer3') }),
    );
  });

  it('the state of an autoencoder of another size', async () => {
    const made = (latents: number): SaeTrainer => {
      const options: SaeTrainerOptions = {
        channels: 4,
        latents,
        k: 2,
        batchRows: 8,
        learningRate: 0.01,
        schedule: { totalSteps: 2, warmupSteps: 0, decayStart: null },
        normFactor: 1,
        auxAlpha: 0,
        auxK: 1,
        deadAfterRows: 100,
      };
      return new SaeTrainer(options, initialSaeWeights(4, latents, 1));
    };
    const [small, large] = [made(8), made(16)];
    const state = await small.state();
    expect(() => large.restore(state)).toThrowError(
      expect.objectContaining({ code: 'E_SAE_CHECKPOINT', message: expect.stringContaining('encoder') }),
    );
    small.dispose();
    large.dispose();
  });
});
