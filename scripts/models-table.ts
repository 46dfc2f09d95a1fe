/**
 * Writes the table of networks in docs/models.md from the registry and the logs of the proofs:
 *     npx tsx scripts/models-table.ts            rewrites the table
 *     npx tsx scripts/models-table.ts --check    exit status 1 where the table is not what they say
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { startEngine } from '../src/engine/start.js';
import { createModel } from '../src/models/createModel.js';
import { listModels, type ModelEntry } from '../src/models/index.js';

const DOCUMENT = new URL('../docs/models.md', import.meta.url);
const LOG = new URL('../docs/proof/networks-onnx.tsv', import.meta.url);
const BEGIN = '<!-- table: made by scripts/models-table.ts -->';
const END = '<!-- end of table -->';
const NOISE = new URL('../docs/proof/networks-noise.tsv', import.meta.url);
const TITLES = ['name', 'parameters', 'input', 'taps', 'top-1', 'goldens', 'noise', 'sums'];

/** Worst error of each logged case by the suite's name and the network's. */
function readLog(): ReadonlyMap<string, string> {
  const lines = readFileSync(LOG, 'utf8').trim().split('\n');
  return new Map(
    lines.map((line): [string, string] => {
      const [name, , error, tolerance, result] = line.split('\t');
      return [name, result === 'pass' ? `${error} of ${tolerance}` : 'FAILS'];
    }),
  );
}

/** What PyTorch's own float32 run was off by, in scores and gradient, by network. */
function readNoise(): ReadonlyMap<string, string> {
  const lines = readFileSync(NOISE, 'utf8').trim().split('\n').slice(1);
  return new Map(
    lines.map((line): [string, string] => {
      const [name, scores, gradient] = line.split('\t');
      return [name, Number(gradient) > Number(scores) ? gradient : scores];
    }),
  );
}

/** `layer1..layer4` for names that count on. */
function tapsOf(taps: readonly string[]): string {
  const runs: string[][] = [];
  const numberOf = (tap: string): [string, number] | null => {
    const match = /^(.*?)(\d+)$/.exec(tap);
    return match === null ? null : [match[1], Number(match[2])];
  };
  for (const tap of taps) {
    const run = runs[runs.length - 1];
    const [before, now] = [run === undefined ? null : numberOf(run[run.length - 1]), numberOf(tap)];
    if (before !== null && now !== null && before[0] === now[0] && now[1] === before[1] + 1) run.push(tap);
    else runs.push([tap]);
  }
  return runs
    .map((run) => (run.length < 3 ? run.join(', ') : `${run[0]} .. ${numberOf(run[run.length - 1])?.[1]}`))
    .join(', ');
}

function row(
  entry: ModelEntry,
  log: ReadonlyMap<string, string>,
  noise: ReadonlyMap<string, string>,
): string {
  const model = createModel(entry.name, { weights: 'zero' });
  const cells = [
    `\`${entry.name}\``,
    model.countParameters().toLocaleString('en'),
    entry.inputSize.join(' x '),
    tapsOf(model.spec.taps),
    entry.published === null ? '' : `${entry.published.top1} %`,
    log.get(`big nets compiled ${entry.name}`) ?? 'not run',
    noise.get(entry.name) ?? '',
    entry.bcos ? (log.get(`big ledgers ${entry.name}`)?.split(' ')[0] ?? 'not run') : 'standard',
  ];
  model.dispose();
  return `| ${cells.join(' | ')} |`;
}

await startEngine({ engine: 'cpu' });
const log = readLog();
const noise = readNoise();
const rows = listModels()
  .filter(
    ({ name, general, family }) => !general && !name.startsWith('cifar10') && !/^bcosified/.test(family),
  )
  .map((entry) => row(entry, log, noise));
const table = [`| ${TITLES.join(' | ')} |`, `| ${TITLES.map(() => '---').join(' | ')} |`, ...rows].join('\n');
const document = readFileSync(DOCUMENT, 'utf8');
const [start, end] = [document.indexOf(BEGIN) + BEGIN.length, document.indexOf(END)];
const wanted = `${document.slice(0, start)}\n${table}\n${document.slice(end)}`;
if (!process.argv.includes('--check')) writeFileSync(DOCUMENT, wanted);
else if (wanted !== document) {
  process.stderr.write(
    'docs/models.md is not what the registry and the logs say: npx tsx scripts/models-table.ts\n',
  );
  process.exitCode = 1;
}
