import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { loadSae } from '../../../../src/explain/sae.js';
import { resolveSaeConfig } from '../../../../src/train/sae/config.js';
import { trainSae } from '../../../../src/train/sae/run/run.js';
import { useEngine } from '../../../engine.js';
import { scratchFolder } from '../../tinyRun.js';
import { syntheticFeatures } from '../syntheticFeatures.js';

/** Which files a full disk refuses. */
const disk = vi.hoisted(() => ({ refused: null as RegExp | null, open: new Map<number, string>() }));
const full = () => Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });

vi.mock('node:fs', async (importOriginal) => {
  const fs = await importOriginal<typeof import('node:fs')>();
  return {
    ...fs,
    openSync: (path: string, ...rest: [string]) => {
      const handle = fs.openSync(path, ...rest);
      disk.open.set(handle, path);
      return handle;
    },
    writeSync: (handle: number, ...rest: [Uint8Array, number]) => {
      if (disk.refused?.test(disk.open.get(handle) ?? '')) throw full();
      return fs.writeSync(handle, ...rest);
    },
    appendFileSync: (path: string, text: string) => {
      if (disk.refused?.test(path)) throw full();
      fs.appendFileSync(path, text);
    },
  };
});

useEngine();
const scratch = scratchFolder();
afterAll(() => {
  disk.refused = null;
  scratch.remove();
});

describe('a full disk', () => {
  const config = resolveSaeConfig(
    { tap: 'layer1', latents: 24, k: 3, epochs: 4, batchRows: 100, learningRate: 0.01, logEvery: 1 },
    'test',
  );

  it.each([
    ['checkpoint', /checkpoint\.safetensors/],
    ['summary', /summary\.csv$/],
    ['metrics', /metrics\.jsonl$/],
    ['events', /tfevents/],
    ['last', /last.*cfg\.json/],
  ])('at %s ends the run with E_WRITE; with space it resumes to the same bits', async (name, file) => {
    const features = await syntheticFeatures(300, 8, 10);
    const through = join(scratch.path, `through-${name}`);
    await trainSae(config, features, { out: through });
    const out = join(scratch.path, name);
    let batches = 0;
    const source = {
      ...features,
      batches: async function* (order: Parameters<typeof features.batches>[0]) {
        for await (const values of features.batches(order)) {
          if (order.pass > 0 && ++batches === 5) disk.refused = file;
          yield values;
        }
      },
    };
    await expect(trainSae(config, source, { out })).rejects.toMatchObject({
      code: 'E_WRITE',
      message: expect.stringContaining('ENOSPC'),
    });
    disk.refused = null;
    expect(readdirSync(out).filter((entry) => entry.endsWith('.tmp') || entry === 'run.lock')).toEqual([]);
    expect(existsSync(join(out, 'sae'))).toBe(false);
    const resumed = await trainSae(config, features, { out, resume: true });
    expect(resumed.status).toBe('done');
    for (const file of ['sae/sae_weights.safetensors', 'metrics.jsonl'])
      expect(readFileSync(join(out, file))).toEqual(readFileSync(join(through, file)));
    (await loadSae(join(out, 'last'))).dispose();
  });
});
