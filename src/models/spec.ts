import { z } from 'zod';
import { modelOptionsSchema } from './options.js';

const size = z.number().int().min(1);

/** Evaluation transform: shorter side to `resize` (antialiased bilinear), then a centre crop [height, width]. */
export const preprocessingSchema = z.strictObject({ resize: size, crop: z.tuple([size, size]) });
export type Preprocessing = z.infer<typeof preprocessingSchema>;

/** What `fact.json` beside a saved network says. */
export const modelSpecSchema = z.strictObject({
  format: z.literal('fact-model'),
  version: z.literal(1),
  /** Name in the registry. */
  arch: z.string(),
  /** `bcos` explains exactly; `standard` classifies only (softmax); `features` names no classes. */
  kind: z.enum(['bcos', 'standard', 'features']).default('bcos'),
  options: modelOptionsSchema,
  /** Height and width that the network was made for; it computes on others too. */
  inputSize: z.tuple([size, size]),
  preprocessing: preprocessingSchema,
  logitBias: z.number().nullable(),
  temperature: z.number().nullable(),
  classNames: z.array(z.string()).nullable(),
  /** Stages worth splicing at. */
  taps: z.array(z.string()),
  /** Where the weights came from: a file, a run, or null for fresh ones. */
  source: z.string().nullable(),
  /** SHA-256 of weights.bin; null: never saved. */
  weightsHash: z.string().nullable(),
});
export type ModelSpec = z.infer<typeof modelSpecSchema>;
