/**
 * The long fuzzing run: npx tsx test/convert/fuzzLong.ts [inputs a reader] [seed] [readers ...]. One line of JSON a reader on
 * standard output, progress on standard error.
 */
import { startEngine } from '../../src/engine/start.js';
import { fuzz, READERS, type Reader } from './fuzz.js';

const [inputs = '1000000', seed = '3', ...named] = process.argv.slice(2);
const readers = named.length > 0 ? (named as Reader[]) : READERS;
await startEngine({ engine: 'cpu' });
for (const reader of readers) {
  const start = Date.now();
  const result = await fuzz(reader, Number(inputs), Number(seed), (done) =>
    process.stderr.write(`${reader}: ${done} after ${Math.round((Date.now() - start) / 1000)} s\n`),
  );
  process.stdout.write(
    `${JSON.stringify({ ...result, seconds: Math.round((Date.now() - start) / 1000) })}\n`,
  );
}
