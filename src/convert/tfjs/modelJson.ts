import { z } from 'zod';
import { type CheckpointErrors, quoted } from '../checkpointError.js';
import { MAX_MODEL_DEPTH, MAX_MODEL_JSON, MAX_TENSORS, MAX_WEIGHT_FILES } from '../limits.js';
import { type Json, JsonFault, parseStrictJson } from '../strictJson.js';

const size = z.number().int().min(0);
const weight = z.object({
  name: z.string().max(4096),
  shape: z.array(size).max(64),
  dtype: z.string(),
  quantization: z
    .object({
      dtype: z.enum(['float16', 'uint8', 'uint16']),
      scale: z.number().optional(),
      min: z.number().optional(),
    })
    .optional(),
});
const manifest = z
  .array(
    z.object({ paths: z.array(z.string()).max(MAX_WEIGHT_FILES), weights: z.array(weight).max(MAX_TENSORS) }),
  )
  .max(MAX_WEIGHT_FILES);

/** A weight in the manifest of a tfjs network. */
export type ManifestWeight = z.infer<typeof weight>;

/** A tfjs network's model.json: which format, its topology as plain data, and where its weights lie. */
export interface ModelJson {
  readonly format: 'layers-model' | 'graph-model';
  readonly topology: ReadonlyMap<string, Json>;
  readonly groups: z.infer<typeof manifest>;
  /** The whole file, for tfjs itself. */
  readonly text: string;
}

/** Plain objects of parsed JSON; names of the file become own properties of objects without prototype. */
function plain(value: Json | undefined): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (!(value instanceof Map)) return value;
  const object = Object.create(null) as Record<string, unknown>;
  for (const [key, item] of value as ReadonlyMap<string, Json>) object[key] = plain(item);
  return object;
}

/** Reads model.json. Throws E_CKPT_CORRUPT, E_CKPT_TOO_LARGE, E_CKPT_UNSUPPORTED. */
export function parseModelJson(bytes: Uint8Array, errors: CheckpointErrors): ModelJson {
  if (bytes.length > MAX_MODEL_JSON)
    throw errors.fault('too_large', '', `${bytes.length} bytes, at most ${MAX_MODEL_JSON} are read`);
  let text: string;
  let json: Json;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    json = parseStrictJson(text, { depth: MAX_MODEL_DEPTH, values: 3_000_000 });
  } catch (error) {
    if (error instanceof TypeError) throw errors.fault('corrupt', '', 'it is not UTF-8');
    if (!(error instanceof JsonFault)) throw error;
    throw errors.fault(error.isTooLarge ? 'too_large' : 'corrupt', `character ${error.at}`, error.message);
  }
  if (!(json instanceof Map)) throw errors.fault('corrupt', '', 'it is no JSON object');
  const fields = json as ReadonlyMap<string, Json>;
  const format = fields.get('format') ?? 'layers-model';
  if (format !== 'layers-model' && format !== 'graph-model')
    throw errors.fault('unsupported', '', `its format is ${quoted(String(format))}`);
  const topology = fields.get('modelTopology');
  if (!(topology instanceof Map)) throw errors.fault('corrupt', '', 'it has no topology (modelTopology)');
  const groups = manifest.safeParse(plain(fields.get('weightsManifest')));
  if (!groups.success) {
    const [issue] = groups.error.issues;
    throw errors.fault('corrupt', `weightsManifest.${issue.path.join('.')}`, issue.message);
  }
  return { format, topology, groups: groups.data, text };
}
