/* Runs one benchmark case a line: reads "CASE" on standard input, answers with wall and CPU milliseconds as JSON. */
import { createInterface } from 'node:readline';
import * as tf from '@tensorflow/tfjs';
import { type EngineName, startEngine } from '../src/engine/start.js';
import { prepareCase, type Run } from './cases.js';
import type { Timing } from './server.js';

await startEngine({
  engine: (process.env.BENCH_ENGINE ?? 'onnx') as EngineName,
  threads: Number(process.env.BENCH_THREADS ?? '2'),
});
const cases = new Map<string, Run>();
for await (const line of createInterface({ input: process.stdin })) {
  const name = line.trim();
  if (name === 'drop') {
    cases.clear();
    console.log(JSON.stringify({ dropped: true }));
    continue;
  }
  const run = cases.get(name) ?? prepareCase(name);
  cases.set(name, run);
  const [wall, cpu] = [performance.now(), process.cpuUsage()];
  const value = await run();
  const used = process.cpuUsage(cpu);
  const answer: Timing = {
    wallMs: performance.now() - wall,
    cpuMs: (used.user + used.system) / 1e3,
    value,
    peakMb: process.resourceUsage().maxRSS / 1024,
    version: tf.version_core,
  };
  console.log(JSON.stringify(answer));
}
process.exit(0);
