import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { Random } from '../../../../src/core/random.js';
import { startEngine } from '../../../../src/engine/start.js';
import { createSae, type Sae } from '../../../../src/explain/sae.js';
import { auction } from '../../../../src/train/sae/eval/auction.js';
import { ConceptUse } from '../../../../src/train/sae/eval/conceptUse.js';
import { matchDirections } from '../../../../src/train/sae/eval/matchDirections.js';
import { compareSaes } from '../../../../src/train/sae/eval/stability.js';
import {
  dimensionsOf,
  mostUsedBasis,
  principalBasis,
  subspaceOverlap,
} from '../../../../src/train/sae/eval/subspaces.js';
import { type Directions, shuffledDirections } from '../../../../src/train/sae/eval/unitColumns.js';
import { testEngine } from '../../../engineName.js';

/** Random directions; with `of`, those of it in another order and with noise. */
function directions(count: number, channels: number, seed: number, of?: Directions, noise = 0): Directions {
  const random = new Random(seed);
  const order = new Random(seed, 1).permutation(count);
  const rows = new Float32Array(count * channels);
  for (let j = 0; j < count; j++) {
    const row = rows.subarray(j * channels, (j + 1) * channels);
    for (let c = 0; c < channels; c++)
      row[c] =
        of === undefined ? random.normal() : of.rows[order[j] * channels + c] + noise * random.normal();
    const length = Math.hypot(...row);
    for (let c = 0; c < channels; c++) row[c] /= length;
  }
  return { rows, count, channels };
}

const sumOf = (values: ArrayLike<number>): number => Array.from(values).reduce((sum, v) => sum + v, 0);

/** Largest sum of cosines over all ways to give each row its own column. */
function bestByTrying(a: Directions, b: Directions): number {
  const value = (i: number, j: number): number =>
    sumOf(
      a.rows.subarray(i * a.channels, (i + 1) * a.channels).map((v, c) => v * b.rows[j * b.channels + c]),
    );
  const best = (row: number, free: readonly number[]): number =>
    row === a.count
      ? 0
      : Math.max(
          ...free.map(
            (j) =>
              value(row, j) +
              best(
                row + 1,
                free.filter((f) => f !== j),
              ),
          ),
        );
  return best(
    0,
    Array.from({ length: b.count }, (_, j) => j),
  );
}

beforeAll(async () => {
  await startEngine({ engine: testEngine(), threads: 1 });
});

describe('matching', () => {
  it.each([
    [4, 4],
    [5, 6],
    [6, 6],
    [3, 7],
  ])('of %i and %i directions is the best of all ways, exactly and by auction', async (m, n) => {
    for (let seed = 0; seed < 5; seed++) {
      const [a, b] = [directions(m, 3, seed), directions(n, 3, 100 + seed)];
      const best = bestByTrying(a, b);
      const exact = await matchDirections(a, b);
      expect(exact).toMatchObject({ method: 'exact', gap: 0, pairs: m });
      expect(sumOf(exact.cosines)).toBeCloseTo(best, 5);
      const close = await matchDirections(a, b, { exactUpTo: 0, candidates: 2 });
      expect(close.method).toBe('bounded');
      expect(sumOf(close.cosines)).toBeLessThanOrEqual(best + 1e-5);
      expect(sumOf(close.cosines) + m * close.gap).toBeGreaterThanOrEqual(best - 1e-5);
      expect(close.gap).toBeLessThan(1e-3);
    }
  });

  it.each([
    ['noisy copies', directions(150, 16, 1), directions(150, 16, 2, directions(150, 16, 1), 0.05)],
    ['unrelated', directions(150, 16, 1), directions(150, 16, 3)],
    ['more on the right', directions(120, 16, 1), directions(200, 16, 3)],
    ['more on the left', directions(200, 16, 1), directions(120, 16, 3)],
    [
      'all alike',
      directions(60, 4, 1, directions(60, 4, 1), 1e-9),
      { ...directions(60, 4, 5), rows: new Float32Array(240).fill(0.5) },
    ],
  ])('by auction comes as near to the exact one as it says: %s', async (_, a, b) => {
    const exact = await matchDirections(a, b);
    const close = await matchDirections(a, b, { exactUpTo: 10, candidates: 8 });
    const [best, found] = [sumOf(exact.cosines), sumOf(close.cosines)];
    expect(found).toBeLessThanOrEqual(best + 1e-4);
    expect(found + close.pairs * close.gap).toBeGreaterThanOrEqual(best - 1e-4);
    expect(close.gap).toBeLessThan(2e-3);
    for (const { partner, pairs } of [exact, close]) {
      const taken = Array.from(partner).filter((j) => j >= 0);
      expect(taken).toHaveLength(pairs);
      expect(new Set(taken).size).toBe(pairs);
    }
  });

  it('finds every direction of a set in another order', async () => {
    const a = directions(80, 12, 1);
    const { cosines } = await matchDirections(a, directions(80, 12, 9, a));
    for (const cosine of cosines) expect(cosine).toBeCloseTo(1, 5);
  });

  it('an auction lets rows go that could get as much elsewhere', () => {
    const { columnOf, bound } = auction(
      {
        rows: 2,
        columns: 2,
        width: 1,
        indices: Int32Array.of(0, 0),
        values: Float32Array.of(0.9, 0.8),
        floor: Float32Array.of(0.1, 0.5),
      },
      1e-4,
    );
    expect(Array.from(columnOf)).toEqual([0, -1]);
    expect(bound).toBeCloseTo(0.9 + 0.5, 3);
  });

  it('chance: shuffled directions keep each channel and are of length 1', () => {
    const a = directions(50, 6, 1);
    const shuffled = shuffledDirections(a, 3);
    expect(shuffled.rows).not.toEqual(a.rows);
    for (let j = 0; j < 50; j++)
      expect(Math.hypot(...shuffled.rows.subarray(j * 6, (j + 1) * 6))).toBeCloseTo(1, 5);
    // A channel that is the same everywhere stays the largest one everywhere.
    const same = directions(20, 3, 1);
    for (let j = 0; j < 20; j++) same.rows[j * 3] = 5;
    const mixed = shuffledDirections(same, 3);
    for (let j = 0; j < 20; j++) expect(mixed.rows[j * 3]).toBeGreaterThan(0.9);
  });
});

describe('subspaces', () => {
  const CHANNELS = 12;
  /** Directions in the space of the first or the last channels. */
  const inside = (from: number, to: number, seed: number): Directions => {
    const { rows, count, channels } = directions(30, CHANNELS, seed);
    return { rows: rows.map((v, i) => (i % channels >= from && i % channels < to ? v : 0)), count, channels };
  };
  const ones = new Float64Array(30).fill(1);

  it.each([
    ['the same', inside(0, 4, 1), inside(0, 4, 2), 1],
    ['orthogonal', inside(0, 4, 1), inside(4, 8, 2), 0],
  ])('that are %s overlap by that', async (_, a, b, expected) => {
    const [p, q] = [await principalBasis(a, ones), await principalBasis(b, ones)];
    if (p === null || q === null) throw new Error('no basis');
    expect(subspaceOverlap(p.columns, q.columns, 4).overlap).toBeCloseTo(expected, 6);
    expect(p.energyShare[3] / p.energyShare[11]).toBeCloseTo(1, 6);
  });

  it('of all dimensions overlap wholly, random ones by r of C', () => {
    const overlaps = Array.from({ length: 60 }, (_, seed) => {
      const [p, q] = [1, 2].map((side) => mostUsedBasis(directions(30, CHANNELS, 2 * seed + side), ones));
      if (p === null || q === null) throw new Error('no basis');
      return subspaceOverlap(p, q, 3);
    });
    for (const { curve } of overlaps) expect(curve[curve.length - 1].overlap).toBeCloseTo(1, 9);
    expect(overlaps[0].random).toBe(3 / CHANNELS);
    expect(sumOf(overlaps.map(({ overlap }) => overlap)) / 60).toBeCloseTo(3 / CHANNELS, 1);
  });

  it('weigh concepts by their energy', async () => {
    const a = { rows: Float32Array.of(1, 0, 0, 0, 1, 0, 0, 0, 1), count: 3, channels: 3 };
    const basis = await principalBasis(a, [1, 91, 8]);
    expect(basis?.energyShare.map((v) => Number(v.toFixed(6)))).toEqual([0.91, 0.99, 1]);
    expect(Math.abs(basis?.columns.get(1, 0) ?? 0)).toBeCloseTo(1, 6);
    expect(basis === null ? 0 : dimensionsOf(basis)).toBe(1);
    expect(Math.abs(mostUsedBasis(a, [1, 91, 8])?.get(1, 0) ?? 0)).toBeCloseTo(1, 9);
    expect(await principalBasis(a, [0, 0, 0])).toBeNull();
    expect(mostUsedBasis(a, [0, 0, 0])).toBeNull();
  });
});

describe('an autoencoder against others', () => {
  const [CHANNELS, LATENTS] = [10, 24];
  const saeOf = ({ rows, count, channels }: Directions): Sae => {
    const decoder = new Float32Array(rows.length);
    for (let j = 0; j < count; j++)
      for (let c = 0; c < channels; c++) decoder[c * count + j] = 3 * rows[j * channels + c];
    return createSae({ channels, latents: count, k: 2, encoder: rows, decoder, tap: 'x' });
  };
  /** The first `alive` concepts are active once, with falling strength. */
  const useOf = (alive: number): ConceptUse => {
    const use = new ConceptUse(LATENTS, 'use');
    const indices = Int32Array.from({ length: alive }, (_, c) => c);
    use.addCode({ values: Float32Array.from(indices, (c) => 2 ** -c), indices }, 1);
    return use;
  };

  it('finds a reordered copy again, at any scale, and keeps no tensors', async () => {
    const own = directions(LATENTS, CHANNELS, 1);
    const [a, b] = [saeOf(own), saeOf(directions(LATENTS, CHANNELS, 2, own))];
    const before = tf.memory().numTensors;
    const all = useOf(LATENTS);
    const { stability, matchedCosine } = await compareSaes({ sae: a, use: all }, [
      { sae: b, use: all, path: 'b', hash: 'h' },
    ]);
    expect(tf.memory().numTensors).toBe(before);
    const [{ alive, all: whole }] = stability;
    expect(alive).toEqual(whole);
    expect(whole).toMatchObject({
      pairs: LATENTS,
      above90Percent: 100,
      above70Percent: 100,
      method: 'exact',
    });
    expect(whole.mean).toBeCloseTo(1, 6);
    expect(whole.random.mean).toBeLessThan(0.9);
    for (const cosine of matchedCosine) expect(cosine).toBeCloseTo(1, 6);
    a.dispose();
    b.dispose();
  });

  it('compares those that are in use apart', async () => {
    const own = directions(LATENTS, CHANNELS, 1);
    const rows = own.rows.slice();
    // The other's first concepts are the same, the rest, unused on both sides, are not.
    rows.set(directions(LATENTS, CHANNELS, 7).rows.subarray(6 * CHANNELS), 6 * CHANNELS);
    const [a, b] = [saeOf(own), saeOf({ ...own, rows })];
    const { stability, matchedCosine } = await compareSaes({ sae: a, use: useOf(6) }, [
      { sae: b, use: useOf(6), path: 'b', hash: 'h' },
    ]);
    expect(stability[0].alive).toMatchObject({ concepts: 6, otherConcepts: 6, pairs: 6 });
    expect(stability[0].alive?.mean).toBeCloseTo(1, 6);
    expect(stability[0].all.mean).toBeLessThan(0.95);
    expect(stability[0].mostUsed?.overlap).toBeCloseTo(1, 6);
    expect(matchedCosine.slice(0, 6).every((v) => v !== null && v > 0.999)).toBe(true);
    expect(matchedCosine.slice(6).every((v) => v === null)).toBe(true);
    const dead = await compareSaes({ sae: a, use: useOf(0) }, [
      { sae: b, use: useOf(6), path: 'b', hash: 'h' },
    ]);
    expect(dead.stability[0]).toMatchObject({ alive: null, mostUsed: null, principal: null });
    a.dispose();
    b.dispose();
  });

  it('stops where it is told to', async () => {
    const a = saeOf(directions(LATENTS, CHANNELS, 1));
    const controller = new AbortController();
    controller.abort();
    const other = { sae: a, use: useOf(3), path: 'b', hash: 'h' };
    await expect(compareSaes({ sae: a, use: useOf(3) }, [other], { signal: controller.signal })).rejects.toBe(
      controller.signal.reason,
    );
    a.dispose();
  });
});
