import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadSae } from '../../../../src/explain/sae.js';
import { resolveSaeConfig } from '../../../../src/train/sae/config.js';
import { trainSae } from '../../../../src/train/sae/run/run.js';
import type { AccuracyMeter } from '../../../../src/train/sae/run/saeRun.js';
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
      epochs: 5,
      batchRows: 100,
      learningRate: 0.01,
      logEvery: 1,
      ...changes,
    },
    'test',
  );

/** A meter that answers from a list, and what was measured: the update of each autoencoder. */
function meterOf(answers: readonly number[], onMeasure: (call: number) => void = () => {}) {
  const updates: number[] = [];
  const meter: AccuracyMeter = {
    measure: async (sae, signal) => {
      onMeasure(updates.length);
      signal?.throwIfAborted();
      updates.push(Number(sae.meta.training.updates));
      return answers[updates.length - 1];
    },
  };
  return { meter, updates };
}

function summaryOf(out: string): Record<string, string>[] {
  const [header, ...rows] = readFileSync(join(out, 'summary.csv'), 'utf8').trim().split('\n');
  return rows.map((row) => {
    const cells = row.split(',');
    return Object.fromEntries(header.split(',').map((name, i) => [name, cells[i]]));
  });
}

async function updatesOf(folder: string): Promise<unknown> {
  const sae = await loadSae(folder);
  sae.dispose();
  return sae.meta.training.updates;
}

describe('the accuracy of a run', () => {
  it('is measured every second epoch and at the end; best/ is the first of the best, last/ the last', async () => {
    const out = folder();
    const { meter, updates } = meterOf([30, 50, 50]);
    const result = await trainSae(config(), await syntheticFeatures(400, 8, 10), { out, accuracy: meter });
    // Four batches an epoch, and one update less than there are batches.
    expect(updates).toEqual([8, 16, 19]);
    expect(result.best).toEqual({ top1: 50, epoch: 4 });
    expect(summaryOf(out).map(({ splicedTop1 }) => splicedTop1)).toEqual(['', '30', '', '50', '50']);
    expect(await updatesOf(join(out, 'best'))).toBe(16);
    expect(await updatesOf(join(out, 'last'))).toBe(19);
    expect(await updatesOf(join(out, 'sae'))).toBe(19);
    const best = await loadSae(join(out, 'best'));
    expect(best.meta.normFactor).toBeGreaterThan(0);
    expect(best.meta.training.lastEpoch).toMatchObject({ epoch: 4, splicedTop1: 50 });
    best.dispose();
  });

  it('without images leaves last/ and no best/', async () => {
    const out = folder();
    const result = await trainSae(config(), await syntheticFeatures(400, 8, 10), { out });
    expect(result.best).toBeNull();
    expect(existsSync(join(out, 'best'))).toBe(false);
    expect(await updatesOf(join(out, 'last'))).toBe(19);
  });

  it('cut off while it is measured is measured on resumption, and nothing else is done twice', async () => {
    const features = await syntheticFeatures(400, 8, 10);
    const through = folder();
    await trainSae(config(), features, { out: through, accuracy: meterOf([30, 50, 40]).meter });
    for (const cut of [0, 1, 2]) {
      const out = folder();
      const controller = new AbortController();
      const { signal } = controller;
      const first = meterOf([30, 50, 40], (call) => {
        if (call === cut) controller.abort();
      });
      const stopped = await trainSae(config(), features, { out, accuracy: first.meter, signal });
      expect(stopped).toMatchObject({ status: 'stopped', updates: [8, 16, 19][cut], sae: null });
      const second = meterOf([30, 50, 40].slice(cut));
      const resumed = await trainSae(config(), features, { out, accuracy: second.meter, resume: true });
      expect(second.updates).toEqual([8, 16, 19].slice(cut));
      expect(resumed).toMatchObject({ status: 'done', best: { top1: 50, epoch: 4 } });
      for (const name of ['sae', 'best', 'last'])
        expect(readFileSync(join(out, name, 'cfg.json'))).toEqual(
          readFileSync(join(through, name, 'cfg.json')),
        );
      const numbers = (place: string) =>
        summaryOf(place).map(({ seconds, rowsPerSecond, dataWait, ...row }) => row);
      expect(numbers(out)).toEqual(numbers(through));
    }
  });

  it('may be measured at other epochs after resumption', async () => {
    const features = await syntheticFeatures(400, 8, 10);
    const out = folder();
    const controller = new AbortController();
    const first = meterOf([30], () => controller.abort());
    await trainSae(config(), features, { out, accuracy: first.meter, signal: controller.signal });
    const second = meterOf([10, 20, 30, 40]);
    const rare = config({ evaluateEvery: 1 });
    await trainSae(rare, features, { out, accuracy: second.meter, resume: true });
    expect(second.updates).toEqual([8, 12, 16, 19]);
  });
});

describe('the log of a run', () => {
  it('has all counters in summary.csv, and the same numbers as TensorBoard events', async () => {
    const out = folder();
    await trainSae(config({ k: 1 }), await syntheticFeatures(450, 8, 3), {
      out,
      accuracy: meterOf([1, 2, 3]).meter,
    });
    const rows = summaryOf(out);
    expect(Object.keys(rows[0])).toEqual([
      ...['epoch', 'update', 'learningRate', 'loss', 'l2', 'aux', 'l0', 'gradientNorm', 'dead', 'silent'],
      ...['tooActive', 'varianceExplained', 'splicedTop1', 'seconds', 'rowsPerSecond', 'dataWait'],
    ]);
    for (const row of rows) {
      expect(Number(row.l0)).toBeGreaterThan(0);
      expect(Number(row.l0)).toBeLessThanOrEqual(1);
      expect(Number(row.silent)).toBeGreaterThan(0);
      expect(Number(row.dataWait)).toBeLessThanOrEqual(1);
    }
    const [name] = readdirSync(join(out, 'events'));
    const scalars = scalarsOf(readFileSync(join(out, 'events', name)));
    expect(scalars.filter(({ tag }) => tag === 'epoch/dead').map(({ value }) => value)).toEqual(
      rows.map(({ dead }) => Number(dead)),
    );
    expect(scalars.filter(({ tag }) => tag === 'epoch/splicedTop1')).toEqual([
      { tag: 'epoch/splicedTop1', step: 10, value: 1 },
      { tag: 'epoch/splicedTop1', step: 20, value: 2 },
      { tag: 'epoch/splicedTop1', step: 24, value: 3 },
    ]);
    expect(scalars.filter(({ tag }) => tag === 'update/loss')).toHaveLength(24);
  });

  it('counts a concept that fires in 60 % of the rows as too active, and one that fires in none as silent', async () => {
    const out = folder();
    // One direction in every row: the concept nearest to it fires always.
    await trainSae(config({ k: 1, aux: { alpha: 0 } }), await syntheticFeatures(400, 8, 1), { out });
    for (const { tooActive, silent } of summaryOf(out)) {
      expect(Number(tooActive)).toBe(1);
      expect(Number(silent)).toBeGreaterThan(15);
    }
  });
});

/** Scalars of a TensorBoard event file: frames of length (8), checksum (4), message, checksum (4). */
function scalarsOf(file: Buffer): { tag: string; step: number; value: number }[] {
  const found: { tag: string; step: number; value: number }[] = [];
  for (let at = 0; at < file.length; ) {
    const length = Number(file.readBigUInt64LE(at));
    const message = file.subarray(at + 12, at + 12 + length);
    at += 16 + length;
    // wall_time (9 bytes), step (0x10 varint), summary (0x2a length { 0x0a length { 0x0a tag, 0x15 float } })
    if (message[9] !== 0x10) continue;
    let [step, i, shift] = [0, 10, 0];
    for (; ; i++, shift += 7) {
      step += (message[i] & 127) << shift;
      if (message[i] < 128) break;
    }
    const tagAt = message.indexOf(0x0a, message.indexOf(0x0a, i + 1) + 1);
    const tag = message.toString('utf8', tagAt + 2, tagAt + 2 + message[tagAt + 1]);
    found.push({ tag, step, value: message.readFloatLE(message.length - 4) });
  }
  return found;
}
