import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Random } from '../../../../src/core/random.js';
import { classesSchema, makeClassesReport } from '../../../../src/explain/concepts/classes/classesReport.js';
import { ClassTable, classShares, classSums } from '../../../../src/explain/concepts/classes/classTable.js';
import { rankConcepts } from '../../../../src/explain/concepts/gallery/gallery.js';
import {
  ConceptTotals,
  type CountedImage,
  RANKINGS,
  type Ranking,
} from '../../../../src/explain/concepts/totals/totals.js';
import { type PassKey, readTotals, writeTotals } from '../../../../src/explain/concepts/totals/totalsFile.js';
import { temporaryFolders } from '../../../fixtures/pictures.js';

const [CONCEPTS, CLASSES, K, POSITIONS, PLACES] = [20, 4, 3, 5, 4];
const NAMES = { classNames: ['tench', 'goldfish', 'shark', 'ray'], logitBias: -1 };

/** Images of random sparse codes with many equal values; the sum rule holds in each. Some have no active concept. */
function randomImages(count: number, seed: number, isConstant = false): CountedImage[] {
  const random = new Random(seed);
  return Array.from({ length: count }, (_, sample) => {
    const values = new Float32Array(POSITIONS * K);
    const indices = new Int32Array(POSITIONS * K);
    const presence = new Float32Array(CONCEPTS);
    const contributions = new Float32Array(CONCEPTS);
    const isBlack = sample % 11 === 10;
    for (let p = 0; p < POSITIONS; p++) {
      const order = random.permutation(CONCEPTS);
      for (let j = 0; j < K; j++) {
        const i = p * K + j;
        values[i] = isBlack ? 0 : random.integer(4) / 2;
        indices[i] = order[j];
        presence[order[j]] += values[i];
        contributions[order[j]] += values[i] * (random.integer(5) - 2);
      }
    }
    const constants = isConstant ? [0.25, random.uniform(-1, 1)] : [];
    const predicted = random.integer(CLASSES);
    const spliced = new Float32Array(CLASSES);
    spliced[predicted] = contributions.reduce((a, b) => a + b, 0) + constants.reduce((a, b) => a + b, 0);
    const label = sample % 5 === 4 ? -1 : random.integer(CLASSES);
    return { sample, label, spliced, predicted, values, indices, presence, contributions, constants };
  });
}

function totalsOf(images: readonly CountedImage[]): ConceptTotals {
  const totals = new ConceptTotals({ concepts: CONCEPTS, classes: CLASSES, places: PLACES }, K);
  for (const image of images) totals.add(image);
  return totals;
}

const peakOf = ({ values, indices }: CountedImage, concept: number): number =>
  values.reduce((best, v, i) => (indices[i] === concept ? Math.max(best, v) : best), 0);

describe('the totals of a pass', () => {
  const images = randomImages(70, 1);
  const totals = totalsOf(images);

  it('keep the images that a sorted table has first, in all three orders', () => {
    const score: Record<Ranking, (image: CountedImage, c: number) => number> = {
      contribution: (image, c) => image.contributions[c],
      presence: (image, c) => image.presence[c],
      peak: peakOf,
    };
    for (const ranking of RANKINGS)
      for (let c = 0; c < CONCEPTS; c++) {
        const sorted = images
          .filter((image) => score[ranking](image, c) > 0)
          .sort((a, b) => score[ranking](b, c) - score[ranking](a, c) || a.sample - b.sample)
          .slice(0, PLACES);
        const entries = totals.tops[ranking].entries(c);
        expect(entries.map(({ sample }) => sample)).toEqual(sorted.map(({ sample }) => sample));
        entries.forEach((entry, i) => {
          const image = sorted[i];
          const positive = image.contributions.reduce((sum, v) => sum + Math.max(0, v), 0);
          expect(entry.presence).toBe(image.presence[c]);
          expect(entry.peak).toBe(peakOf(image, c));
          expect(entry.share).toBeCloseTo(Math.max(0, image.contributions[c]) / (positive || 1), 6);
          const at = image.values.findIndex((v, at) => image.indices[at] === c && v === entry.peak);
          expect(entry.position).toBe(Math.floor(at / K));
        });
      }
  });

  it('sum per concept, class and pair as a table does', () => {
    expect([totals.images, totals.withoutConcept, totals.positions]).toEqual([70, 6, POSITIONS]);
    for (let c = 0; c < CONCEPTS; c++) {
      const active = images.filter((image) => peakOf(image, c) > 0);
      const sum = (of: (image: CountedImage) => number): number =>
        active.reduce((s, image) => s + of(image), 0);
      expect(totals.concepts.images[c]).toBe(active.length);
      expect(totals.concepts.presence[c]).toBe(sum((image) => image.presence[c]));
      expect(totals.concepts.contribution[c]).toBe(sum((image) => image.contributions[c]));
      expect(totals.concepts.positive[c]).toBe(sum((image) => Math.max(0, image.contributions[c])));
    }
    for (const [grouping, groupOf] of [
      ['predicted', (image: CountedImage) => image.predicted],
      ['labelled', (image: CountedImage) => image.label],
    ] as const) {
      const table = new ClassTable(totals, grouping);
      for (let g = 0; g < CLASSES; g++) {
        const own = images.filter((image) => groupOf(image) === g);
        expect(totals.classes[grouping].images[g]).toBe(own.length);
        expect(totals.classes[grouping].correct[g]).toBe(
          own.filter(({ label, predicted }) => label === predicted).length,
        );
        for (const entry of table.conceptsOf(g))
          expect(entry.contribution).toBe(
            own.reduce((sum, image) => sum + image.contributions[entry.concept], 0),
          );
      }
    }
  });

  it('obey the sum rule for means: over all images and for each class, as answered and as labelled', () => {
    for (const isConstant of [false, true]) {
      const rows = classSums(totalsOf(randomImages(70, 2, isConstant)), NAMES, 1e-6);
      expect(rows.map(({ grouping }) => grouping)).toEqual([
        'all',
        ...new Array(CLASSES).fill('predicted'),
        ...new Array(CLASSES).fill('labelled'),
      ]);
      for (const row of rows) {
        expect(row.holds).toBe(true);
        expect(row.meanScore).toBeCloseTo((row.meanOfConcepts ?? 0) + (row.meanOfConstants ?? 0), 6);
      }
      expect(rows.some(({ meanOfConstants }) => meanOfConstants !== 0)).toBe(isConstant);
    }
  });

  it('show a sum that does not hold', () => {
    const wrong = randomImages(10, 3).map((image) => ({
      ...image,
      spliced: image.spliced.map((v) => v + 0.01),
    }));
    const rows = classSums(totalsOf(wrong), NAMES, 1e-5);
    expect(rows.every(({ holds }) => !holds)).toBe(true);
  });

  it('rank concepts by their sums, ties by number, without those that are nowhere', () => {
    const { positive, presence } = totals.concepts;
    const sorted = (sums: Float64Array): number[] =>
      [...sums.keys()]
        .filter((c) => totals.concepts.images[c] > 0)
        .sort((a, b) => sums[b] - sums[a] || a - b);
    expect(rankConcepts(totals, 'contribution', 7)).toEqual(sorted(positive).slice(0, 7));
    expect(rankConcepts(totals, 'activation', 99)).toEqual(sorted(presence));
    expect(rankConcepts(totalsOf([]), 'activation', 99)).toEqual([]);
  });

  it('give each concept shares of its classes that add up, and each class its concepts and the rest', () => {
    const table = new ClassTable(totals, 'predicted');
    for (let c = 0; c < CONCEPTS; c++) {
      const shares = classShares(table, c, NAMES, CLASSES);
      expect(shares.reduce((sum, { share }) => sum + share, 0)).toBeCloseTo(1, 12);
    }
    const options = {
      spec: NAMES,
      isLabelled: true,
      tolerance: 1e-5,
      concepts: 5,
      onlyClass: null,
      onlyConcept: null,
    };
    const report = classesSchema.parse(makeClassesReport(table, options));
    expect(report.classes.map((one) => one.class.name)).toEqual(NAMES.classNames);
    for (const one of report.classes) {
      const listed = one.concepts.reduce((sum, { meanContribution }) => sum + meanContribution, 0);
      expect(listed + one.others.meanContribution).toBeCloseTo(one.meanScore, 6);
      expect(one.concepts).toHaveLength(5);
    }
    const single = makeClassesReport(table, { ...options, onlyConcept: 3 });
    expect([single.classes.length, single.concepts.map(({ concept }) => concept)]).toEqual([0, [3]]);
    expect(single.concepts[0].effectiveClasses).toBeLessThanOrEqual(CLASSES);
    expect(makeClassesReport(table, { ...options, onlyClass: 2 }).classes[0].class.name).toBe('shark');
  });

  it('grow with pairs and concepts, not with images', () => {
    const sizeOf = (value: unknown): number =>
      ArrayBuffer.isView(value)
        ? value.byteLength
        : Object.values(value as object).reduce((sum, one) => sum + sizeOf(one), 0);
    const [few, many] = [totalsOf(randomImages(400, 5)), totalsOf(randomImages(2000, 5))];
    expect(sizeOf(many.toColumns())).toBe(sizeOf(few.toColumns()));
  });
});

describe('the file of totals', () => {
  const folder = temporaryFolders();
  const key: PassKey = {
    format: 'fact-concept-totals',
    version: 1,
    model: 'm',
    autoencoder: 'a',
    tap: 'layer2',
    data: 'd',
    imageSize: [8, 8],
    resize: 8,
    perConcept: PLACES,
    imageBatch: 4,
    engine: 'cpu',
  };
  const place = { nextBatch: 5, isDone: false, skipped: [{ name: 'x', code: 'E_X', message: 'no' }] };

  it('gives them back, and what is added afterwards makes the same totals', () => {
    const path = join(folder(), 'totals.safetensors');
    expect(readTotals(path)).toBeNull();
    const images = randomImages(50, 4);
    for (const cut of [0, 1, 20, 50]) {
      writeTotals(path, { key, place, totals: totalsOf(images.slice(0, cut)) }, K);
      const found = readTotals(path);
      expect([found?.key, found?.place]).toEqual([key, place]);
      for (const image of images.slice(cut)) found?.totals.add(image);
      expect(found?.totals.toColumns()).toEqual(totalsOf(images).toColumns());
    }
  });

  it('is refused where it is damaged', () => {
    const path = join(folder(), 'totals.safetensors');
    writeTotals(path, { key, place, totals: totalsOf(randomImages(9, 4)) }, K);
    const good = readFileSync(path);
    const flipped = Uint8Array.from(good);
    flipped[good.length - 9] ^= 1;
    for (const bytes of [flipped, good.subarray(0, 300), good.subarray(0, 5), new Uint8Array()]) {
      writeFileSync(path, bytes);
      expect(() => readTotals(path)).toThrow(expect.objectContaining({ code: 'E_CONCEPTS_STATE' }));
    }
  });
});
