import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Random } from '../../../src/core/random.js';
import { temporaryFolders } from '../../fixtures/pictures.js';

const folder = temporaryFolders();
const CHILD = join(import.meta.dirname, 'trainSaeChild.ts');

/** Trains in a process of its own; kills it `afterMs` after training began, null: never. True where it was killed. */
async function train(out: string, afterMs: number | null): Promise<boolean> {
  const child = spawn(process.execPath, ['--import', 'tsx', CHILD, out], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  if (afterMs !== null) {
    const begun = () => existsSync(join(out, 'metrics.jsonl'));
    while (child.exitCode === null && !begun()) await new Promise((resolve) => setTimeout(resolve, 5));
    await new Promise((resolve) => setTimeout(resolve, afterMs));
    child.kill('SIGKILL');
  }
  await ended;
  return child.exitCode !== 0;
}

describe('an autoencoder run killed by SIGKILL', () => {
  it('at random moments and resumed ends with the bits of an uninterrupted run', async () => {
    const through = join(folder(), 'run');
    expect(await train(through, null)).toBe(false);
    const expected = readFileSync(join(through, 'sae', 'sae_weights.safetensors'));
    const out = join(folder(), 'run');
    const random = new Random(2);
    let kills = 0;
    for (let attempt = 0; attempt < 20; attempt++) {
      if (!(await train(out, random.uniform(0, 1200)))) break;
      kills++;
    }
    if (!existsSync(join(out, 'sae'))) expect(await train(out, null)).toBe(false);
    expect(kills).toBeGreaterThan(2);
    expect(readFileSync(join(out, 'sae', 'sae_weights.safetensors'))).toEqual(expected);
    expect(readFileSync(join(out, 'metrics.jsonl'))).toEqual(readFileSync(join(through, 'metrics.jsonl')));
    expect(readdirSync(out).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  }, 600_000);
});
