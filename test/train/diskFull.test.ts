import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { FactError } from '../../src/core/errors.js';
import { train } from '../../src/train/train.js';
import { useEngine } from '../engine.js';
import { scratchFolder, tinyConfig, writeTinyData } from './tinyRun.js';

/** Bytes that still fit on the disk of this test. */
const disk = vi.hoisted(() => ({ free: Number.POSITIVE_INFINITY }));

vi.mock('node:fs', async (importOriginal) => {
  const fs = await importOriginal<typeof import('node:fs')>();
  return {
    ...fs,
    writeSync: (handle: number, bytes: Uint8Array, ...rest: number[]) => {
      disk.free -= bytes.length;
      if (disk.free < 0)
        throw Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
      return fs.writeSync(handle, bytes, ...rest);
    },
  };
});

useEngine();
const scratch = scratchFolder();
const data = join(scratch.path, 'data');
beforeAll(() => writeTinyData(data));
afterAll(() => {
  disk.free = Number.POSITIVE_INFINITY;
  scratch.remove();
});

describe('a full disk', () => {
  it('ends the run with E_WRITE and leaves the earlier checkpoint, from which it resumes', async () => {
    const out = join(scratch.path, 'run');
    const config = tinyConfig({ checkpoint: { everySteps: 1 }, log: { tensorboard: false } });
    const stop = new AbortController();
    stop.abort();
    await train(config, { dataDir: data, out, signal: stop.signal });
    const last = join(out, 'checkpoints/last.safetensors');
    const before = readFileSync(last);
    disk.free = before.length / 2 + 5000; // config.yaml and the logs still fit
    const error = (await train(config, { dataDir: data, out, resume: true }).catch((e) => e)) as FactError;
    expect(error.code).toBe('E_WRITE');
    expect(error.message).toContain('last.safetensors');
    expect(error.remedy).toContain('disk space');
    expect(readFileSync(last)).toEqual(before);
    expect(existsSync(join(out, 'run.lock'))).toBe(false);
    disk.free = Number.POSITIVE_INFINITY;
    expect((await train(config, { dataDir: data, out, resume: true })).status).toBe('done');
  });
});
