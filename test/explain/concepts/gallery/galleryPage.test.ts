import { describe, expect, it } from 'vitest';
import { cardPage, picturesOf } from '../../../../src/explain/concepts/gallery/cardPage.js';
import { galleryPage } from '../../../../src/explain/concepts/gallery/galleryPage.js';
import {
  type CardImage,
  type ConceptCard,
  type Gallery,
  gallerySchema,
} from '../../../../src/explain/concepts/gallery/gallerySchema.js';
import {
  conceptHeadline,
  countOf,
  galleryLine,
  mainClasses,
  part,
  shortTitle,
} from '../../../../src/explain/concepts/gallery/galleryWords.js';

const EVIL = '</script><img src=x onerror=alert(1)>';

function imageOf(sample: number): CardImage {
  return {
    sample,
    key: `${EVIL}/${sample}.png`,
    label: { index: 1, name: EVIL },
    predicted: { index: 0, name: 'goldfish' },
    contribution: 1,
    share: 0.5,
    presence: 3,
    peak: 2,
    position: 0,
    cutOut: `cutouts/${sample}.webp`,
    colours: `colours/${sample}.webp`,
    photo: `photos/${sample}.webp`,
    box: { left: 0, top: 0, width: 1, height: 1 },
    pixels80: 0.25,
    ledger: {
      side: 'pixels',
      subject: 'presence',
      left: 3,
      lines: [{ name: 'pixels', value: 3 }],
      termCount: 9,
      sum: 3,
      absoluteSum: 3,
      residual: 0,
      relativeError: 0,
      holds: true,
    },
  };
}

function cardOf(concept: number, shares: readonly number[], images = 8): ConceptCard {
  const shown = Array.from({ length: images }, (_, i) => imageOf(10 * concept + i));
  return {
    concept,
    images,
    activeShare: 0.5,
    meanPresence: 3,
    meanPositionShare: 0.2,
    meanPixels80: images === 0 ? null : 0.25,
    meanContribution: 0.1,
    positiveShare: 0.01,
    classes: {
      predicted: shares.map((share, index) => ({
        class: { index, name: `class ${index}` },
        share,
        images: 3,
        meanContribution: 0.2,
      })),
      labelled: [],
      others: { predicted: 0, labelled: 0 },
    },
    neighbours: { decoder: [{ concept: 1, cosine: 0.5 }], classes: [] },
    tops: { contribution: shown.map(({ sample }) => sample), presence: [], peak: [] },
    shown,
  };
}

function galleryOf(concepts: ConceptCard[]): Gallery {
  return gallerySchema.parse({
    format: 'fact-concepts',
    version: 1,
    packageVersion: '0.0.0',
    engine: 'cpu',
    model: { path: 'm', arch: 'resnet', weightsHash: null, classes: 9, classNames: null },
    autoencoder: { path: 's', tap: 'layer3', latents: 20_000, k: 16, sha256: 'x' },
    data: { path: 'd', split: null, fingerprint: 'f', images: 8, isLabelled: true },
    settings: { perConcept: 8, by: 'contribution', tolerance: 1e-5, logitBias: 0 },
    summary: {
      images: 8,
      skipped: 1,
      withoutConcept: 0,
      correct: 3,
      activeConcepts: 5,
      cards: concepts.length,
      ledgers: 1,
      failed: 0,
      worstRelativeError: 0,
    },
    classes: [],
    concepts,
    thumbnails: [],
    skipped: [{ name: EVIL, code: 'E_X', message: EVIL }],
  });
}

describe('the pages of a gallery', () => {
  it('stay small with thousands of concepts', () => {
    const page = galleryPage(galleryOf(Array.from({ length: 2000 }, (_, i) => cardOf(i, [0.6, 0.3, 0.1]))));
    expect(page.length).toBeLessThan(400_000);
    expect(page).not.toContain('data:image');
  });

  it('show names of files and classes as text, never as markup', () => {
    const gallery = galleryOf([cardOf(0, [1])]);
    const pages = [galleryPage(gallery), cardPage(gallery.concepts[0], gallery, picturesOf(gallery))];
    for (const page of pages) {
      expect(page).not.toContain(EVIL);
      expect(page).not.toContain('<img src=x');
      expect(page).toContain("default-src 'none'");
    }
  });

  it('show a concept without images too', () => {
    const gallery = galleryOf([cardOf(7, [], 0)]);
    expect(cardPage(gallery.concepts[0], gallery, picturesOf(gallery))).toContain('Not active in any image.');
    expect(galleryPage(gallery)).toContain('[7,""');
  });
});

describe('the words of a gallery', () => {
  it('name the classes that matter', () => {
    const sentence = (shares: readonly number[]): string => conceptHeadline(cardOf(1, shares));
    expect(sentence([0.8, 0.15, 0.05])).toBe('Speaks for class 0 (80 %) and class 1 (15 %).');
    expect(sentence([0.4, 0.3, 0.2, 0.1])).toBe(
      'Speaks for class 0 (40 %), class 1 (30 %) and class 2 (20 %).',
    );
    expect(sentence([0.09, 0.08])).toBe('Spread over many classes, most for class 0 (9 %).');
    expect(sentence([])).toBe('Active, but it speaks for no answer.');
    expect(shortTitle(cardOf(1, [0.05, 0.04]))).toBe('many classes, most class 0');
    expect(shortTitle(cardOf(1, [0.5, 0.4]))).toBe('class 0, class 1');
    expect(mainClasses(cardOf(1, [0.05, 0.04]).classes.predicted)).toBe('class 0');
  });

  it('say how often the network is right among the images whose class is known', () => {
    const sumOf = (grouping: 'predicted' | 'labelled', images: number): Gallery['classes'][number] => ({
      class: { index: 0, name: 'goldfish' },
      grouping,
      images,
      correct: 3,
      meanScore: 1,
      meanOfConcepts: 1,
      meanOfConstants: 0,
      residual: 0,
      relativeError: 0,
      holds: true,
    });
    const line = (labelled: number): string =>
      galleryLine({ ...galleryOf([]), classes: [sumOf('predicted', 8), sumOf('labelled', labelled)] });
    expect(line(8)).toContain('the network is right in 38 %;');
    expect(line(4)).toContain('the network is right in 75 % of the 4 images whose class it knows;');
    expect(galleryLine(galleryOf([]))).not.toContain('is right');
  });

  it('count and weigh', () => {
    expect([countOf(1, 'image'), countOf(2500, 'image')]).toEqual(['1 image', '2,500 images']);
    expect([part(0), part(0.0253), part(0.5), part(0.00012)]).toEqual(['0 %', '2.5 %', '50 %', '0.012 %']);
  });
});
