/** Schema of a gallery's concepts.json, version 1; docs/concepts.md explains each field. */
import { z } from 'zod';
import { count, ledgerSchema, modelSchema, skippedSchema } from '../../report/sharedSchema.js';

const number = z.number();
const share = number.min(0).max(1);

/** A class by number and name; images without a known class have null in its place. */
const classRef = z.strictObject({ index: count, name: z.string() });

/** A concept in one of its images. */
const imageSchema = z.strictObject({
  sample: count,
  key: z.string(),
  label: classRef.nullable(),
  predicted: classRef,
  contribution: number,
  share,
  presence: number,
  peak: number,
  position: count,
  cutOut: z.string(),
  colours: z.string(),
  photo: z.string(),
  box: z.strictObject({ left: share, top: share, width: share, height: share }),
  /** Fewest pixels with 80 % of the positive attribution, as a part of all pixels. */
  pixels80: share,
  ledger: ledgerSchema,
});

const classShareSchema = z.strictObject({
  class: classRef,
  share,
  /** Images of the class in which the concept is active. */
  images: count,
  /** Mean over all images of the class. */
  meanContribution: number,
});

const neighbourSchema = z.strictObject({ concept: count, cosine: number.min(-1).max(1) });

export const conceptCardSchema = z.strictObject({
  concept: count,
  images: count,
  activeShare: share,
  meanPresence: number,
  meanPositionShare: share,
  meanPixels80: share.nullable(),
  meanContribution: number,
  positiveShare: share,
  classes: z.strictObject({
    predicted: z.array(classShareSchema),
    labelled: z.array(classShareSchema),
    others: z.strictObject({ predicted: count, labelled: count }),
  }),
  neighbours: z.strictObject({ decoder: z.array(neighbourSchema), classes: z.array(neighbourSchema) }),
  /** Samples, best first; each is among `shown`. */
  tops: z.strictObject({
    contribution: z.array(count),
    presence: z.array(count),
    peak: z.array(count),
  }),
  shown: z.array(imageSchema),
});

const classSumSchema = z.strictObject({
  class: classRef.nullable(),
  grouping: z.enum(['predicted', 'labelled', 'all']),
  images: count,
  correct: count,
  /** Mean score before the bias of the class that the network answered, and what it is the sum of. */
  meanScore: number.nullable(),
  meanOfConcepts: number.nullable(),
  meanOfConstants: number.nullable(),
  residual: number.nullable(),
  relativeError: number.nullable(),
  holds: z.boolean(),
});

export const gallerySchema = z.strictObject({
  format: z.literal('fact-concepts'),
  version: z.literal(1),
  packageVersion: z.string(),
  engine: z.string(),
  model: modelSchema.extend({
    classNames: z.array(z.string()).nullable(),
  }),
  autoencoder: z.strictObject({
    path: z.string(),
    tap: z.string(),
    latents: count,
    k: count,
    sha256: z.string(),
  }),
  data: z.strictObject({
    path: z.string(),
    split: z.enum(['train', 'val', 'test']).nullable(),
    fingerprint: z.string(),
    images: count,
    isLabelled: z.boolean(),
  }),
  settings: z.strictObject({
    perConcept: count,
    by: z.enum(['contribution', 'activation']),
    tolerance: number,
    logitBias: number,
  }),
  summary: z.strictObject({
    images: count,
    skipped: count,
    withoutConcept: count,
    correct: count.nullable(),
    activeConcepts: count,
    cards: count,
    ledgers: count,
    failed: count,
    worstRelativeError: number.nullable(),
  }),
  classes: z.array(classSumSchema),
  concepts: z.array(conceptCardSchema),
  /** Small pictures of concepts without a card that pages mention. */
  thumbnails: z.array(z.strictObject({ concept: count, cutOut: z.string() })),
  skipped: z.array(skippedSchema),
});

export type Gallery = z.infer<typeof gallerySchema>;
export type ConceptCard = z.infer<typeof conceptCardSchema>;
export type CardImage = z.infer<typeof imageSchema>;
export type Thumbnail = Gallery['thumbnails'][number];
export type ClassShare = z.infer<typeof classShareSchema>;
export type ClassSum = z.infer<typeof classSumSchema>;
export type Neighbour = z.infer<typeof neighbourSchema>;
