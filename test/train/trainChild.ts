/** Trains in a process of its own, so that a test can kill it: `trainChild.ts CONFIG.json DATA OUT [resume]`. */
import { readFileSync } from 'node:fs';
import { startEngine } from '../../src/engine/start.js';
import { resolveConfig } from '../../src/train/config/load.js';
import { train } from '../../src/train/train.js';
import { testEngine } from '../engineName.js';

const [configPath, dataDir, out, resume] = process.argv.slice(2);
await startEngine({ engine: testEngine(), threads: 1 });
const result = await train(resolveConfig(JSON.parse(readFileSync(configPath, 'utf8'))), {
  dataDir,
  out,
  resume: resume === 'resume',
});
process.stdout.write(JSON.stringify(result));
