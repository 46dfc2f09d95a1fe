import { z } from 'zod';
import { FactError } from '../core/errors.js';

/** Names of the files in a network's folder. */
export const MODEL_FILE = 'model.json';
export const WEIGHTS_FILE = 'weights.bin';
export const SPEC_FILE = 'fact.json';

const weightSchema = z.object({
  name: z.string(),
  shape: z.array(z.number().int().min(0)),
  dtype: z.enum(['float32', 'int32']),
  /** tfjs's own way to say that float32 values are stored as float16. */
  quantization: z.object({ dtype: z.literal('float16') }).optional(),
});

/** A weight in the manifest of `model.json`. */
export type StoredWeight = z.infer<typeof weightSchema>;

/** The part of tfjs's layers format that is read here. */
export const modelFileSchema = z.object({
  weightsManifest: z.tuple([
    z.object({ paths: z.tuple([z.literal(WEIGHTS_FILE)]), weights: z.array(weightSchema) }),
  ]),
});

/** Bytes that a weight takes in `weights.bin`. */
export function storedBytes(weight: StoredWeight): number {
  const count = weight.shape.reduce((p, d) => p * d, 1);
  return count * (weight.quantization === undefined ? 4 : 2);
}

/** A saved network that cannot be what was written: FactError E_MODEL_CORRUPT. */
export function corrupt(path: string, message: string, cause?: unknown): FactError {
  return new FactError({
    code: 'E_MODEL_CORRUPT',
    message: `${path}: ${message}`,
    remedy: 'The folder is damaged or was changed by hand; copy or convert the network again.',
    cause,
  });
}
