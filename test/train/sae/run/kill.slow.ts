import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Random } from '../../../../src/core/random.js';
import { startEngine } from '../../../../src/engine/start.js';
import { testEngine } from '../../../engineName.js';
import { scratchFolder } from '../../tinyRun.js';
import { begunIn, type Ended, fact, filesOf, writeCase } from './killed.js';

const scratch = scratchFolder();
const at = (...names: string[]) => join(scratch.path, ...names);
let made: { readonly model: string; readonly data: string };

beforeAll(async () => {
  await startEngine({ engine: testEngine(), threads: 1 });
  made = await writeCase(scratch.path);
  const stored = await fact([
    ...['features', made.model, '--tap', 'layer2', '--data-dir', made.data, '--out', at('store')],
    ...['--positions', '20', '--hold-out', '1', '--image-batch', '8', '--workers', '0', '--quiet'],
  ]);
  expect(stored.status, stored.stderr).toBe(0);
}, 400_000);
afterAll(() => scratch.remove());

const common = [
  '--tap',
  'layer2',
  '--latents',
  '64',
  '--k',
  '4',
  '--epochs',
  '24',
  '--batch',
  '64',
  '--quiet',
];
const images = ['--positions', '20', '--hold-out', '1', '--image-batch', '8', '--workers', '0'];

describe.each(['store', 'memory', 'on the fly'])('an autoencoder run from features %s', (kind) => {
  const argv = (out: string, ...more: string[]) => {
    const source = kind === 'store' ? ['--features', at('store')] : [...images];
    const fly = kind === 'on the fly' ? ['--on-the-fly'] : [];
    return [
      'train',
      made.model,
      '--data-dir',
      made.data,
      ...source,
      ...fly,
      ...common,
      '--out',
      out,
      ...more,
    ];
  };
  const through = at(`${kind} through`);
  const resumed = (out: string) => (existsSync(join(out, 'config.yaml')) ? ['--resume'] : []);

  beforeAll(async () => {
    const ended = await fact(argv(through));
    expect(ended.status, ended.stderr).toBe(0);
  }, 400_000);

  it('killed by SIGKILL at random moments and resumed ends with the files of an uninterrupted run', async () => {
    const out = at(`${kind} killed`);
    const random = new Random(kind.length);
    let kills = 0;
    let ended: Ended = { status: null, stderr: '' };
    while (kills < 7 && ended.status === null) {
      const afterMs = random.uniform(0, 900);
      ended = await fact(argv(out, ...resumed(out)), [{ signal: 'SIGKILL', afterMs }], begunIn(out));
      if (ended.status === null) kills++;
    }
    if (ended.status === null) ended = await fact(argv(out, ...resumed(out)));
    expect(ended.status, ended.stderr).toBe(0);
    expect(kills).toBeGreaterThan(1);
    expect(filesOf(out)).toEqual(filesOf(through));
    expect(readdirSync(out).filter((name) => /\.tmp$|\.replaced$|\.lock$/.test(name))).toEqual([]);
    rmSync(out, { recursive: true });
  }, 580_000);

  it('stopped by Ctrl-C saves and ends with 130, twice ends at once; both resume to the same files', async () => {
    const out = at(`${kind} stopped`);
    const once = await fact(argv(out), [{ signal: 'SIGINT', afterMs: 50 }], begunIn(out));
    expect(once.status).toBe(130);
    expect(once.stderr).toContain('stopping after this step');
    expect(existsSync(join(out, 'run.lock'))).toBe(false);
    const twice = await fact(
      argv(out, '--resume'),
      [
        { signal: 'SIGINT', afterMs: 20 },
        { signal: 'SIGINT', afterMs: 0 },
      ],
      begunIn(out),
    );
    expect(twice.status).toBe(130);
    const ended = await fact(argv(out, '--resume'));
    expect(ended.status, ended.stderr).toBe(0);
    expect(filesOf(out)).toEqual(filesOf(through));
  }, 580_000);
});
