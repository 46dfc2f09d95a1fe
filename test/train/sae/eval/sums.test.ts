import { describe, expect, it } from 'vitest';
import { Random } from '../../../../src/core/random.js';
import { pixelsToReach } from '../../../../src/explain/c2.js';
import { aliveConcepts, coverage, imageL0, meanAndDeviation } from '../../../../src/explain/stats.js';
import { AccuracyCounts } from '../../../../src/train/sae/eval/accuracy.js';
import { ConceptUse } from '../../../../src/train/sae/eval/conceptUse.js';
import { ContributionSums } from '../../../../src/train/sae/eval/contributionSums.js';
import { entropyOf, LabelTable } from '../../../../src/train/sae/eval/labelTable.js';
import { PositionSizes } from '../../../../src/train/sae/eval/positionSizes.js';
import { ReconstructionSums } from '../../../../src/train/sae/eval/reconstruction.js';
import type { SavedNumbers, Statistic } from '../../../../src/train/sae/eval/statistic.js';
import { randomPass } from './fixtures.js';

const SIZES = [
  { images: 40, latents: 30 },
  { images: 12, latents: 5, positions: 1, width: 5 },
  { images: 25, latents: 64, positions: 4, width: 2, classes: 7 },
  { images: 1, latents: 8 },
];
const CASES = SIZES.flatMap((size, i) => [0, 1, 2].map((seed) => ({ ...size, seed: 10 * i + seed })));

describe.each(CASES)('sums image by image ($images images, $latents concepts, seed $seed)', (size) => {
  const { images, contributions, presence } = randomPass(size.seed, size);
  const shape = { images: size.images, latents: size.latents };

  it('of contributions are the statistics of the whole table', () => {
    const sums = new ContributionSums(size.latents);
    for (const image of images) sums.add(image);
    const [whole, alive, result] = [
      coverage(contributions, shape),
      aliveConcepts(contributions, shape),
      sums.result(),
    ];
    const valid = size.images - whole.withoutPositive.length;
    expect(result.imagesWithoutPositive).toBe(whole.withoutPositive.length);
    expect(result.conceptsTo80AllImages).toBeCloseTo(whole.conceptsToReachAllImages, 12);
    expect(result.alive).toBe(Math.round((alive.alivePercent * size.latents) / 100));
    expect(result.alwaysAlive).toEqual(alive.alwaysAlive);
    expect(result.alwaysAliveSharePercent).toBeCloseTo(alive.alwaysAliveSharePercent, 10);
    if (valid === 0) {
      expect(result.conceptsTo80).toBeNull();
      expect(result.coverage).toEqual({ mean: [], deviation: null });
      return;
    }
    expect(result.conceptsTo80).toBeCloseTo(whole.conceptsToReach, 12);
    const { mean, deviation } = result.coverage;
    whole.curveMean.forEach((value, c) => {
      expect(mean[c] ?? 100).toBeCloseTo(value, 10);
      if (valid > 1) expect(deviation?.[c] ?? 0).toBeCloseTo(whole.curveDeviation[c], 6);
    });
    expect(deviation === null).toBe(valid < 2);
  });

  it('of codes are counts of the whole table', () => {
    const use = new ConceptUse(size.latents, 'use');
    for (const image of images) use.addCode(image, image.errors.length);
    const { l0, imageL0: ofImages } = use.sparsity();
    expect(ofImages.mean).toBeCloseTo(imageL0(presence, shape), 12);
    const perPosition = images.flatMap((image) => {
      const width = image.values.length / image.errors.length;
      return Array.from(
        image.errors,
        (_, p) => image.values.subarray(p * width, (p + 1) * width).filter((v) => v > 0).length,
      );
    });
    const expected = meanAndDeviation(perPosition);
    expect(l0.mean).toBeCloseTo(expected.mean, 12);
    if (perPosition.length > 1) expect(l0.deviation).toBeCloseTo(expected.deviation, 10);
    const everywhere = images.flatMap((image) =>
      Array.from(image.indices).filter((_, i) => image.values[i] > 0),
    );
    for (let c = 0; c < size.latents; c++)
      expect(use.activePositions[c]).toBe(everywhere.filter((concept) => concept === c).length);
    expect(use.alive()).toEqual([...new Set(everywhere)].sort((a, b) => a - b));
  });

  it('of errors are mean and deviation over all positions', () => {
    const sums = new ReconstructionSums(images[0].features.mean.length);
    for (const image of images) sums.add(image);
    const all = images.flatMap((image) => Array.from(image.errors));
    const expected = meanAndDeviation(all);
    const { l2ErrorMean, l2ErrorDeviation, featureLengthMean } = sums.result();
    expect(l2ErrorMean).toBeCloseTo(expected.mean, 10);
    if (all.length > 1) expect(l2ErrorDeviation).toBeCloseTo(expected.deviation, 10);
    expect(featureLengthMean).toBeCloseTo(
      meanAndDeviation(images.flatMap((image) => Array.from(image.lengths))).mean,
      10,
    );
  });

  it('of places are the sizes of each concept', () => {
    const sums = new PositionSizes(size.latents);
    for (const image of images) sums.add(image);
    const { sizes } = sums.result();
    for (let c = 0; c < size.latents; c++) {
      const perImage = images
        .map(({ values, indices }) => values.filter((_, i) => indices[i] === c && values[i] > 0))
        .filter((values) => values.length > 0)
        .map((values) => pixelsToReach(values));
      if (perImage.length === 0) expect(sizes[c]).toBeNull();
      else expect(sizes[c]).toBeCloseTo(meanAndDeviation(perImage).mean, 12);
    }
  });

  it('can be written down anywhere and gone on with, to the last bit', () => {
    const make = (): Statistic[] => [
      new AccuracyCounts(),
      new ReconstructionSums(images[0].features.mean.length),
      new ContributionSums(size.latents),
      new LabelTable(size.latents, size.classes ?? 4),
      new PositionSizes(size.latents),
    ];
    const whole = make();
    for (const image of images) for (const statistic of whole) statistic.add(image);
    const random = new Random(size.seed);
    let parts = make();
    for (const image of images) {
      for (const statistic of parts) statistic.add(image);
      if (random.next() < 0.7) continue;
      const saved: SavedNumbers = structuredClone(Object.assign({}, ...parts.map((part) => part.save())));
      parts = make();
      for (const statistic of parts) statistic.restore(saved);
    }
    expect(parts.map((part) => part.save())).toEqual(whole.map((part) => part.save()));
  });
});

describe('variance explained', () => {
  it('over images is that over all rows at once, far from zero too', () => {
    const { images } = randomPass(3, { images: 30, latents: 6 });
    const shifted = images.map((image) => ({
      ...image,
      features: { ...image.features, mean: image.features.mean.map((v) => v + 1000) },
    }));
    const explained = [images, shifted].map((list) => {
      const sums = new ReconstructionSums(5);
      for (const image of list) sums.add(image);
      return sums.result().varianceExplained;
    });
    // Spread of the residual is 0.09 of an independent draw of the same law.
    expect(explained[0]).toBeGreaterThan(0.88);
    expect(explained[0]).toBeLessThan(0.94);
    expect(explained[1]).toBeCloseTo(explained[0] ?? 0, 5);
  });

  it('is none where the features do not vary', () => {
    const sums = new ReconstructionSums(2);
    const none = { mean: new Float32Array(2), spread: 0 };
    sums.add({ features: none, residual: none, errors: new Float32Array(4), lengths: new Float32Array(4) });
    expect(sums.result()).toEqual({
      varianceExplained: null,
      l2ErrorMean: 0,
      l2ErrorDeviation: 0,
      featureLengthMean: 0,
      relativeErrorMean: null,
    });
  });
});

describe('label entropy', () => {
  it('is 0 of one class, ln n of n alike, and does not count large classes more', () => {
    const table = new LabelTable(4, 3);
    const add = (label: number, presence: readonly number[]): void =>
      table.add({ label, presence: Float32Array.from(presence) });
    // Concept 0: class 1 only. Concept 1: alike in all images. Concept 2: 3 to 1 in two classes. Concept 3: never.
    add(0, [0, 2, 3, 0]);
    for (let i = 0; i < 4; i++) add(1, [5, 2, 1, 0]);
    add(2, [0, 2, 0, 0]);
    const { entropy, topClass, topShare } = table.result();
    expect(entropy[0]).toBe(0);
    expect(entropy[1]).toBeCloseTo(Math.log(3), 12);
    expect(entropy[2]).toBeCloseTo(-0.75 * Math.log(0.75) - 0.25 * Math.log(0.25), 12);
    expect(entropy[3]).toBeNull();
    expect(topClass).toEqual([1, 0, 0, null]);
    expect(topShare[2]).toBeCloseTo(0.75, 12);
  });

  it('of weights is the same whatever their sum', () => {
    expect(entropyOf([2, 2, 0])).toBeCloseTo(Math.log(2), 12);
    expect(entropyOf([1e-30, 3e-30])).toBeCloseTo(entropyOf([1, 3]), 12);
  });

  it('takes memory for the concepts that are present only', () => {
    const table = new LabelTable(16384, 1000);
    const presence = new Float32Array(16384);
    presence[77] = 1;
    table.add({ label: 999, presence });
    expect(table.save()['labels.sums']).toHaveLength(1000);
  });
});

describe('restoring', () => {
  it('refuses sums of another size', () => {
    const saved = new ContributionSums(4).save();
    expect(() => new ContributionSums(5).restore(saved)).toThrow(RangeError);
    expect(() => new LabelTable(3, 2).restore(saved)).toThrow(RangeError);
  });
});
