/**
 * What reading, converting and inspecting a large checkpoint costs, beside reading its bytes: npx tsx bench/checkpoints.ts FILE.pth
 * [folder for targets]. Each command runs in a process of its own; times are wall clock of the work alone and of the whole
 * process, memory is the peak of resident pages that are the process's own or the file's.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const [file, where = tmpdir()] = process.argv.slice(2);
const root = fileURLToPath(new URL('..', import.meta.url));
const folder = mkdtempSync(join(where, 'fact-bench-'));
const at = (name: string): string => join(folder, name);

interface Measured {
  readonly workMs: number;
  readonly wallMs: number;
  readonly peakMb: number;
}

/** Runs a piece of module code `work` in a fresh process; the compiled package is used where it is built. */
function measure(prepare: string, work: string): Measured {
  const code = `
    ${prepare}
    const start = performance.now();
    ${work}
    const workMs = performance.now() - start;
    console.log(JSON.stringify({ workMs, peakMb: process.resourceUsage().maxRSS / 1024 }));`;
  const start = performance.now();
  const printed = execFileSync(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', code], {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const wallMs = performance.now() - start;
  return { ...(JSON.parse(printed.trim().split('\n').at(-1) ?? '') as Measured), wallMs };
}

function best(times: number, run: () => Measured): Measured {
  const all = Array.from({ length: times }, run);
  return all.reduce((a, b) => (b.workMs < a.workMs ? b : a));
}

const bytes = statSync(file).size;
const engine = `
  const { startEngine } = await import('./src/engine/start.ts');
  await startEngine({ engine: 'cpu' });`;
const readAll = (path: string): Measured =>
  best(3, () =>
    measure(`const { readFileSync } = await import('node:fs');`, `readFileSync(${JSON.stringify(path)});`),
  );
const convert = (source: string, target: string): Measured =>
  best(3, () =>
    measure(
      `${engine} const { convertCheckpoint } = await import('./src/convert/convertCheckpoint.ts');`,
      `await convertCheckpoint(${JSON.stringify(source)}, ${JSON.stringify(target)}, { force: true });`,
    ),
  );

const rows: [string, Measured, Measured][] = [];
const row = (name: string, measured: Measured, reading: Measured): void => {
  rows.push([name, measured, reading]);
  const ratio = (measured.workMs / reading.workMs).toFixed(2);
  const memory = ((measured.peakMb * 2 ** 20) / bytes).toFixed(2);
  console.log(
    `${name.padEnd(34)} ${measured.workMs.toFixed(0).padStart(6)} ms  ${ratio.padStart(6)} x reading  peak ${measured.peakMb.toFixed(0).padStart(5)} MB (${memory} x the file)`,
  );
};

console.log(`${file}: ${(bytes / 1e6).toFixed(0)} MB`);
const reading = readAll(file);
row('read the bytes (readFileSync)', reading, reading);
row('.pth -> network', convert(file, at('network')), reading);
row('.pth -> .safetensors', convert(file, at('a.safetensors')), reading);
row('network -> .pth', convert(at('network'), at('b.pth')), reading);
const weights = readAll(at('network/weights.bin'));
row('read weights.bin', weights, weights);
row(
  'load the network',
  best(3, () =>
    measure(
      `${engine} const { loadModel } = await import('./src/models/loadModel.ts');`,
      `await loadModel(${JSON.stringify(at('network'))});`,
    ),
  ),
  weights,
);
row(
  'read the headers (fact inspect)',
  best(3, () =>
    measure(
      `const { readCheckpoint } = await import('./src/convert/readCheckpoint.ts');`,
      `await readCheckpoint(${JSON.stringify(file)});`,
    ),
  ),
  reading,
);
rmSync(folder, { recursive: true, force: true });
