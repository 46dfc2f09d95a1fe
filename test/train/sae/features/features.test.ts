import { describe, expect, it } from 'vitest';
import { positionsPerImage } from '../../../../src/train/sae/features/collect.js';
import type { FeatureSource, PassOrder } from '../../../../src/train/sae/features/featureSource.js';
import { MemoryFeatures } from '../../../../src/train/sae/features/memoryFeatures.js';
import { normFactorOf } from '../../../../src/train/sae/features/normFactor.js';
import { drawPositions, positionBudget } from '../../../../src/train/sae/features/sampling.js';
import { useEngine } from '../../../engine.js';

useEngine();
const INFO = { channels: 3, tap: 'layer1', arch: 'resnet18', modelHash: null };
const VALUES = Float32Array.from({ length: 3 * 25 }, (_, i) => Math.sin(i));

async function passOf(source: FeatureSource, order: Partial<PassOrder> = {}): Promise<Float32Array[]> {
  const batches: Float32Array[] = [];
  for await (const batch of source.batches({ seed: 0, pass: 1, batchRows: 7, ...order })) batches.push(batch);
  return batches;
}

describe('features in memory', () => {
  async function memory(): Promise<FeatureSource> {
    const sink = new MemoryFeatures(INFO, 2);
    for (let i = 0; i < VALUES.length; i += 6) await sink.append(VALUES.slice(i, i + 6));
    return sink.finish();
  }

  it('come once each in every pass, in another order each time', async () => {
    const source = await memory();
    expect(source).toMatchObject({ ...INFO, rows: 25 });
    const seen = new Set<string>();
    for (const order of [{ pass: 1 }, { pass: 2 }, { pass: 1, seed: 5 }]) {
      const batches = await passOf(source, order);
      expect(batches.map(({ length }) => length / 3)).toEqual([7, 7, 7, 4]);
      const values = batches.flatMap((batch) => Array.from(batch));
      const firsts = values.filter((_, i) => i % 3 === 0);
      expect(firsts.sort((a, b) => a - b)).toEqual(
        Array.from(VALUES)
          .filter((_, i) => i % 3 === 0)
          .sort((a, b) => a - b),
      );
      seen.add(values.join());
    }
    expect(seen.size).toBe(3);
  });

  it('go on from any batch', async () => {
    const source = await memory();
    const all = await passOf(source);
    expect(await passOf(source)).toEqual(all);
    for (let start = 0; start <= 4; start++)
      expect(await passOf(source, { start })).toEqual(all.slice(start));
  });
});

describe('the choice of positions', () => {
  it('is all, a number, or the budget of the reference', () => {
    expect(positionsPerImage('all', 512, 784)).toBe(784);
    expect(positionsPerImage('budget', 512, 784)).toBe(72);
    expect(positionsPerImage(10, 512, 784)).toBe(10);
    expect(positionsPerImage(10, 512, 4)).toBe(4);
    expect(positionBudget(100_000, 49)).toBe(1);
  });

  it('takes positions without weight last, by place', () => {
    expect(Array.from(drawPositions([0, 2, 0, 1], [1, 1, 1, 1], 4))).toEqual([1, 3, 0, 2]);
    expect(Array.from(drawPositions([0, 0], [0, 1], 2))).toEqual([0, 1]);
  });
});

describe('measures', () => {
  it('norm factor: the root of the mean over batches of the mean squared norm', async () => {
    const sink = new MemoryFeatures({ ...INFO, channels: 1 }, 3);
    await sink.append(Float32Array.of(3, 1, 5));
    const source = await sink.finish();
    const [[a, b], [c]] = await passOf(source, { pass: 0, batchRows: 2 });
    expect(await normFactorOf(source, 0, 2)).toBeCloseTo(Math.sqrt(((a * a + b * b) / 2 + c * c) / 2), 6);
  });
});
