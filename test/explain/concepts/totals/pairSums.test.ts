import { describe, expect, it } from 'vitest';
import { Random } from '../../../../src/core/random.js';
import { PairSums } from '../../../../src/explain/concepts/totals/pairSums.js';

describe('sums for pairs of concept and class', () => {
  it('are those of a plain table, also when the table has grown many times', () => {
    const random = new Random(3);
    const [concepts, classes] = [700, 90];
    const pairs = new PairSums(concepts, classes, 2);
    const plain = new Map<string, [number, number]>();
    for (let i = 0; i < 30_000; i++) {
      const [concept, group, value] = [
        random.integer(concepts),
        random.integer(classes),
        random.uniform(-1, 1),
      ];
      pairs.add(concept, group, [1, value]);
      const [count, sum] = plain.get(`${concept} ${group}`) ?? [0, 0];
      plain.set(`${concept} ${group}`, [count + 1, sum + value]);
    }
    expect(pairs.size).toBe(plain.size);
    let seen = 0;
    pairs.forEach((concept, group, sums) => {
      seen++;
      expect([...sums]).toEqual(plain.get(`${concept} ${group}`));
    });
    expect(seen).toBe(plain.size);
  });

  it('take memory for the pairs that occur only', () => {
    const pairs = new PairSums(60_000, 20_000, 4);
    for (let i = 0; i < 1000; i++) pairs.add(59_999, i % 10, [1, 1, 1, 1]);
    const { keys, sums } = pairs.toColumns();
    expect([keys.length, sums.length]).toEqual([10, 40]);
    expect([...sums]).toEqual(new Array(40).fill(100));
  });

  it('go on from what was kept, and refuse what does not fit', () => {
    const first = new PairSums(9, 9, 1);
    for (let i = 0; i < 5; i++) first.add(i, 8 - i, [i]);
    const again = new PairSums(9, 9, 1, first.toColumns());
    again.add(4, 4, [10]);
    expect([...again.toColumns().sums]).toEqual([0, 1, 2, 3, 14]);
    const bad = { keys: new Uint32Array(3), sums: new Float64Array(4) };
    for (const make of [() => new PairSums(9, 9, 1, bad), () => new PairSums(2 ** 20, 2 ** 20, 1)])
      expect(make).toThrow(expect.objectContaining({ code: 'E_CONCEPTS_STATE' }));
  });
});
