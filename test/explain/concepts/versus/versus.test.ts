import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Random } from '../../../../src/core/random.js';
import { EditPass } from '../../../../src/explain/concepts/edit/editPass.js';
import { graphImages } from '../../../../src/explain/concepts/graph/graphImage.js';
import {
  chooseVersus,
  compareClasses,
  compareConcepts,
  smallestFlip,
} from '../../../../src/explain/concepts/versus/versus.js';
import { Confusions, compareBatch } from '../../../../src/explain/concepts/versus/versusDataset.js';
import { flipWords } from '../../../../src/explain/concepts/versus/versusPicture.js';
import type { Sae } from '../../../../src/explain/sae.js';
import type { BcosModel } from '../../../../src/models/bcosModel.js';
import { useEngine } from '../../../engine.js';
import { randomImage as imageOf, randomSae, smallModel } from '../../fixtures.js';

useEngine();

const SIZE = 16;
const LATENTS = 40;
const randomImage = (seed: number, trueClass: number | null = null) => imageOf(seed, trueClass, SIZE);

describe('one class against another', () => {
  let model: BcosModel;
  let sae: Sae;
  let pass: EditPass;
  const options = () => ({ spec: model.spec, tolerance: 1e-5 });

  beforeAll(() => {
    model = smallModel({ inputSize: SIZE, preprocessing: { resize: SIZE, crop: [SIZE, SIZE] } });
    sae = randomSae(model, 'layer2', LATENTS, 5, 2);
    pass = new EditPass(model, sae, { imageSize: [SIZE, SIZE], batchSize: 2 });
  });
  afterAll(() => {
    pass.dispose();
    sae.dispose();
    model.dispose();
  });

  it('adds up to the difference of the logits, and each side to its logit', async () => {
    const result = await compareClasses(pass, randomImage(1), { for: 1, versus: 4 }, options());
    expect(result.ledgers).toHaveLength(3);
    for (const ledger of result.ledgers) expect(ledger.relativeError).toBeLessThanOrEqual(1e-5);
    const sum = result.concepts.reduce((total, { difference }) => total + difference, 0);
    expect(sum).toBeCloseTo(result.for.logit - result.versus.logit, 5);
    expect(result.difference).toBeCloseTo(result.for.logit - result.versus.logit, 5);
    const shares = result.concepts.reduce((total, { share }) => total + Math.abs(share), 0);
    expect(shares).toBeCloseTo(1, 9);
  });

  it('is antisymmetric: A against B is the negative of B against A, exactly', async () => {
    const [ab, ba] = [
      await compareClasses(pass, randomImage(2), { for: 0, versus: 3 }, options()),
      await compareClasses(pass, randomImage(2), { for: 3, versus: 0 }, options()),
    ];
    expect(ba.difference).toBe(-ab.difference);
    expect(ba.concepts.map(({ concept, difference }) => [concept, -difference])).toEqual(
      ab.concepts.map(({ concept, difference }) => [concept, difference]),
    );
    expect(ba.concepts.map((c) => [c.contributionVersus, c.contributionFor])).toEqual(
      ab.concepts.map((c) => [c.contributionFor, c.contributionVersus]),
    );
    expect([ba.flip.winner, ba.flip.loser]).toEqual([ab.flip.winner, ab.flip.loser]);
    expect(ba.flip.predicted).toEqual(ab.flip.predicted);
  });

  it('names concepts whose removal flips the sum, and verifies it by true forward passes', async () => {
    const image = randomImage(3);
    const { flip, difference, for: a, versus: b } = await compareClasses(pass, image, {}, options());
    expect(difference).toBeGreaterThanOrEqual(0);
    expect([flip.winner, flip.loser]).toEqual([a.index, b.index]);
    expect(flip.predicted).not.toBeNull();
    expect(flip.predictedDifference).toBeLessThan(0);
    const without = async (concepts: readonly number[]) => {
      const factors = new Float32Array(LATENTS).fill(1);
      for (const concept of concepts) factors[concept] = 0;
      const [{ after }] = await pass.scores(graphImages(image), factors);
      return after[a.index] - after[b.index];
    };
    expect(flip.recomputedDifference).toBe(await without(flip.predicted ?? []));
    if (flip.recomputed !== null) {
      expect(await without(flip.recomputed)).toBeLessThan(0);
      expect(await without(flip.recomputed.slice(0, -1))).toBeGreaterThanOrEqual(0);
    }
  });

  it('verifies a set that is larger than what is tried one by one', async () => {
    // A linear network: 100 concepts add 0.01 each to class 0, a constant 0.305 to class 1.
    const linear = {
      latents: 100,
      tap: 'layer2',
      constants: ['norm'],
      scores: async (_: unknown, factors: Float32Array) => {
        const sum = factors.reduce((total, factor) => total + 0.01 * factor, 0);
        const row = (first: number) => Float32Array.of(first, 0.305, -1, -1, -1);
        return [{ alone: row(1), before: row(1), after: row(sum) }];
      },
      attribute: async (_: unknown, __: unknown, [target]: { for: number }[]) => [
        {
          before: target.for === 0 ? 1 : 0.305,
          held: 0,
          contributions: new Float32Array(100).fill(target.for === 0 ? 0.01 : 0),
          constants: Float32Array.of(target.for === 0 ? 0 : 0.305),
        },
      ],
    } as unknown as EditPass;
    const { flip } = await compareClasses(linear, randomImage(1), { for: 0, versus: 1 }, options());
    expect(flip.predicted).toHaveLength(70);
    expect(flip.recomputed).toEqual(flip.predicted);
    expect(flip.recomputedDifference).toBeLessThan(0);
    expect(flipWords(flip, (i) => `class ${i}`)[1]).toContain(
      'it flips, and the network then says basketball',
    );
  });

  it('counts confusions as their images one by one', async () => {
    const images = [randomImage(10), randomImage(11), randomImage(12), randomImage(13)];
    const labels = [0, 1, -1, 2];
    const confusions = new Confusions(model.spec, 1e-5);
    const expected = new Map<string, number[]>();
    for (let pair = 0; pair < 2; pair++) {
      const values = new Float32Array(2 * SIZE * SIZE * 3);
      const two = images.slice(2 * pair, 2 * pair + 2);
      two.forEach((image, i) => {
        values.set(graphImages(image).values, i * SIZE * SIZE * 3);
      });
      const batch = {
        images: values,
        size: 2,
        keys: two.map(({ name }) => name),
        samples: Int32Array.of(2 * pair, 2 * pair + 1),
      };
      const rows = await compareBatch(pass, batch, model.spec, (sample) => labels[sample]);
      for (const [i, row] of rows.entries()) {
        confusions.add(row);
        if (row.missed === null) continue;
        const one = await compareClasses(pass, two[i], { for: row.predicted, versus: row.label }, options());
        expect(row.missed.difference).toBeCloseTo(one.difference, 6);
        const key = `${row.label}/${row.predicted}`;
        expected.set(key, [...(expected.get(key) ?? []), one.difference]);
      }
    }
    const summary = confusions.result();
    expect(summary.images).toBe(4);
    expect(summary.missed).toBeGreaterThan(0);
    expect(summary.missed).toBeLessThan(4);
    expect(summary.holds).toBe(true);
    for (const { trueClass, predicted, images: count, difference } of summary.confusions) {
      const found = expected.get(`${trueClass.index}/${predicted.index}`) ?? [];
      expect(count).toBe(found.length);
      expect(difference).toBeCloseTo(found.reduce((a, b) => a + b, 0) / count, 6);
    }
  });
});

describe('the pair that is compared', () => {
  const scores = [1, 5, 3, 4];

  it('is what is asked for', () => {
    expect(chooseVersus(scores, 0, { for: 2, versus: 3 })).toEqual({ for: 2, versus: 3, reason: 'asked' });
  });
  it('is the answer against the true class of a missed image', () => {
    expect(chooseVersus(scores, 2, {})).toEqual({ for: 1, versus: 2, reason: 'misclassified' });
  });
  it('is the answer against the runner-up where it is right, or nothing is known', () => {
    expect(chooseVersus(scores, 1, {})).toEqual({ for: 1, versus: 3, reason: 'runner-up' });
    expect(chooseVersus(scores, null, {})).toEqual({ for: 1, versus: 3, reason: 'runner-up' });
  });
  it('sets a single class against the answer, and the answer against the runner-up', () => {
    expect(chooseVersus(scores, null, { for: 2 })).toMatchObject({ for: 2, versus: 1 });
    expect(chooseVersus(scores, null, { for: 1 })).toMatchObject({ for: 1, versus: 3 });
    expect(chooseVersus(scores, null, { versus: 2 })).toMatchObject({ for: 1, versus: 2 });
    expect(chooseVersus(scores, null, { versus: 1 })).toMatchObject({ for: 3, versus: 1 });
  });
});

describe('the smallest set that flips', () => {
  it('is no larger than any other, by trying all', () => {
    for (let seed = 0; seed < 40; seed++) {
      const random = new Random(5, seed);
      const values = Array.from({ length: 8 }, () => random.uniform(-1, 1.2));
      const difference = random.uniform(0, 2);
      const found = smallestFlip(
        difference,
        values.map((v, i) => [i, v] as const),
      );
      let smallest: number | null = null;
      for (let set = 0; set < 2 ** values.length; set++) {
        const chosen = values.filter((_, i) => (set >> i) & 1);
        if (difference - chosen.reduce((a, b) => a + b, 0) >= 0) continue;
        smallest = Math.min(smallest ?? Number.POSITIVE_INFINITY, chosen.length);
      }
      expect(found?.concepts.length ?? null).toBe(smallest);
      if (found !== null) expect(found.left).toBeLessThan(0);
    }
  });

  it('is none where nothing speaks for the winner', () => {
    expect(
      smallestFlip(1, [
        [0, 0.4],
        [1, -3],
      ]),
    ).toBeNull();
  });

  it('is told in words', () => {
    const nameOf = (i: number) => ['cat', 'dog', 'cow'][i];
    const flip = {
      winner: 0,
      loser: 1,
      predicted: [3],
      predictedDifference: -0.5,
      recomputedDifference: 0.2,
      recomputed: [3, 4],
      answer: { index: 2, name: 'cow', logit: 1, probability: 0.5 },
    };
    const words = flipWords(flip, nameOf).join(' ');
    expect(words).toContain('dog overtakes cat without concept 3');
    expect(words).toContain('it does not flip yet');
    expect(words).toContain('2 concepts are needed, and the network then says cow');
    expect(flipWords({ ...flip, predicted: null }, nameOf)[0]).toContain('no removal');
    expect(flipWords({ ...flip, recomputed: null }, nameOf)[1]).toContain('nor do more of them');
    expect(flipWords({ ...flip, recomputed: [3], recomputedDifference: -1 }, nameOf)[1]).toContain(
      'it flips, and the network then says cow',
    );
  });
});

it('keeps concepts that add to either class, largest difference first', () => {
  const found = compareConcepts(Float32Array.of(1, 0, 2, 0), Float32Array.of(3, 0, 2, 0.5));
  expect(found.map(({ concept, difference }) => [concept, difference])).toEqual([
    [0, -2],
    [3, -0.5],
    [2, 0],
  ]);
});
