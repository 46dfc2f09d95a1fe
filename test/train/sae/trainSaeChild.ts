/** Trains a small autoencoder in the folder given, going on with the run that is there. Started by kill.slow.ts. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { startEngine } from '../../../src/engine/start.js';
import { resolveSaeConfig } from '../../../src/train/sae/config.js';
import { trainSae } from '../../../src/train/sae/run.js';
import { testEngine } from '../../engineName.js';
import { syntheticFeatures } from './syntheticFeatures.js';

const out = process.argv[2];
await startEngine({ engine: testEngine(), threads: 1 });
const config = resolveSaeConfig(
  { tap: 'layer1', latents: 64, k: 4, epochs: 40, batchRows: 100, logEvery: 1, checkpointEvery: 3 },
  'test',
);
const features = await syntheticFeatures(550, 12, 20);
await trainSae(config, features, { out, resume: existsSync(join(out, 'config.yaml')) });
