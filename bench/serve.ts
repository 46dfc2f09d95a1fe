/* Runs one benchmark case a line: reads "CASE" on standard input, answers with wall and CPU milliseconds as JSON. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import * as tf from '@tensorflow/tfjs';
import { type EngineName, startEngine } from '../src/engine/start.js';
import { type Case, prepareCase } from './cases.js';
import type { Timing } from './server.js';

await startEngine({
  engine: (process.env.BENCH_ENGINE ?? 'onnx') as EngineName,
  threads: Number(process.env.BENCH_THREADS ?? '2'),
});

/** Peak of the resident memory since the last `drop` where Linux counts so, else of the whole process. */
function peakMb(): number {
  const status = '/proc/self/status';
  const line = existsSync(status) ? /VmHWM:\s+(\d+)/.exec(readFileSync(status, 'utf8')) : null;
  return (line === null ? process.resourceUsage().maxRSS : Number(line[1])) / 1024;
}

function forgetPeak(): void {
  globalThis.gc?.();
  if (existsSync('/proc/self/clear_refs')) writeFileSync('/proc/self/clear_refs', '5');
}

const cases = new Map<string, Case>();

async function timed(name: string): Promise<Timing> {
  const known = cases.get(name) ?? prepareCase(name);
  cases.set(name, known);
  const [wall, cpu] = [performance.now(), process.cpuUsage()];
  const value = await known.run();
  const used = process.cpuUsage(cpu);
  return {
    wallMs: performance.now() - wall,
    cpuMs: (used.user + used.system) / 1e3,
    value,
    peakMb: peakMb(),
    version: tf.version_core,
  };
}

for await (const line of createInterface({ input: process.stdin })) {
  const name = line.trim();
  if (name === 'drop') {
    for (const known of cases.values()) known.dispose?.();
    cases.clear();
    forgetPeak();
    console.log(JSON.stringify({ dropped: true }));
  } else if (name.startsWith('cost ')) {
    console.log(JSON.stringify(prepareCase(name.slice('cost '.length)).cost?.() ?? null));
  } else {
    console.log(JSON.stringify(await timed(name)));
  }
}
process.exit(0);
