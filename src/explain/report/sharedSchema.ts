/** What the schemas of several result files have in common. */
import { z } from 'zod';

/** A whole number from 0. */
export const count = z.int().min(0);

/** A class with what the network gave it. */
export const scoredClassSchema = z.strictObject({
  index: count,
  name: z.string(),
  logit: z.number(),
  probability: z.number().min(0).max(1),
});

/** The network that was explained. */
export const modelSchema = z.strictObject({
  path: z.string(),
  arch: z.string(),
  weightsHash: z.string().nullable(),
  classes: count,
});

/** A ledger (../ledger.ts); a number that is not finite is null. */
export const ledgerSchema = z.strictObject({
  side: z.enum(['logit', 'pixels', 'concepts']),
  subject: z.string(),
  left: z.number().nullable(),
  lines: z.array(z.strictObject({ name: z.string(), value: z.number().nullable() })),
  termCount: count,
  sum: z.number().nullable(),
  absoluteSum: z.number().nullable(),
  residual: z.number().nullable(),
  relativeError: z.number().nullable(),
  holds: z.boolean(),
});

/** A picture that could not be read. */
export const skippedSchema = z.strictObject({ name: z.string(), code: z.string(), message: z.string() });
