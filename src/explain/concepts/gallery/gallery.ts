/** A gallery's numbers: from the totals of a pass and the drawn images to concepts.json. */

import { FactError } from '../../../core/errors.js';
import type { ModelSpec } from '../../../models/spec.js';
import type { SkippedImage } from '../../report/report.js';
import { ClassTable, classShares, classSums } from '../classes/classTable.js';
import { type ConceptTotals, GROUPINGS, type Ranking } from '../totals/totals.js';
import type { CardImage, ConceptCard, Gallery, Neighbour, Thumbnail } from './gallerySchema.js';

/** Classes that a card lists. */
const CLASSES_LISTED = 8;

/** What chooses and orders the concepts of a gallery. */
export type GalleryOrder = 'contribution' | 'activation';

/**
 * The concepts with the largest sum over the data set, of positive contribution or of presence; ties by number. Those
 * that are active nowhere are left out.
 */
export function rankConcepts(totals: ConceptTotals, by: GalleryOrder, count: number): number[] {
  const sums = by === 'contribution' ? totals.concepts.positive : totals.concepts.presence;
  return [...sums.keys()]
    .filter((concept) => totals.concepts.images[concept] > 0)
    .sort((a, b) => sums[b] - sums[a] || a - b)
    .slice(0, count);
}

/** Concepts that a user names, each once, in the given order. Throws FactError E_CONCEPT_UNKNOWN where one does not exist. */
export function checkConcepts(wanted: readonly number[], latents: number): number[] {
  const bad = wanted.find((concept) => !Number.isInteger(concept) || concept < 0 || concept >= latents);
  if (bad === undefined) return [...new Set(wanted)];
  throw new FactError({
    code: 'E_CONCEPT_UNKNOWN',
    message: `there is no concept ${bad}: the autoencoder has ${latents}`,
    remedy: `Give numbers from 0 to ${latents - 1}.`,
    exitCode: 2,
  });
}

export interface CardInput {
  readonly totals: ConceptTotals;
  readonly spec: ModelSpec;
  readonly tables: Readonly<Record<'predicted' | 'labelled', ClassTable>>;
}

function ratio(part: number, whole: number): number {
  return whole > 0 ? part / whole : 0;
}

/** Numbers of one concept. */
export function makeCard(
  concept: number,
  shown: readonly CardImage[],
  neighbours: { readonly decoder: readonly Neighbour[]; readonly classes: readonly Neighbour[] },
  { totals, spec, tables }: CardInput,
): ConceptCard {
  const of = (name: keyof ConceptTotals['concepts']): number => totals.concepts[name][concept];
  const allPositive = totals.concepts.positive.reduce((sum, v) => sum + v, 0);
  const listed = (grouping: 'predicted' | 'labelled') =>
    classShares(tables[grouping], concept, spec, CLASSES_LISTED);
  const others = (grouping: 'predicted' | 'labelled'): number =>
    tables[grouping].classesOf(concept).filter((entry) => entry.positive > 0).length -
    listed(grouping).length;
  const samples = (ranking: Ranking): number[] =>
    totals.tops[ranking].entries(concept).map(({ sample }) => sample);
  return {
    concept,
    images: of('images'),
    activeShare: ratio(of('images'), totals.images),
    meanPresence: ratio(of('presence'), of('images')),
    meanPositionShare: ratio(of('positions'), of('images') * totals.positions),
    meanPixels80:
      shown.length === 0 ? null : shown.reduce((sum, image) => sum + image.pixels80, 0) / shown.length,
    meanContribution: ratio(of('contribution'), totals.images),
    positiveShare: Math.min(1, ratio(of('positive'), allPositive)),
    classes: {
      predicted: listed('predicted'),
      labelled: listed('labelled'),
      others: { predicted: others('predicted'), labelled: others('labelled') },
    },
    neighbours: { decoder: [...neighbours.decoder], classes: [...neighbours.classes] },
    tops: {
      contribution: samples('contribution'),
      presence: samples('presence'),
      peak: samples('peak'),
    },
    shown: [...shown],
  };
}

/** What a gallery says besides the numbers of its concepts. */
export interface GalleryContext {
  readonly packageVersion: string;
  readonly engine: string;
  readonly model: Gallery['model'];
  readonly autoencoder: Gallery['autoencoder'];
  readonly data: Pick<Gallery['data'], 'path' | 'split' | 'fingerprint' | 'isLabelled'>;
  readonly settings: Gallery['settings'];
}

/** The tables of both groupings. */
export function tablesOf(totals: ConceptTotals): CardInput['tables'] {
  const [predicted, labelled] = GROUPINGS.map((grouping) => new ClassTable(totals, grouping));
  return { predicted, labelled };
}

/** The whole concepts.json. */
export function makeGallery(
  context: GalleryContext,
  totals: ConceptTotals,
  spec: ModelSpec,
  cards: readonly ConceptCard[],
  thumbnails: readonly Thumbnail[],
  skipped: readonly SkippedImage[],
): Gallery {
  const ledgers = cards.flatMap((card) => card.shown.map(({ ledger }) => ledger));
  const classes = classSums(totals, spec, context.settings.tolerance);
  const errors = [...ledgers, ...classes].map(({ relativeError }) => relativeError);
  const failed = [...ledgers, ...classes].filter(({ holds }) => !holds).length;
  return {
    format: 'fact-concepts',
    version: 1,
    packageVersion: context.packageVersion,
    engine: context.engine,
    model: context.model,
    autoencoder: context.autoencoder,
    data: { ...context.data, images: totals.images },
    settings: context.settings,
    summary: {
      images: totals.images,
      skipped: skipped.length,
      withoutConcept: totals.withoutConcept,
      correct: context.data.isLabelled
        ? totals.classes.predicted.correct.reduce((sum, v) => sum + v, 0)
        : null,
      activeConcepts: totals.concepts.images.filter((count) => count > 0).length,
      cards: cards.length,
      ledgers: ledgers.length + classes.length,
      failed,
      worstRelativeError: errors.some((error) => error === null)
        ? null
        : errors.reduce<number>((worst, error) => Math.max(worst, error ?? 0), 0),
    },
    classes,
    concepts: [...cards],
    thumbnails: [...thumbnails],
    skipped: skipped.map((one) => ({ ...one })),
  };
}
