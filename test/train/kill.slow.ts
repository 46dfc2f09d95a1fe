import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Random } from '../../src/core/random.js';
import { train } from '../../src/train/train.js';
import { useEngine } from '../engine.js';
import { tensorsHash, trainWithKills } from './killedRuns.js';
import { scratchFolder, tinyConfig, writeTinyData } from './tinyRun.js';

const KILLS = 20;

useEngine();
const scratch = scratchFolder();
const data = join(scratch.path, 'data');
beforeAll(() => writeTinyData(data));
afterAll(() => scratch.remove());

describe('a run killed with SIGKILL', () => {
  it(`at ${KILLS} random points, half of them within a write, ends with the bits of an uninterrupted one`, async () => {
    const config = tinyConfig({
      epochs: 400,
      checkpoint: { everySteps: 1 },
      ema: { decay: 0.99, steps: 2 },
      accumulate: 2,
      mixing: { mixup: 0.2, cutmix: 0 },
      log: { tensorboard: false },
    });
    const [whole, parts] = [join(scratch.path, 'whole'), join(scratch.path, 'parts')];
    await train(config, { dataDir: data, out: whole });
    const { kills, midWrites } = await trainWithKills(config, data, parts, KILLS, new Random(Date.now()));
    console.log(`killed ${kills} times, ${midWrites} times within a write`);
    expect(kills).toBe(KILLS);
    expect(midWrites).toBeGreaterThan(0);
    const last = (out: string): string => join(out, 'checkpoints/last.safetensors');
    expect(tensorsHash(last(parts))).toBe(tensorsHash(last(whole)));
  }, 1_200_000);
});
