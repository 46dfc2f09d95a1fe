import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { formatConfig } from '../../src/train/config/resolved.js';
import { testEngine } from '../engineName.js';
import { scratchFolder, tinyConfig, writeTinyData } from '../train/tinyRun.js';

const scratch = scratchFolder();
const data = join(scratch.path, 'data');
const recipe = join(scratch.path, 'recipe.yaml');
const long = join(scratch.path, 'long.yaml');
const CLI = join(import.meta.dirname, 'trainCli.ts');
let runs = 0;
const newRun = (): string => join(scratch.path, `run${runs++}`);

beforeAll(async () => {
  await writeTinyData(data);
  writeFileSync(recipe, formatConfig(tinyConfig({ epochs: 2 })));
  writeFileSync(long, formatConfig(tinyConfig({ epochs: 100_000 })));
});
afterAll(() => scratch.remove());

interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

function start(args: readonly string[]): { child: ChildProcess; end: Promise<Ended> } {
  const child = spawn(process.execPath, ['--import', 'tsx', CLI, ...args, '--engine', testEngine()]);
  let [out, err] = ['', ''];
  child.stdout.on('data', (piece) => {
    out += piece;
  });
  child.stderr.on('data', (piece) => {
    err += piece;
  });
  const end = new Promise<Ended>((resolve) => child.once('close', (code) => resolve({ code, out, err })));
  return { child, end };
}

const fact = (...args: string[]): Promise<Ended> => start(args).end;

/** Number of characters of metrics that a run has written. */
function metricsLength(out: string): number {
  const path = join(out, 'metrics.jsonl');
  return existsSync(path) ? readFileSync(path, 'utf8').length : 0;
}

async function metricsBeyond(out: string, known: number): Promise<void> {
  while (metricsLength(out) <= known) await new Promise((resolve) => setTimeout(resolve, 20));
}

describe('fact train', () => {
  it('trains, prints one JSON value on standard output, and fact eval measures the network it leaves', async () => {
    const out = newRun();
    const trained = await fact(
      'train',
      '-c',
      recipe,
      '--data-dir',
      data,
      '--out',
      out,
      '--json',
      '--set',
      'epochs=6',
    );
    expect(trained.err).not.toContain('error');
    expect(trained.code).toBe(0);
    const result = JSON.parse(trained.out);
    expect(result.status).toBe('done');
    const evaluated = await fact('eval', out, '--data-dir', data, '--json', '--batch-size', '4');
    expect(evaluated.code).toBe(0);
    const accuracy = JSON.parse(evaluated.out);
    expect(accuracy.images).toBe(18);
    expect(accuracy.top1).toBeCloseTo(result.last.valTop1, 6);
    expect(accuracy.loss).toBeCloseTo(result.last.valLoss, 5);
    const best = await fact('eval', join(out, 'checkpoints/best.safetensors'), '--data-dir', data);
    expect(best.out).toMatch(/^18 images: top-1 [\d.]+ %, top-5 [\d.]+ %, loss [\d.]+\n$/);
  });

  it('stopped by Ctrl-C finishes its step, saves and exits with 130; SIGTERM with 143; --resume goes on', async () => {
    const out = newRun();
    for (const [signal, status] of [
      ['SIGINT', 130],
      ['SIGTERM', 143],
    ] as const) {
      const resume = existsSync(out) ? ['--resume'] : ['-c', long];
      const known = metricsLength(out);
      const { child, end } = start(['train', ...resume, '--data-dir', data, '--out', out]);
      await metricsBeyond(out, known);
      child.kill(signal);
      const { code, err, out: text } = await end;
      expect(code, err).toBe(status);
      expect(text).toContain('--resume');
      expect(existsSync(join(out, 'checkpoints/last.safetensors'))).toBe(true);
      expect(existsSync(join(out, 'run.lock'))).toBe(false);
    }
  });

  const usage: readonly [string, readonly string[], number, string][] = [
    ['without a recipe', ['train', '--data-dir', 'DATA'], 2, 'E_USAGE'],
    [
      'with a recipe that is not there',
      ['train', '-c', '/nowhere.yaml', '--data-dir', 'DATA'],
      2,
      'E_CONFIG',
    ],
    ['without data', ['train', '-c', 'RECIPE', '--out', 'OUT'], 2, 'E_CONFIG'],
    [
      'with data that are not there',
      ['train', '-c', 'RECIPE', '--data-dir', '/nowhere', '--out', 'OUT'],
      1,
      'E_DATA_MISSING',
    ],
    [
      'with an unknown key',
      ['train', '-c', 'RECIPE', '--data-dir', 'DATA', '--set', 'epohcs=1'],
      2,
      '"epochs"',
    ],
    [
      'resuming nothing',
      ['train', '--resume', '--out', 'OUT', '--data-dir', 'DATA'],
      1,
      'E_CHECKPOINT_MISSING',
    ],
    ['evaluating nothing', ['eval', '/nowhere', '--data-dir', 'DATA'], 1, 'E_INIT_MISSING'],
    ['evaluating without data', ['eval', '/nowhere'], 2, 'E_USAGE'],
  ];
  for (const [name, args, status, text] of usage) {
    it(`${name} exits with ${status}, in two lines and without a stack`, async () => {
      const real: Record<string, string> = { DATA: data, RECIPE: recipe, OUT: newRun() };
      const { code, err, out } = await fact(...args.map((arg) => real[arg] ?? arg), '--quiet');
      expect(code, err).toBe(status);
      expect(err).toContain(text);
      expect(err).not.toContain('    at ');
      expect(err.trim().split('\n').length).toBeLessThanOrEqual(2);
      expect(out).toBe('');
    });
  }

  it.skipIf(process.getuid?.() === 0)(
    'into a folder that may not be written to is refused with E_WRITE',
    async () => {
      const place = newRun();
      mkdirSync(place);
      chmodSync(place, 0o500);
      const { code, err } = await fact(
        'train',
        '-c',
        recipe,
        '--data-dir',
        data,
        '--out',
        join(place, 'run'),
      );
      expect(code).toBe(1);
      expect(err).toContain('E_WRITE');
    },
  );
});
