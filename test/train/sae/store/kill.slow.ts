import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Random } from '../../../../src/core/random.js';
import { temporaryFolders } from '../../../fixtures/pictures.js';
import { hashes, writePictures } from './storeCase.js';

const folder = temporaryFolders();
const CHILD = join(import.meta.dirname, 'storeChild.ts');
const IMAGES = 96;

/** Where a store stands. */
type Phase = 'nothing' | 'images' | 'shards' | 'done';

function phaseOf(out: string): Phase {
  if (existsSync(join(out, 'store.json'))) return 'done';
  if (existsSync(join(out, '.writing', 'shards'))) return 'shards';
  return existsSync(join(out, '.writing', '1-of-1', 'state.json')) ||
    existsSync(join(out, '.writing', '1-of-2', 'state.json'))
    ? 'images'
    : 'nothing';
}

/** Writes in processes of their own; kills them `afterMs` after the phase began, null: never. The phase they were in. */
async function attempt(
  data: string,
  out: string,
  count: number,
  begin: Phase,
  afterMs: number | null,
): Promise<Phase> {
  const children = Array.from({ length: count }, (_, i) =>
    spawn(process.execPath, ['--import', 'tsx', CHILD, data, out, String(i + 1), String(count)], {
      stdio: ['ignore', 'ignore', 'inherit'],
    }),
  );
  const ended = children.map((child) => new Promise<void>((resolve) => child.once('close', () => resolve())));
  let phase = phaseOf(out);
  if (afterMs !== null) {
    const order: readonly Phase[] = ['nothing', 'images', 'shards', 'done'];
    const isRunning = () => children.some(({ exitCode }) => exitCode === null);
    const hasBegun = () => order.indexOf(phaseOf(out)) >= order.indexOf(begin);
    while (isRunning() && !hasBegun()) await new Promise((resolve) => setTimeout(resolve, 1));
    await new Promise((resolve) => setTimeout(resolve, afterMs));
    phase = phaseOf(out);
    for (const child of children) child.kill('SIGKILL');
  }
  await Promise.all(ended);
  return phase;
}

describe('a store whose processes are killed by SIGKILL', () => {
  const data = mkdtempSync(join(tmpdir(), 'fact-kill-'));
  beforeAll(() => writePictures(data, IMAGES, [3, 77]));
  afterAll(() => rmSync(data, { recursive: true, force: true }));

  it.each([1, 2])(
    'at random moments of each phase ends with the same bytes (%i processes)',
    async (count) => {
      const through = join(folder(), 'store');
      await attempt(data, through, 1, 'nothing', null);
      const expected = hashes(through);
      expect(Object.keys(expected).length).toBeGreaterThan(20);
      const random = new Random(count);
      const met = new Set<Phase>();
      const plan = [
        ['nothing', 400],
        ['images', 60],
        ['images', 300],
        ['images', 900],
        ['shards', 0],
        ['shards', 100],
        ['shards', 400],
      ] as const;
      const out = join(folder(), 'store');
      for (const [begin, window] of plan) {
        met.add(await attempt(data, out, count, begin, random.uniform(0, window)));
        if (phaseOf(out) === 'done') break;
      }
      await attempt(data, out, 1, 'nothing', null);
      expect(met).toContain('images');
      expect(met).toContain('shards');
      expect(hashes(out)).toEqual(expected);
      expect(readdirSync(out).sort()).toEqual(['layer2', 'layer3', 'store.json']);
    },
    580_000,
  );
});
