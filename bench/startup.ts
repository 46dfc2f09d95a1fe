/**
 * Start-up time and memory of real processes: `npx tsx bench/startup.ts [--dist dist] [--rounds 7] [--image FILE]`.
 *
 * cold: nothing is cached, the network is loaded, traced and compiled. warm: an earlier process has kept the program.
 * Each process is plain `node` on the built package; times count from the start of the process, memory is its peak.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: {
    dist: { type: 'string', default: 'dist' },
    rounds: { type: 'string', default: '7' },
    image: { type: 'string', default: 'examples/photos/tabby/chelsea.jpg' },
  },
});
const root = resolve(import.meta.dirname, '..');
const dist = resolve(values.dist);
const image = resolve(values.image);
const rounds = Number(values.rounds);
const scratch = mkdtempSync(join(tmpdir(), 'fact-startup-'));

interface Sample {
  readonly [name: string]: number;
}

/** Runs one process; `words` follow the usage meter. */
function run(words: readonly string[], cache: string): Sample {
  const report = join(scratch, 'usage.json');
  const meter = join(root, 'bench', 'usage.mjs');
  execFileSync(process.execPath, ['--import', meter, ...words], {
    env: { ...process.env, FACT_CACHE: cache, FACT_USAGE: report },
    stdio: ['ignore', 'ignore', 'ignore'],
  });
  return JSON.parse(readFileSync(report, 'utf8')) as Sample;
}

function median(sorted: readonly number[]): number {
  return sorted[Math.floor(sorted.length / 2)];
}

function summary(samples: readonly Sample[]): string {
  return Object.keys(samples[0])
    .map((name) => {
      const sorted = samples.map((sample) => sample[name]).sort((a, b) => a - b);
      return `${name} ${median(sorted)} (${sorted[0]}-${sorted[sorted.length - 1]})`;
    })
    .join(', ');
}

const CASES: readonly (readonly [name: string, words: (out: string) => string[]])[] = [
  ['node, doing nothing', () => ['-e', '0']],
  ['tfjs, imported only', () => ['--input-type=module', '-e', "import '@tensorflow/tfjs'"]],
  ['library: ready, then one explanation', () => [join(root, 'bench', 'startupChild.mjs'), dist, image]],
  ['fact predict', () => [join(root, 'bench', 'startupMain.mjs'), dist, 'predict', image, '--quiet']],
  [
    'fact explain',
    (out) => [join(root, 'bench', 'startupMain.mjs'), dist, 'explain', image, '--quiet', '--out', out],
  ],
];

try {
  console.log(
    `${cpus()[0].model}, ${cpus().length} cores; Node ${process.version}; load ${loadavg()[0].toFixed(2)}`,
  );
  console.log(
    `median (least-most) of ${rounds} processes; ms since the start of the process, MB at its peak`,
  );
  for (const [name, words] of CASES) {
    const out = join(scratch, 'out');
    const warm = join(scratch, 'warm');
    const samples: { cold: Sample[]; warm: Sample[] } = { cold: [], warm: [] };
    if (name.startsWith('library') || name.startsWith('fact')) run(words(out), warm);
    for (let i = 0; i < rounds; i++) {
      if (name.startsWith('library') || name.startsWith('fact'))
        samples.cold.push(run(words(out), join(scratch, `cold${i}-${name.length}`)));
      samples.warm.push(run(words(out), warm));
    }
    if (samples.cold.length > 0) console.log(`${name}, cold: ${summary(samples.cold)}`);
    console.log(`${name}${samples.cold.length > 0 ? ', warm' : ''}: ${summary(samples.warm)}`);
  }
  console.log(`load after: ${loadavg()[0].toFixed(2)}`);
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
