/** Updates of an autoencoder of the sizes given, and a checkpoint; prints the peak of the resident memory. Started by plan.test.ts. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { Random } from '../../../../src/core/random.js';
import { startEngine } from '../../../../src/engine/start.js';
import { writeCheckpointFile } from '../../../../src/train/checkpoint/format.js';
import { startWeights } from '../../../../src/train/sae/step/inits.js';
import { SaeTrainer } from '../../../../src/train/sae/step/trainer.js';

const [channels, latents, k, batchRows] = process.argv.slice(2).map(Number);
await startEngine({ engine: 'onnx', threads: 1 });
const trainer = new SaeTrainer(
  {
    channels,
    latents,
    k,
    learningRate: 1e-3,
    schedule: { totalSteps: 10, warmupSteps: 0, decayStart: null },
    auxAlpha: 1 / 32,
    auxK: 256,
    deadAfterRows: 2 ** 30,
    batchRows,
    normFactor: 1,
  },
  startWeights('linear', { channels, latents, seed: 0 }),
);
const random = new Random(1);
const values = Float32Array.from({ length: batchRows * channels }, () => random.next() - 0.5);
const rows = tf.tensor2d(values, [batchRows, channels]);
for (let update = 0; update < 2; update++) await trainer.step(rows);
const folder = mkdtempSync(join(tmpdir(), 'fact-plan-'));
const { values: state } = await trainer.state();
const tensors = new Map(
  Object.entries(state).map(([name, kept]) => [name, { shape: [kept.length], values: kept }]),
);
writeCheckpointFile(join(folder, 'checkpoint.safetensors'), { state: {}, tensors });
rmSync(folder, { recursive: true });
await trainer.step(rows);
process.stdout.write(String(process.resourceUsage().maxRSS * 1024));
