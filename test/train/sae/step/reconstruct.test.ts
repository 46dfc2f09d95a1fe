import * as tf from '@tensorflow/tfjs';
import { describe, expect, it } from 'vitest';
import { startWeights } from '../../../../src/train/sae/step/inits.js';
import { SaeTrainer } from '../../../../src/train/sae/step/trainer.js';
import { useEngine } from '../../../engine.js';

useEngine();
const [ROWS, LATENTS, CHANNELS] = [4096, 4096, 4];

describe('a reconstruction in training', () => {
  it.each(['topk', 'batchtopk'] as const)(
    'of %s never holds a table of rows by latents',
    async (architecture) => {
      const trainer = new SaeTrainer(
        {
          ...{ architecture, channels: CHANNELS, latents: LATENTS, k: 2, learningRate: 0.01 },
          schedule: { totalSteps: 10, warmupSteps: 0, decayStart: null },
          ...{ auxAlpha: 0, auxK: 8, deadAfterRows: 1e6, batchRows: ROWS, normFactor: 1 },
        },
        startWeights('normal', { channels: CHANNELS, latents: LATENTS, seed: 1 }),
      );
      const x = tf.randomNormal([ROWS, CHANNELS], 0, 1, 'float32', 1) as tf.Tensor2D;
      const { peakBytes, result } = await tf.profile(
        () => trainer.reconstruct(x) as unknown as tf.TensorContainer,
      );
      expect(peakBytes).toBeLessThan((ROWS * LATENTS * 4) / 2);
      tf.dispose([x, await (result as unknown as Promise<tf.Tensor2D>)]);
      trainer.dispose();
    },
  );
});
