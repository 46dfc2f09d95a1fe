import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Random } from '../../src/core/random.js';
import { train } from '../../src/train/train.js';
import { useEngine } from '../engine.js';
import { tensorsHash, trainWithKills } from './killedRuns.js';
import { scratchFolder, tinyConfig, writeTinyData } from './tinyRun.js';

useEngine();
const scratch = scratchFolder();
const data = join(scratch.path, 'data');
beforeAll(() => writeTinyData(data));
afterAll(() => scratch.remove());

describe('a run killed with SIGKILL', () => {
  it('at random moments and within writes, and resumed, ends with the bits of an uninterrupted one', async () => {
    const config = tinyConfig({ epochs: 40, checkpoint: { everySteps: 1 }, log: { tensorboard: false } });
    const [whole, parts] = [join(scratch.path, 'whole'), join(scratch.path, 'parts')];
    await train(config, { dataDir: data, out: whole });
    const { kills } = await trainWithKills(config, data, parts, 4, new Random(Date.now()));
    expect(kills).toBeGreaterThan(0);
    const last = (out: string): string => join(out, 'checkpoints/last.safetensors');
    expect(tensorsHash(last(parts))).toBe(tensorsHash(last(whole)));
    expect(existsSync(join(parts, 'model/fact.json'))).toBe(true);
    expect(readdirSync(join(parts, 'checkpoints')).sort()).toEqual(['best.safetensors', 'last.safetensors']);
  });
});
