import * as tf from '@tensorflow/tfjs';
import { networkPart } from '../../src/explain/networkPart.js';
import { runPart } from '../../src/explain/parts.js';
import { createSae, type Sae, tapChannels } from '../../src/explain/sae.js';
import { initialSaeWeights } from '../../src/layers/topKSae.js';
import type { BcosModel } from '../../src/models/bcosModel.js';
import { archetypalStart } from '../../src/train/sae/step/archetypal.js';
import { archetypePoints } from '../../src/train/sae/step/archetypes.js';
import { type SaeArchitecture, SaeTrainer } from '../../src/train/sae/step/trainer.js';
import { randomImage, SIZE } from './fixtures.js';

/** Features of random pictures at a tap, row-major [n, C]. */
function featuresOf(model: BcosModel, tap: string, pictures: number): Float32Array {
  return tf.tidy(() => {
    const pixels = Array.from({ length: pictures }, (_, i) => Float32Array.from(randomImage(100 + i).pixels));
    const images = tf.stack(pixels.map((p) => tf.tensor3d(p, [SIZE, SIZE, 3]))) as tf.Tensor4D;
    return runPart(networkPart(model.segment(null, tap)), tf.div(images, 255)).dataSync() as Float32Array;
  });
}

/** A small autoencoder of an architecture, trained for some updates on features of the model's tap. Caller disposes. */
export async function trainedSae(
  model: BcosModel,
  tap: string,
  architecture: SaeArchitecture,
  [latents, k] = [48, 4],
): Promise<Sae> {
  const channels = tapChannels(model, tap);
  const features = featuresOf(model, tap, 6);
  const normFactor = Math.sqrt((features.reduce((sum, v) => sum + v * v, 0) * channels) / features.length);
  const points = 20;
  const start =
    architecture === 'archetypal'
      ? archetypalStart(
          await archetypePoints(features, { channels, normFactor, points, choice: 'kmeans' }),
          channels,
          latents,
          1,
        )
      : initialSaeWeights(channels, latents, 1);
  const rows = features.length / channels;
  const trainer = new SaeTrainer(
    {
      architecture,
      channels,
      latents,
      k,
      points,
      learningRate: 0.003,
      schedule: { totalSteps: 40, warmupSteps: 4, decayStart: 20 },
      auxAlpha: 1 / 32,
      auxK: 8,
      deadAfterRows: 10 * rows,
      batchRows: rows,
      normFactor,
    },
    start,
  );
  const x = tf.tensor2d(features, [rows, channels]);
  try {
    for (let update = 0; update < 30; update++) await trainer.step(x);
    const { training, ...code } = trainer.code();
    return createSae({
      channels,
      latents,
      ...code,
      ...(await trainer.weights()),
      tap,
      modelHash: model.spec.weightsHash,
      meta: { arch: model.spec.arch, normFactor, trainedK: k, training },
    });
  } finally {
    x.dispose();
    trainer.dispose();
  }
}
