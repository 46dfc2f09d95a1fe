import { existsSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, totalmem } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { BenchServer, median, quartiles, type Timing } from './server.js';

const HERE = import.meta.dirname;

/** A measured program: which process runs it and under which case name. */
interface Program {
  readonly label: string;
  readonly server: BenchServer;
  readonly caseOf: (benchCase: string) => string;
}

interface Row {
  readonly benchCase: string;
  readonly program: string;
  readonly ratio: number;
  readonly quartiles: readonly [number, number];
  readonly cpuRatio: number;
  readonly wallMs: number;
  readonly peakMb: number;
}

const CASES: readonly { name: string; rounds: number; wasmRounds: number }[] = [
  { name: 'resnet18/inference', rounds: 9, wasmRounds: 3 },
  { name: 'resnet18/class', rounds: 7, wasmRounds: 0 },
  { name: 'resnet18/concepts', rounds: 7, wasmRounds: 0 },
  { name: 'resnet18/train', rounds: 5, wasmRounds: 0 },
  { name: 'resnet20/inference', rounds: 9, wasmRounds: 3 },
  { name: 'resnet20/class', rounds: 7, wasmRounds: 0 },
  { name: 'resnet20/concepts', rounds: 7, wasmRounds: 0 },
  { name: 'resnet20/train', rounds: 5, wasmRounds: 2 },
  { name: 'sae', rounds: 5, wasmRounds: 0 },
];

const { values: options } = parseArgs({
  options: {
    python: { type: 'string', default: process.env.BENCH_PYTHON ?? 'python3' },
    threads: { type: 'string', default: String(Math.min(2, availableParallelism())) },
    cases: { type: 'string', default: '' },
    wasm: { type: 'boolean', default: false },
    out: { type: 'string' },
  },
});

function nodeServer(name: string, engine: string): BenchServer {
  const env = { BENCH_ENGINE: engine, BENCH_THREADS: options.threads };
  return new BenchServer(name, process.execPath, ['--import', 'tsx', join(HERE, 'serve.ts')], env);
}

const torch = new BenchServer(
  'torch',
  options.python,
  ['serve.py'],
  { OMP_WAIT_POLICY: 'passive', BENCH_THREADS: options.threads },
  join(HERE, 'torch'),
);
const onnx = nodeServer('onnx', 'onnx');
const wasm = options.wasm ? nodeServer('wasm', 'wasm') : null;

const reference: Program = { label: 'PyTorch NCHW', server: torch, caseOf: (name) => name };
const channelsLast: Program = {
  label: 'PyTorch channels_last',
  server: torch,
  caseOf: (name) => `${name}/channels_last`,
};
const compiled: Program = { label: 'fact-tfjs onnx', server: onnx, caseOf: (name) => name };

/** Lets the programs take turns; the first round only warms up. */
async function measure(name: string, programs: readonly Program[], rounds: number): Promise<Row[]> {
  const timings = programs.map((): Timing[] => []);
  for (let round = -1; round < rounds; round++) {
    for (const [i, program] of programs.entries()) {
      const timing = await program.server.run(program.caseOf(name));
      if (round >= 0) timings[i].push(timing);
    }
  }
  for (const program of programs) await program.server.drop();
  return programs.map((program, i) => {
    const ratios = timings[i].map((t, round) => timings[0][round].wallMs / t.wallMs);
    return {
      benchCase: name,
      program: program.label,
      ratio: median(ratios),
      quartiles: quartiles(ratios),
      cpuRatio: median(timings[i].map((t, round) => timings[0][round].cpuMs / t.cpuMs)),
      wallMs: median(timings[i].map((t) => t.wallMs)),
      peakMb: Math.max(...timings[i].map((t) => t.peakMb)),
    };
  });
}

function markdown(rows: readonly Row[]): string {
  const lines = [
    '| case | program | speed relative to PyTorch NCHW (quartiles) | by CPU time | wall ms (median) | peak memory of the process so far, MB |',
    '| --- | --- | --- | --- | --- | --- |',
  ];
  for (const r of rows) {
    const spread = `${r.quartiles[0].toFixed(2)}–${r.quartiles[1].toFixed(2)}`;
    lines.push(
      `| ${r.benchCase} | ${r.program} | ${r.ratio.toFixed(2)} (${spread}) | ${r.cpuRatio.toFixed(2)} | ${r.wallMs.toFixed(0)} | ${r.peakMb.toFixed(0)} |`,
    );
  }
  return lines.join('\n');
}

async function machine(): Promise<string> {
  const [mm, copy] = [await torch.run('rate/matmul'), await torch.run('rate/copy')];
  const matmul = [mm, await torch.run('rate/matmul'), await torch.run('rate/matmul')].map((t) => t.wallMs);
  const gflops = (2 * 2048 ** 3) / Math.min(...matmul) / 1e6;
  const copies = [copy, await torch.run('rate/copy'), await torch.run('rate/copy')].map((t) => t.wallMs);
  const gbs = (2 * 4 * 64 * 2 ** 20) / Math.min(...copies) / 1e6;
  const memory = (totalmem() / 2 ** 30).toFixed(0);
  return (
    `${cpus()[0].model}, ${availableParallelism()} cores, ${memory} GiB; Node ${process.versions.node}, PyTorch ${mm.version}, ` +
    `${options.threads} threads; load average before: ${loadavg()[0].toFixed(2)}; measured matrix-multiply rate ${gflops.toFixed(0)} GFLOP/s, ` +
    `copy rate ${gbs.toFixed(1)} GB/s (read + written), both by PyTorch`
  );
}

const lines = [await machine(), ''];
const rows: Row[] = [];
for (const { name, rounds, wasmRounds } of CASES.filter((c) => c.name.includes(options.cases))) {
  const programs = name === 'sae' ? [reference, compiled] : [reference, channelsLast, compiled];
  const measured = await measure(name, programs, rounds);
  if (wasm !== null && wasmRounds > 0) {
    const program = { label: 'fact-tfjs wasm (1 thread)', server: wasm, caseOf: (n: string) => n };
    measured.push((await measure(name, [reference, program], wasmRounds))[1]);
  }
  rows.push(...measured);
  console.error(markdown(measured).split('\n').slice(2).join('\n'));
}
lines.push(markdown(rows), '', `load average after: ${loadavg()[0].toFixed(2)}`);
console.log(lines.join('\n'));
if (options.out !== undefined && existsSync(join(options.out, '..')))
  writeFileSync(options.out, `${lines.join('\n')}\n`);
for (const server of [torch, onnx, wasm]) server?.close();
