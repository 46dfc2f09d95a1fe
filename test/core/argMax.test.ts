import { describe, expect, it } from 'vitest';
import { argMax } from '../../src/core/argMax.js';

describe('argMax', () => {
  it('finds the largest value, of equal ones the first', () => {
    expect(argMax([1, 5, 5, -2])).toBe(1);
    expect(argMax(Float32Array.of(-3, -1, -2))).toBe(1);
    expect(argMax([-Infinity, -Infinity])).toBe(0);
    expect(argMax([])).toBe(0);
  });

  it('looks at a part of the values and counts from its start', () => {
    const rows = [9, 1, 2, /* second row */ 0, 3, 1, /* third */ 7, 7, 8];
    expect([0, 3, 6].map((start) => argMax(rows, start, 3))).toEqual([0, 1, 2]);
    expect(argMax(rows, 6)).toBe(2);
  });

  it('never answers with NaN unless it comes first', () => {
    expect(argMax([1, Number.NaN, 2])).toBe(2);
    expect(argMax([Number.NaN, 2])).toBe(0);
  });
});
