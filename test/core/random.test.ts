import { describe, expect, it } from 'vitest';
import { Random } from '../../src/core/random.js';

const draw = (random: Random, count: number): number[] =>
  Array.from({ length: count }, () => random.uint32());

describe('seeded random numbers', () => {
  it('are the same for the same keys, on every machine', () => {
    expect(draw(new Random(1, 2, 3), 50)).toEqual(draw(new Random(1, 2, 3), 50));
    expect(draw(new Random(42), 3)).toMatchInlineSnapshot(`
      [
        1836027899,
        1571134780,
        2362866595,
      ]
    `);
  });

  it('differ for keys that differ in any place, order, number or high bits', () => {
    const keys = [
      [],
      [0],
      [0, 0],
      [1],
      [0, 1],
      [1, 0],
      [1, 2, 3],
      [3, 2, 1],
      [2 ** 32],
      [2 ** 33],
      [2 ** 32 + 1],
    ];
    const streams = keys.map((k) => draw(new Random(...k), 4).join());
    expect(new Set(streams).size).toBe(keys.length);
  });

  it('go on from a saved state', () => {
    const random = new Random(9);
    draw(random, 17);
    const { state } = random;
    const rest = draw(random, 20);
    const other = new Random(1);
    other.state = JSON.parse(JSON.stringify(state));
    expect(draw(other, 20)).toEqual(rest);
  });

  it('fill [0, 1) evenly, with every bit used', () => {
    const random = new Random(3);
    const bins = new Array(20).fill(0);
    const ones = new Array(32).fill(0);
    const count = 40_000;
    for (let i = 0; i < count; i++) {
      const value = random.next();
      expect(value >= 0 && value < 1).toBe(true);
      bins[Math.floor(value * 20)]++;
      const word = random.uint32();
      for (let b = 0; b < 32; b++) ones[b] += (word >>> b) & 1;
    }
    // Chi-square with 19 degrees of freedom: 43.8 is passed once in 1000.
    const expected = count / 20;
    expect(bins.reduce((s, n) => s + (n - expected) ** 2 / expected, 0)).toBeLessThan(43.8);
    for (const n of ones) expect(Math.abs(n - count / 2)).toBeLessThan(4.5 * Math.sqrt(count / 4));
  });

  it('of first draws from neighbouring keys are not correlated', () => {
    const values = Array.from({ length: 20_000 }, (_, i) => new Random(5, i).next() - 0.5);
    let sum = 0;
    for (let i = 1; i < values.length; i++) sum += values[i] * values[i - 1];
    expect(Math.abs(sum / values.length)).toBeLessThan(4 / 12 / Math.sqrt(values.length));
  });

  it('give whole numbers below a bound evenly', () => {
    const random = new Random(4);
    const counts = new Array(7).fill(0);
    for (let i = 0; i < 14_000; i++) counts[random.integer(7)]++;
    for (const n of counts) expect(Math.abs(n - 2000)).toBeLessThan(200);
    expect(random.integer(1)).toBe(0);
  });

  it('give normal numbers of mean 0 and variance 1', () => {
    const random = new Random(6);
    const values = Array.from({ length: 20_000 }, () => random.normal());
    const mean = values.reduce((a, b) => a + b, 0) / values.length;
    const variance = values.reduce((a, b) => a + (b - mean) ** 2, 0) / values.length;
    expect(Math.abs(mean)).toBeLessThan(0.03);
    expect(Math.abs(variance - 1)).toBeLessThan(0.05);
    expect(values.every(Number.isFinite)).toBe(true);
  });

  it('give every order of three with the same chance', () => {
    const random = new Random(8);
    const counts = new Map<string, number>();
    for (let i = 0; i < 6000; i++) {
      const order = random.permutation(3).join();
      counts.set(order, (counts.get(order) ?? 0) + 1);
    }
    expect(counts.size).toBe(6);
    for (const n of counts.values()) expect(Math.abs(n - 1000)).toBeLessThan(150);
    expect([...new Random(1).permutation(0)]).toEqual([]);
  });
});
