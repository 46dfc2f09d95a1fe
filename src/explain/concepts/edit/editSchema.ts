/** Schemas of edit.json, of pictures and of a data set, version 1; docs/concept-graphs.md explains each field. */
import { z } from 'zod';
import { count } from '../../report/sharedSchema.js';
import { sourceSchema } from '../versus/versusSchema.js';

const number = z.number();

const planSchema = z.strictObject({
  words: z.string(),
  keepOnly: z.boolean(),
  steps: z.array(z.strictObject({ concept: count, factor: number.min(0) })),
});

const imageSchema = z.strictObject({
  image: z.string(),
  trueClass: count.nullable(),
  predictedBefore: count,
  predictedAfter: count,
  predictedAlone: count,
  concepts: z.array(z.strictObject({ concept: count, factor: number, contribution: number })),
  removed: count,
  classes: z.array(
    z.strictObject({
      index: count,
      name: z.string(),
      before: number,
      predicted: number,
      held: number,
      after: number,
      heldError: number.nullable(),
    }),
  ),
  holds: z.boolean(),
  picture: z.string(),
});

export const editFileSchema = z.strictObject({
  format: z.literal('fact-concept-edit'),
  version: z.literal(1),
  ...sourceSchema,
  edit: planSchema,
  images: z.array(imageSchema),
  skipped: z.array(z.string()),
});

const classSchema = z.strictObject({
  index: count,
  name: z.string(),
  images: count,
  correctBefore: count,
  correctAfter: count,
  /** How often the network answers with it. */
  answersBefore: count,
  answersAfter: count,
});

export const editDataSchema = z.strictObject({
  format: z.literal('fact-concept-edit-data'),
  version: z.literal(1),
  ...sourceSchema,
  data: z.strictObject({ path: z.string(), split: z.string().nullable() }),
  edit: planSchema,
  images: count,
  labelled: count,
  correctBefore: count,
  correctAfter: count,
  /** Images whose answer the edit changes. */
  changed: count,
  /** Mean change of the score of the class answered before: by the exact sum, and by a true forward pass. */
  meanChangeBySum: number,
  meanChange: number,
  /** The check over all images: largest |held - sum| / sum of |terms|, and its image. */
  heldError: number.nullable(),
  heldErrorImage: z.string().nullable(),
  holds: z.boolean(),
  classes: z.array(classSchema),
  skipped: z.array(z.string()),
});

export type EditFile = z.infer<typeof editFileSchema>;
export type EditEntry = EditFile['images'][number];
export type EditDataFile = z.infer<typeof editDataSchema>;
