/**
 * The feature store's memory and speed: `npx tsx bench/featureStore.ts [--gb 0.5] [--channels 512] [--dtype f32] [--folder FOLDER]`.
 *
 * Made-up rows go through the real writer and the real reader, each in a process of its own, once and ten times as
 * many. Printed are the peak resident memory of each process, and how fast a shuffled pass reads compared with reading
 * the same files from beginning to end. Before each reading the files are dropped from the page cache where the system
 * allows it (--cold, Linux as root); else both read from the cache.
 */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { StoreDtype } from '../src/train/sae/store/shardFile.js';
import { openStore } from '../src/train/sae/store/storeReader.js';
import { writeSynthetic } from '../test/train/sae/store/syntheticStore.js';

const { values } = parseArgs({
  options: {
    gb: { type: 'string', default: '0.5' },
    channels: { type: 'string', default: '512' },
    dtype: { type: 'string', default: 'f32' },
    folder: { type: 'string' },
    cold: { type: 'boolean', default: false },
    runs: { type: 'string', default: '3' },
    child: { type: 'string' },
    times: { type: 'string', default: '1' },
  },
});
const channels = Number(values.channels);
const dtype = values.dtype as StoreDtype;
const KEPT = 64;
const BATCH_ROWS = 4096;

interface Outcome {
  readonly seconds: number;
  readonly peakMiB: number;
  readonly bytes: number;
}

/** What a process of its own does, and its peak memory. */
async function child(task: string, folder: string): Promise<void> {
  const start = performance.now();
  let bytes = 0;
  if (task === 'nothing') bytes = 0;
  else if (task === 'write') {
    const rowBytes = channels * (dtype === 'f16' ? 2 : 4);
    const images = Math.round((Number(values.gb) * Number(values.times) * 1e9) / (rowBytes * KEPT));
    let state = 1;
    await writeSynthetic(folder, {
      images,
      kept: KEPT,
      channels,
      dtype,
      values: (_, target) => {
        for (let i = 0; i < target.length; i++) {
          state = (Math.imul(state, 1664525) + 1013904223) | 0;
          target[i] = state / 2 ** 31;
        }
      },
    });
    bytes = images * KEPT * rowBytes;
  } else if (task === 'pass') {
    const source = openStore(folder);
    for await (const batch of source.batches({ seed: 0, pass: 1, batchRows: BATCH_ROWS }))
      bytes += batch.length * (dtype === 'f16' ? 2 : 4);
    await source.close();
  } else bytes = await sequential(folder);
  const seconds = (performance.now() - start) / 1000;
  const peakMiB = process.resourceUsage().maxRSS / 1024;
  process.stdout.write(`${JSON.stringify({ seconds, peakMiB, bytes })}\n`);
}

/** Reads the shards from beginning to end with large reads, two in flight. */
async function sequential(folder: string): Promise<number> {
  const place = join(folder, 'layer1');
  const blocks = [0, 1].map(() => Buffer.allocUnsafe(2 ** 22));
  let bytes = 0;
  for (const name of readdirSync(place)) {
    const handle = await open(join(place, name), 'r');
    const { size } = await handle.stat();
    let at = 0;
    const lane = async (block: Buffer): Promise<void> => {
      while (at < size) {
        const from = at;
        at += block.length;
        bytes += (await handle.read(block, 0, block.length, from)).bytesRead;
      }
    };
    await Promise.all(blocks.map(lane));
    await handle.close();
  }
  return bytes;
}

async function run(task: string, folder: string, times: number): Promise<Outcome> {
  const words = ['--child', task, '--folder', folder, '--times', String(times)];
  const shared = ['--gb', values.gb, '--channels', values.channels, '--dtype', dtype];
  const script = fileURLToPath(import.meta.url);
  const started = spawn(process.execPath, ['--import', 'tsx', script, ...words, ...shared], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  started.stdout.on('data', (piece) => {
    text += piece;
  });
  const status = await new Promise((resolve) => started.once('close', resolve));
  if (status !== 0) throw new Error(`${task} ended with status ${status}`);
  return JSON.parse(text) as Outcome;
}

/** Drops the page cache; false where the system does not let us. */
function dropCache(): boolean {
  if (!values.cold) return false;
  spawnSync('sync');
  try {
    writeFileSync('/proc/sys/vm/drop_caches', '1');
    return true;
  } catch {
    return false;
  }
}

const rate = ({ bytes, seconds }: Outcome): number => bytes / seconds / 1e9;
const median = (numbers: readonly number[]): number =>
  [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)];

async function measure(times: number): Promise<{ write: Outcome; pass: Outcome }> {
  const folder = mkdtempSync(join(values.folder ?? tmpdir(), 'fact-store-'));
  try {
    const write = await run('write', folder, times);
    let isCold = false;
    const rounds: { readonly pass: Outcome; readonly line: Outcome }[] = [];
    for (let i = 0; i < Number(values.runs); i++) {
      isCold = dropCache();
      const line = await run('sequential', folder, times);
      dropCache();
      rounds.push({ line, pass: await run('pass', folder, times) });
    }
    const ratio = median(rounds.map(({ pass, line }) => rate(pass) / rate(line)));
    console.log(
      `${(write.bytes / 1e9).toFixed(2)} GB ${dtype}: written at ${rate(write).toFixed(2)} GB/s, peak ${write.peakMiB.toFixed(0)} MiB`,
    );
    for (const { pass, line } of rounds) {
      console.log(
        `  ${isCold ? 'cold' : 'warm'}: shuffled pass ${rate(pass).toFixed(2)} GB/s, peak ${pass.peakMiB.toFixed(0)} MiB; in sequence ${rate(line).toFixed(2)} GB/s`,
      );
    }
    console.log(`  pass / sequence, median of ${rounds.length}: ${ratio.toFixed(2)}`);
    return { write, pass: rounds[0].pass };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

if (values.child !== undefined) await child(values.child, values.folder ?? '');
else {
  const base = await run('nothing', tmpdir(), 1);
  console.log(`a process that does nothing: peak ${base.peakMiB.toFixed(0)} MiB`);
  const one = await measure(1);
  const ten = await measure(10);
  console.log(`writer's memory at 10x: ${(ten.write.peakMiB / one.write.peakMiB).toFixed(2)} of that at 1x`);
  console.log(`reader's memory at 10x: ${(ten.pass.peakMiB / one.pass.peakMiB).toFixed(2)} of that at 1x`);
}
