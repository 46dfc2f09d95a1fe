import { describe, expect, it } from 'vitest';
import { Random } from '../../../../src/core/random.js';
import { finalOrder } from '../../../../src/train/sae/store/finishStore.js';
import { pagesOf, passWindows, windowOrder } from '../../../../src/train/sae/store/passWindows.js';
import {
  bucketCount,
  imagesWithin,
  rowBytes,
  storeBytes,
} from '../../../../src/train/sae/store/storeBytes.js';

/** Pearson's statistic of counts that should be equal, in standard deviations above its mean. */
function deviation(counts: readonly number[]): number {
  const mean = counts.reduce((sum, n) => sum + n, 0) / counts.length;
  const statistic = counts.reduce((sum, n) => sum + (n - mean) ** 2 / mean, 0);
  const degrees = counts.length - 1;
  return (statistic - degrees) / Math.sqrt(2 * degrees);
}

function count<T>(all: readonly T[]): number[] {
  const counts = new Map<string, number>();
  for (const value of all) counts.set(String(value), (counts.get(String(value)) ?? 0) + 1);
  return [...counts.values()];
}

describe('the two-pass shuffle', () => {
  /** Four rows by random buckets, then by a random order within each: as the writer does it. */
  function shuffled(seed: number): number[] {
    const random = new Random(seed);
    const buckets: number[][] = [[], [], []];
    for (let row = 0; row < 4; row++) buckets[random.integer(3)].push(row);
    return buckets.flatMap((rows, bucket) => {
      const order = finalOrder(Float64Array.from(rows), new Random(seed, 1, bucket));
      return Array.from(order, (i) => rows[i]);
    });
  }

  it('gives every order equally often', () => {
    const counts = count(Array.from({ length: 24_000 }, (_, seed) => shuffled(seed)));
    expect(counts).toHaveLength(24);
    expect(deviation(counts)).toBeLessThan(4);
  });

  it('does not depend on the order in which rows came', () => {
    const keys = Float64Array.of(30, 10, 20, 5, 99);
    const placed = (values: Float64Array) => Array.from(finalOrder(values, new Random(3)), (i) => values[i]);
    expect(placed(keys.slice().reverse())).toEqual(placed(keys));
    expect(placed(keys).sort((a, b) => a - b)).toEqual([5, 10, 20, 30, 99]);
  });
});

describe('windows', () => {
  const pages = pagesOf([10, 7, 10], 4);

  it('cover every page once and hold what memory allows', () => {
    expect(pages.map(({ rows }) => rows)).toEqual([4, 4, 2, 4, 3, 4, 4, 2]);
    const windows = [...passWindows(pages, 9, 1, 2)];
    expect(windows.map(({ index }) => index)).toEqual(windows.map((_, i) => i));
    const chosen = windows.flatMap((window) => window.pages);
    expect(new Set(chosen)).toEqual(new Set(pages));
    expect(chosen).toHaveLength(pages.length);
    for (const { rows, pages: own } of windows) {
      expect(rows).toBeLessThanOrEqual(9);
      expect(own.reduce((sum, page) => sum + page.rows, 0)).toBe(rows);
    }
    // A page that is larger than a window has one of its own.
    expect([...passWindows(pages, 1, 1, 2)]).toHaveLength(pages.length);
  });

  it('have another order in each pass; any row may come at any place', () => {
    const places: number[] = [];
    for (let pass = 0; pass < 6000; pass++) {
      let place = 0;
      for (const window of passWindows(pages, 9, 0, pass)) {
        const rows = window.pages.flatMap((page) =>
          Array.from({ length: page.rows }, (_, i) => `${page.shard}/${page.first + i}`),
        );
        const at = windowOrder(window, 0, pass).findIndex((i) => rows[i] === '1/5');
        if (at >= 0) places.push(place + at);
        place += window.rows;
      }
    }
    expect(places).toHaveLength(6000);
    expect(count(places)).toHaveLength(27);
  });
});

describe('the disk that a store takes', () => {
  it('is spread over buckets that stay within a shard', () => {
    const tap = { rows: 1_231_167 * 72, channels: 512 };
    const buckets = bucketCount(tap, 'f32');
    const room = Math.floor((2 ** 28 - 512) / rowBytes(512, 'f32'));
    const mean = tap.rows / buckets;
    expect(mean + 8 * Math.sqrt(mean)).toBeLessThanOrEqual(room + 1);
    expect(mean + 8 * Math.sqrt(mean)).toBeGreaterThan(0.99 * room);
    expect(bucketCount({ rows: 100, channels: 4 }, 'f16')).toBe(1);
  });

  it('is as large as the reference says, and half of it in half precision', () => {
    const rows = { rows: 1_231_167 * 72, channels: 512 };
    const { bytes, peakBytes } = storeBytes([rows], 'f32');
    expect(bytes / (rows.rows * 512 * 4)).toBeCloseTo(1.004, 3);
    expect(peakBytes - bytes).toBe(2 ** 28);
    expect(storeBytes([rows], 'f16').bytes / bytes).toBeCloseTo(0.502, 3);
  });

  it('decides how many images a budget holds', () => {
    const taps = [
      { kept: 72, channels: 512 },
      { kept: 36, channels: 1024 },
    ];
    const amounts = (images: number) => taps.map(({ kept, channels }) => ({ rows: kept * images, channels }));
    const images = imagesWithin(20e9, 1_231_167, taps, 'f32');
    expect(storeBytes(amounts(images), 'f32').peakBytes).toBeLessThanOrEqual(20e9);
    expect(storeBytes(amounts(images + 1), 'f32').peakBytes).toBeGreaterThan(20e9);
    expect(imagesWithin(1e15, 1000, taps, 'f32')).toBe(1000);
    expect(imagesWithin(1000, 1000, taps, 'f32')).toBe(0);
  });
});
