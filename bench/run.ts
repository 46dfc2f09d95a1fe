/* The driver: cases, rounds, ratios, table. See README.md. */
import { writeFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, totalmem } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { GraphCost } from '../src/engine/onnx/cost.js';
import { type BenchCase, selectCases } from './selection.js';
import { BenchServer, median, quartiles, type Timing } from './server.js';

const HERE = import.meta.dirname;
/** Rounds of a case, however short or long one takes. */
const ROUNDS = { least: 3, most: 15 } as const;

/** A measured program: which process runs it and under which case name. */
interface Program {
  readonly label: string;
  readonly server: () => BenchServer;
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

const { values: options } = parseArgs({
  options: {
    python: { type: 'string', default: process.env.BENCH_PYTHON ?? 'python3' },
    threads: { type: 'string', default: String(Math.min(2, availableParallelism())) },
    cases: { type: 'string', default: '' },
    quick: { type: 'boolean', default: false },
    all: { type: 'boolean', default: false },
    seconds: { type: 'string', default: '8' },
    'channels-last': { type: 'boolean', default: false },
    'torch-compile': { type: 'boolean', default: false },
    separate: { type: 'boolean', default: false },
    wasm: { type: 'boolean', default: false },
    tensorflow: { type: 'boolean', default: false },
    out: { type: 'string' },
  },
});

function nodeServer(name: string, engine: string): BenchServer {
  const env = { BENCH_ENGINE: engine, BENCH_THREADS: options.threads };
  const args = ['--expose-gc', '--import', 'tsx', join(HERE, 'serve.ts')];
  return new BenchServer(name, process.execPath, args, env);
}

function torchServer(): BenchServer {
  const env = { BENCH_THREADS: options.threads };
  return new BenchServer('torch', options.python, ['serve.py'], env, join(HERE, 'torch'));
}

const live = { torch: torchServer(), onnx: nodeServer('onnx', 'onnx') };
const wasm = options.wasm ? nodeServer('wasm', 'wasm') : null;
const tensorflow = options.tensorflow ? nodeServer('tensorflow', 'tensorflow') : null;

const reference: Program = { label: 'PyTorch NCHW', server: () => live.torch, caseOf: (name) => name };
const channelsLast: Program = {
  label: 'PyTorch channels_last',
  server: () => live.torch,
  caseOf: (name) => `${name}/channels_last`,
};
const torchCompile: Program = {
  label: 'PyTorch torch.compile',
  server: () => live.torch,
  caseOf: (name) => `${name}/compile`,
};
const compiled: Program = { label: 'fact-tfjs onnx', server: () => live.onnx, caseOf: (name) => name };

/** Lets the programs take turns for about the given time; the first round only warms up. */
async function measure(name: string, programs: readonly Program[], seconds: number): Promise<Row[]> {
  const timings = programs.map((): Timing[] => []);
  for (const program of programs) await program.server().run(program.caseOf(name));
  const start = performance.now();
  let rounds = 0;
  const isEnough = (): boolean =>
    rounds >= ROUNDS.most || (rounds >= ROUNDS.least && performance.now() - start > seconds * 1e3);
  for (; !isEnough(); rounds++) {
    for (const [i, program] of programs.entries())
      timings[i].push(await program.server().run(program.caseOf(name)));
  }
  for (const server of new Set(programs.map((program) => program.server()))) await server.drop();
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

function programsOf({ name, goal }: BenchCase): Program[] {
  const canChange = !name.startsWith('sae/');
  const canCompile = goal !== null && name.startsWith('resnet18/1/') && /inference|class/.test(name);
  return [
    reference,
    ...(options['channels-last'] && canChange ? [channelsLast] : []),
    ...(options['torch-compile'] && canCompile ? [torchCompile] : []),
    compiled,
  ];
}

function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(header), line(header.map(() => '---')), ...rows.map(line)].join('\n');
}

function speedCells(r: Row): string[] {
  const spread = `${r.quartiles[0].toFixed(2)}–${r.quartiles[1].toFixed(2)}`;
  return [
    r.benchCase,
    r.program,
    `${r.ratio.toFixed(2)} (${spread})`,
    r.cpuRatio.toFixed(2),
    r.wallMs.toFixed(r.wallMs < 10 ? 1 : 0),
    r.peakMb.toFixed(0),
  ];
}

interface Rates {
  /** Operations a second of matrix products. */
  readonly product: number;
  /** Bytes a second, read and written. */
  readonly copy: number;
}

/** What a case must compute and move, the time that the measured rates allow for it, and the measured time. */
function costCells(name: string, cost: GraphCost, ms: number, rates: Rates): string[] {
  const [product, move] = [(cost.flops / rates.product) * 1e3, (cost.productBytes / rates.copy) * 1e3];
  return [
    name,
    (cost.flops / 1e9).toFixed(2),
    (cost.productBytes / 1e6).toFixed(0),
    (cost.bytes / 1e6).toFixed(0),
    product.toFixed(1),
    move.toFixed(1),
    ((cost.bytes / rates.copy) * 1e3).toFixed(1),
    ms.toFixed(1),
    `${((Math.max(product, move) / ms) * 100).toFixed(0)} %`,
  ];
}

async function best(run: () => Promise<Timing>): Promise<Timing> {
  const timings = [await run(), await run(), await run(), await run()];
  return timings.reduce((a, b) => (a.wallMs < b.wallMs ? a : b));
}

async function machine(): Promise<{ rates: Rates; text: string }> {
  const product = await best(() => live.torch.run('rate/matmul'));
  const copy = await best(() => live.torch.run('rate/copy'));
  await live.torch.drop();
  const rates = {
    product: (2 * 2048 ** 3) / (product.wallMs / 1e3),
    copy: (2 * 4 * 64 * 2 ** 20) / (copy.wallMs / 1e3),
  };
  const memory = (totalmem() / 2 ** 30).toFixed(0);
  const text =
    `${cpus()[0].model}, ${availableParallelism()} cores, ${memory} GiB; Node ${process.versions.node}, PyTorch ${product.version}, ` +
    `${options.threads} threads; load average before: ${loadavg()[0].toFixed(2)}; measured matrix-multiply rate ` +
    `${(rates.product / 1e9).toFixed(0)} GFLOP/s, copy rate ${(rates.copy / 1e9).toFixed(1)} GB/s (read + written), both by PyTorch`;
  return { rates, text };
}

const { rates, text } = await machine();
const rows: Row[] = [];
let family = '';
const costs: string[][] = [];
const goals: string[][] = [];
for (const benchCase of selectCases(options)) {
  const { name, goal } = benchCase;
  // Memory that one network's cases leave behind would count as the next one's.
  const [network] = name.split('/');
  if (rows.length > 0 && (options.separate || network !== family)) {
    for (const server of Object.values(live)) server.close();
    Object.assign(live, { torch: torchServer(), onnx: nodeServer('onnx', 'onnx') });
  }
  family = network;
  const measured = await measure(name, programsOf(benchCase), Number(options.seconds));
  const own = measured[measured.length - 1];
  if (wasm !== null && benchCase.onWasm) {
    const program = { label: 'fact-tfjs wasm (1 thread)', server: () => wasm, caseOf: (n: string) => n };
    measured.push((await measure(name, [reference, program], Number(options.seconds)))[1]);
  }
  if (tensorflow !== null) {
    const program = { label: 'fact-tfjs tensorflow', server: () => tensorflow, caseOf: (n: string) => n };
    measured.push((await measure(name, [reference, program], Number(options.seconds)))[1]);
  }
  rows.push(...measured);
  const cost = await live.onnx.ask(`cost ${name}`);
  if (cost !== null) costs.push(costCells(name, cost as GraphCost, own.wallMs, rates));
  if (goal !== null)
    goals.push([name, goal.toFixed(2), own.ratio.toFixed(2), own.ratio >= goal ? 'reached' : 'missed']);
  for (const row of measured) console.error(speedCells(row).join('  '));
}
const report = [
  text,
  '',
  table(
    [
      'case',
      'program',
      'speed relative to PyTorch NCHW (quartiles)',
      'by CPU time',
      'wall ms (median)',
      'peak MB',
    ],
    rows.map(speedCells),
  ),
  '',
  table(['case', 'goal', 'measured', ''], goals),
  '',
  table(
    [
      'case',
      'GFLOP of products',
      'MB they move',
      'MB all nodes move',
      'ms at the product rate',
      'ms at the copy rate (products)',
      'ms at the copy rate (all nodes)',
      'ms measured',
      'share',
    ],
    costs,
  ),
  '',
  `load average after: ${loadavg()[0].toFixed(2)}`,
].join('\n');
console.log(report);
if (options.out !== undefined) writeFileSync(options.out, `${report}\n`);
for (const server of [live.torch, live.onnx, wasm, tensorflow]) server?.close();
