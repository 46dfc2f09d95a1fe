/** Schema of report.json, version 1; docs/report-schema.md explains each field. */
import { z } from 'zod';

const number = z.number();
const count = z.number().int().min(0);

const classSchema = z.strictObject({
  index: count,
  name: z.string(),
  logit: number,
  probability: number.min(0).max(1),
});

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

const ledgerSchema = z.strictObject({
  side: z.enum(['logit', 'pixels', 'concepts']),
  subject: z.string(),
  left: number.nullable(),
  lines: z.array(z.strictObject({ name: z.string(), value: number.nullable() })),
  termCount: count,
  sum: number.nullable(),
  absoluteSum: number.nullable(),
  residual: number.nullable(),
  relativeError: number.nullable(),
  holds: z.boolean(),
});

const imageSchema = z.strictObject({
  name: z.string(),
  picture: z.string().nullable(),
  size: z.strictObject({ height: count, width: count }),
  predicted: classSchema,
  predictedAlone: classSchema,
  trueClass: classSchema.nullable(),
  ranking: z.array(classSchema),
  target: z.strictObject({
    for: classSchema,
    versus: classSchema.nullable(),
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
  model: z.strictObject({
    path: z.string(),
    arch: z.string(),
    weightsHash: z.string().nullable(),
    classes: count,
  }),
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
  skipped: z.array(z.strictObject({ name: z.string(), code: z.string(), message: z.string() })),
});

export type Report = z.infer<typeof reportSchema>;
export type ReportSummary = Report['summary'];
export type ReportImage = z.infer<typeof imageSchema>;
export type ReportClass = z.infer<typeof classSchema>;
export type ReportConcept = z.infer<typeof conceptSchema>;
export type ReportLedger = z.infer<typeof ledgerSchema>;
export type ReportMap = z.infer<typeof mapSchema>;
