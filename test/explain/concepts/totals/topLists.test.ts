import { describe, expect, it } from 'vitest';
import { Random } from '../../../../src/core/random.js';
import { type TopEntry, TopLists } from '../../../../src/explain/concepts/totals/topLists.js';

const entryOf = (sample: number, score: number): TopEntry => ({
  sample,
  predicted: sample % 7,
  contribution: score,
  share: 0.5,
  presence: 2 * score,
  peak: score / 2,
  position: sample % 3,
});

/** Offers of `images` images to `concepts` concepts, scores with many ties. */
function offers(
  images: number,
  concepts: number,
  seed: number,
): { concept: number; score: number; sample: number }[] {
  const random = new Random(seed);
  return Array.from({ length: images }, (_, sample) =>
    Array.from({ length: concepts }, (_, concept) => ({ concept, sample, score: random.integer(12) / 4 })),
  ).flat();
}

describe('the best images of each concept', () => {
  it.each([1, 3, 8])('are those of a sorted table, ties by number: %i places', (places) => {
    for (const seed of [1, 2, 3]) {
      const all = offers(60, 5, seed);
      const lists = new TopLists(5, places);
      for (const { concept, score, sample } of all) lists.offer(concept, score, entryOf(sample, score));
      for (let concept = 0; concept < 5; concept++) {
        const sorted = all
          .filter((one) => one.concept === concept)
          .sort((a, b) => b.score - a.score || a.sample - b.sample)
          .slice(0, places);
        expect(lists.entries(concept)).toEqual(sorted.map(({ sample, score }) => entryOf(sample, score)));
      }
    }
  });

  it('do not depend on the order of the offers', () => {
    const all = offers(40, 3, 9);
    const order = new Random(4).permutation(all.length);
    const [straight, mixed] = [new TopLists(3, 6), new TopLists(3, 6)];
    for (const { concept, score, sample } of all) straight.offer(concept, score, entryOf(sample, score));
    for (const i of order) mixed.offer(all[i].concept, all[i].score, entryOf(all[i].sample, all[i].score));
    for (let c = 0; c < 3; c++) expect(mixed.entries(c)).toEqual(straight.entries(c));
  });

  it('take the same room for any number of images', () => {
    const lists = new TopLists(4, 3);
    const bytes = (): number =>
      Object.values(lists.columns).reduce((sum, column) => sum + column.byteLength, 0);
    const before = bytes();
    for (const { concept, score, sample } of offers(500, 4, 5))
      lists.offer(concept, score, entryOf(sample, score));
    expect(bytes()).toBe(before);
    expect(lists.kept).toBe(12);
  });

  it('are refused from columns of other lengths', () => {
    const { columns } = new TopLists(4, 3);
    expect(() => new TopLists(4, 2, columns)).toThrow(expect.objectContaining({ code: 'E_CONCEPTS_STATE' }));
  });
});
