/** Writes a store of a small network: `storeChild.ts DATA OUT INDEX COUNT`. Started by kill.slow.ts. */
import { startEngine } from '../../../../src/engine/start.js';
import { testEngine } from '../../../engineName.js';
import { smallModel } from '../../../explain/fixtures.js';
import { write } from './storeCase.js';

const [data, out, index, count] = process.argv.slice(2);
await startEngine({ engine: testEngine(), threads: 1 });
const run = await write(
  smallModel(),
  data,
  out,
  { shardBytes: 8192 },
  { share: { index: Number(index), count: Number(count) }, checkpointMs: 20, spillMemory: 8000 },
);
process.exitCode = run.status === 'done' ? 0 : 3;
