/** Schema of report.json, version 1; docs/report-schema.md explains each field. */
import { z } from 'zod';
import { count, ledgerSchema, modelSchema, scoredClassSchema, skippedSchema } from './sharedSchema.js';

const number = z.number();

const mapSchema = z.strictObject({
  height: count,
  width: count,
  dtype: z.literal('float32'),
  base64: z.string(),
});

const conceptSchema = z.strictObject({
  concept: count,
  presence: number,
  contribution: number,
  share: number.min(-1).max(1),
  positiveShare: number.min(0).max(1),
  contributionFor: number.nullable(),
  contributionVersus: number.nullable(),
  map: mapSchema.nullable(),
  madeOf: z.array(z.strictObject({ concept: count, contribution: number, share: number.min(-1).max(1) })),
});

const imageSchema = z.strictObject({
  name: z.string(),
  picture: z.string().nullable(),
  size: z.strictObject({ height: count, width: count }),
  predicted: scoredClassSchema,
  predictedAlone: scoredClassSchema,
  trueClass: scoredClassSchema.nullable(),
  ranking: z.array(scoredClassSchema),
  target: z.strictObject({
    for: scoredClassSchema,
    versus: scoredClassSchema.nullable(),
    score: number,
    bias: number,
    reason: z.enum(['predicted', 'asked', 'misclassified']),
  }),
  tap: z.string().nullable(),
  concepts: z.array(conceptSchema),
  others: z.strictObject({ count, contribution: number, share: number }),
  positiveSum: number.min(0),
  negativeSum: number.max(0),
  featuresKept: number.nullable(),
  fullPositions: count.nullable().optional(),
  map: mapSchema.nullable(),
  ledgers: z.array(ledgerSchema),
  holds: z.boolean(),
});

export const reportSchema = z.strictObject({
  format: z.literal('fact-report'),
  version: z.literal(1),
  command: z.enum(['explain', 'verify']),
  packageVersion: z.string(),
  engine: z.string(),
  model: modelSchema,
  autoencoders: z.array(
    z.strictObject({
      path: z.string(),
      tap: z.string(),
      latents: count,
      k: count,
      role: z.enum(['concepts', 'traces']),
    }),
  ),
  settings: z.strictObject({ top: count, tolerance: number }),
  notes: z.strictObject({ share: z.string(), positiveShare: z.string() }),
  summary: z.strictObject({
    images: count,
    skipped: count,
    ledgers: count,
    failed: count,
    worstRelativeError: number.nullable(),
  }),
  images: z.array(imageSchema),
  skipped: z.array(skippedSchema),
});

export type Report = z.infer<typeof reportSchema>;
export type ReportSummary = Report['summary'];
export type ReportImage = z.infer<typeof imageSchema>;
export type ReportClass = z.infer<typeof scoredClassSchema>;
export type ReportConcept = z.infer<typeof conceptSchema>;
export type ReportLedger = z.infer<typeof ledgerSchema>;
export type ReportMap = z.infer<typeof mapSchema>;
