import { cpSync, existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readCheckpointFile, writeCheckpointFile } from '../../../../src/train/checkpoint/format.js';
import { resolveSaeConfig } from '../../../../src/train/sae/config.js';
import type { FeatureSource } from '../../../../src/train/sae/features/featureSource.js';
import { MemoryFeatures } from '../../../../src/train/sae/features/memoryFeatures.js';
import { trainSae } from '../../../../src/train/sae/run/run.js';
import { useEngine } from '../../../engine.js';
import { temporaryFolders } from '../../../fixtures/pictures.js';
import { syntheticFeatures } from '../syntheticFeatures.js';

useEngine();
const folder = temporaryFolders();

const config = (changes: Record<string, unknown> = {}) =>
  resolveSaeConfig(
    {
      tap: 'layer1',
      latents: 24,
      k: 3,
      epochs: 3,
      batchRows: 100,
      learningRate: 0.01,
      logEvery: 1,
      ...changes,
    },
    'test',
  );

/** Features with the given rows. */
function rowsOf(rows: readonly (readonly number[])[]): Promise<FeatureSource> {
  const info = { channels: rows[0]?.length ?? 4, tap: 'layer1', arch: null, modelHash: null };
  const sink = new MemoryFeatures(info, rows.length);
  return sink.append(Float32Array.from(rows.flat())).then(() => sink.finish());
}

/** The same source with values changed on their way. */
function changed(source: FeatureSource, change: (values: Float32Array, pass: number) => void): FeatureSource {
  return {
    ...source,
    batches: async function* (order) {
      for await (const values of source.batches(order)) {
        change(values, order.pass);
        yield values;
      }
    },
  };
}

async function trained(features: FeatureSource, changes: Record<string, unknown> = {}) {
  const out = folder();
  const result = await trainSae(config(changes), features, { out });
  expect(result.status).toBe('done');
  const weights = readFileSync(join(out, 'sae', 'sae_weights.safetensors'));
  const lines = readFileSync(join(out, 'metrics.jsonl'), 'utf8').trim().split('\n');
  const metrics = lines.map((line) => JSON.parse(line) as Record<string, number>);
  for (const row of metrics) expect(Object.values(row).every(Number.isFinite)).toBe(true);
  return { out, result, weights, metrics };
}

describe('training goes through', () => {
  it('one row', async () => {
    const { result } = await trained(await rowsOf([[1, 2, 3, 4]]), { aux: { deadAfter: 0.5 } });
    expect(result).toMatchObject({ updates: 2, last: { varianceExplained: null } });
  });

  it('a last batch of one row, where the auxiliary loss has no variance', async () => {
    const features = await syntheticFeatures(101, 8, 10);
    const { metrics } = await trained(features, { aux: { deadAfter: 0.5 }, epochs: 4 });
    expect(metrics.map(({ update }) => update)).toEqual([1, 2, 3, 4, 5, 6, 7]);
    const single = metrics.filter(({ update }) => update % 2 === 0);
    expect(single.some(({ dead }) => dead > 0)).toBe(true);
    for (const row of single) expect(row.aux).toBe(0);
  });

  it('rows that are all equal: every choice of the largest is a tie', async () => {
    const rows = Array.from({ length: 250 }, () => [1, 1, 1, 1]);
    const [first, second] = [await trained(await rowsOf(rows)), await trained(await rowsOf(rows))];
    expect(second.weights).toEqual(first.weights);
  });

  it('rows of zeros between others, and an epoch of nothing else', async () => {
    const features = changed(await syntheticFeatures(300, 8, 10), (values, pass) =>
      values.fill(0, 0, pass === 2 ? values.length : 30 * 8),
    );
    await trained(features, { batchRows: 60 });
  });

  it('everything that does not fire being dead at once', async () => {
    const { metrics } = await trained(await syntheticFeatures(300, 8, 2), { k: 1, aux: { deadAfter: 1e-9 } });
    expect(Math.max(...metrics.map(({ dead }) => dead))).toBeGreaterThan(15);
  });

  it('k as large as the number of latents', async () => {
    await trained(await syntheticFeatures(300, 8, 5), { k: 24 });
  });
});

describe('training refuses', () => {
  it('k above the number of latents, no rows, and keys that make no sense', async () => {
    expect(() => config({ k: 25 })).toThrow(expect.objectContaining({ code: 'E_CONFIG' }));
    expect(() => config({ architecture: 'archetypal', init: 'data' })).toThrow(/start of an archetypal/);
    expect(() => config({ init: 'xavier' })).toThrow(expect.objectContaining({ code: 'E_CONFIG' }));
    await expect(trainSae(config(), await rowsOf([]), { out: folder() })).rejects.toMatchObject({
      code: 'E_SAE_FEATURES',
      message: expect.stringContaining('no features'),
    });
  });

  it('features that become NaN: it names the update and keeps the last checkpoint', async () => {
    const good = await syntheticFeatures(400, 8, 10);
    const through = folder();
    await trainSae(config(), good, { out: through });
    const out = folder();
    let batches = 0;
    const spoilt = changed(good, (values, pass) => {
      if (pass > 0 && ++batches === 6) values[17] = Number.NaN;
    });
    await expect(trainSae(config(), spoilt, { out })).rejects.toMatchObject({
      code: 'E_SAE_DIVERGED',
      message: expect.stringContaining('update 6'),
    });
    expect(existsSync(join(out, 'sae'))).toBe(false);
    expect(existsSync(join(out, 'run.lock'))).toBe(false);
    const resumed = await trainSae(config(), good, { out, resume: true });
    expect(resumed.status).toBe('done');
    const weights = (place: string) => readFileSync(join(place, 'sae', 'sae_weights.safetensors'));
    expect(weights(out)).toEqual(weights(through));
  });

  it('a second run in a folder while the first is at work, and leaves that alone', async () => {
    const features = await syntheticFeatures(300, 8, 10);
    const out = folder();
    const errors: unknown[] = [];
    const source: FeatureSource = {
      ...features,
      batches: async function* (order) {
        for await (const values of features.batches(order)) {
          await trainSae(config(), features, { out, resume: true }).catch((error) => errors.push(error));
          yield values;
        }
      },
    };
    expect((await trainSae(config(), source, { out })).status).toBe('done');
    expect(errors.length).toBeGreaterThan(8);
    for (const error of errors) expect(error).toMatchObject({ code: 'E_RUN_LOCKED' });
    expect(readdirSync(out)).not.toContain('run.lock');
  });

  it('a checkpoint with a number that is not finite or without a tensor', async () => {
    const features = await syntheticFeatures(200, 6, 8);
    const out = folder();
    await trainSae(config({ epochs: 1 }), features, { out });
    const content = readCheckpointFile(join(out, 'checkpoint.safetensors'));
    const spoilt = new Map(content.tensors);
    const moment = content.tensors.get('encoder.moment2');
    if (moment === undefined) throw new Error('no moment');
    spoilt.set('encoder.moment2', { ...moment, values: moment.values.slice().fill(Number.NaN, 3, 4) });
    const missing = new Map(content.tensors);
    missing.delete('counters');
    for (const [tensors, code, name] of [
      [spoilt, 'E_CHECKPOINT_NAN', 'encoder.moment2'],
      [missing, 'E_CHECKPOINT_MISMATCH', 'counters'],
    ] as const) {
      const copy = folder();
      cpSync(out, copy, { recursive: true });
      writeCheckpointFile(join(copy, 'checkpoint.safetensors'), { ...content, tensors });
      await expect(
        trainSae(config({ epochs: 1 }), features, { out: copy, resume: true }),
      ).rejects.toMatchObject({ code, message: expect.stringContaining(name) });
      expect(existsSync(join(copy, 'run.lock'))).toBe(false);
    }
  });

  it('to resume with a change of any key that touches the numbers, but not of the others', async () => {
    const features = await syntheticFeatures(200, 6, 8);
    const out = folder();
    await trainSae(config({ epochs: 1 }), features, { out });
    for (const [change, message] of [
      [{ init: 'normal' }, 'init: "linear" -> "normal"'],
      [{ aux: { alpha: 0 } }, 'aux.alpha: 0.03125 -> 0'],
      [{ features: { holdOut: 3 } }, 'features.holdOut: 50 -> 3'],
      [{ architecture: 'batchtopk' }, 'architecture: "topk" -> "batchtopk"'],
    ] as const) {
      await expect(
        trainSae(config({ epochs: 1, ...change }), features, { out, resume: true }),
      ).rejects.toMatchObject({ code: 'E_CONFIG_CHANGED', message: expect.stringContaining(message) });
    }
    const free = {
      evaluateEvery: 1,
      logEvery: 7,
      checkpointEvery: 9,
      dtype: 'float16',
      features: { workers: 3 },
    };
    const again = await trainSae(config({ epochs: 1, ...free }), features, { out, resume: true });
    expect(again.status).toBe('done');
  });
});
