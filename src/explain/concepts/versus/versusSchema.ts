/** Schema of versus.json, version 1; docs/concept-graphs.md explains each field. */
import { z } from 'zod';
import { count, modelSchema, scoredClassSchema } from '../../report/sharedSchema.js';

const number = z.number();
const concepts = z.array(count);

/** The same in all files of `fact concepts graph`, `versus` and `edit`. */
export const sourceSchema = {
  packageVersion: z.string(),
  engine: z.string(),
  model: modelSchema,
  autoencoder: z.strictObject({ path: z.string(), tap: z.string(), latents: count, k: count }),
  tolerance: number,
};

const ledgerSchema = z.strictObject({
  subject: z.string(),
  left: number,
  sum: number,
  residual: number,
  relativeError: number.nullable(),
  holds: z.boolean(),
});

const imageSchema = z.strictObject({
  image: z.string(),
  reason: z.enum(['asked', 'misclassified', 'runner-up']),
  for: scoredClassSchema,
  versus: scoredClassSchema,
  predicted: scoredClassSchema,
  predictedAlone: scoredClassSchema,
  trueClass: scoredClassSchema.nullable(),
  difference: number,
  concepts: z.array(
    z.strictObject({
      concept: count,
      contributionFor: number,
      contributionVersus: number,
      difference: number,
      share: number,
    }),
  ),
  constants: z.array(z.strictObject({ name: z.string(), for: number, versus: number })),
  ledgers: z.array(ledgerSchema),
  flip: z.strictObject({
    winner: count,
    loser: count,
    predicted: concepts.nullable(),
    predictedDifference: number.nullable(),
    recomputedDifference: number.nullable(),
    recomputed: concepts.nullable(),
    answer: scoredClassSchema.nullable(),
  }),
  picture: z.string(),
});

export const versusFileSchema = z.strictObject({
  format: z.literal('fact-concept-versus'),
  version: z.literal(1),
  ...sourceSchema,
  images: z.array(imageSchema),
  skipped: z.array(z.string()),
});

export type VersusFile = z.infer<typeof versusFileSchema>;
export type VersusEntry = VersusFile['images'][number];
export type SourceContext = Pick<
  VersusFile,
  'packageVersion' | 'engine' | 'model' | 'autoencoder' | 'tolerance'
>;
