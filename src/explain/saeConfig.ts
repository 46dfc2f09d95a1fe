import { z } from 'zod';
import { FactError } from '../core/errors.js';
import { nearestName } from '../core/nearest.js';

/** Version of the folder format; a reader refuses newer ones. */
export const SAE_FORMAT_VERSION = 1;

const count = z.number().int().min(1);

/**
 * cfg.json of an autoencoder's folder. Field names follow SAELens where it has them: d_in = channels, d_sae = latents,
 * hook_name = tap.
 */
const schema = z.strictObject({
  format: z.literal('fact-sae'),
  version: z.number().int().min(1),
  /**
   * How it was trained, and with it which activations of a position count. topk: the k largest. archetypal: the same;
   * directions are mixtures of feature vectors. batchtopk: those above `threshold`, the `width` largest of them.
   */
  architecture: z.enum(['topk', 'batchtopk', 'archetypal']),
  activation: z.literal('topk'),
  d_in: count,
  d_sae: count,
  /** Activations of a position; batchtopk: on average, in training. */
  k: count,
  /** Of batchtopk, and only there: activations of features as they are count above it. */
  threshold: z.number().positive().optional(),
  /** Of batchtopk, and only there: most activations of a position. */
  width: count.optional(),
  dtype: z.enum(['float32', 'float16']),
  apply_b_dec_to_input: z.literal(false),
  hook_name: z.string().min(1),
  model_name: z.string().nullable(),
  model_weights_hash: z.string().nullable(),
  /** Features were divided by this number in training; information only: encode and decode are homogeneous. */
  norm_factor: z.number().positive().nullable(),
  weights_sha256: z.string().nullable(),
  /** How it was trained and what was measured: free form, plain JSON. */
  training: z.record(z.string(), z.unknown()),
});

export type SaeConfig = z.infer<typeof schema>;

function configError(path: string, what: string, remedy: string): FactError {
  return new FactError({ code: 'E_SAE_CONFIG', message: `${path}: ${what}`, remedy });
}

/** Checks the text of a cfg.json. Throws FactError E_SAE_CONFIG naming file and key. */
export function parseSaeConfig(path: string, text: string): SaeConfig {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw configError(
      path,
      `not JSON: ${(error as Error).message.split('\n')[0]}`,
      'Is this the cfg.json of an autoencoder folder? Write it again with `fact sae`.',
    );
  }
  const version = (value as { version?: unknown } | null)?.version;
  if (typeof version === 'number' && version > SAE_FORMAT_VERSION) {
    throw configError(
      path,
      `"version" is ${version}, this program reads up to ${SAE_FORMAT_VERSION}`,
      'Update fact-tfjs.',
    );
  }
  const parsed = schema.safeParse(value);
  if (!parsed.success) {
    const { issues } = parsed.error;
    const issue = issues.find((i) => i.code === 'unrecognized_keys') ?? issues[0];
    if (issue.code === 'unrecognized_keys') {
      const near = nearestName(issue.keys[0], Object.keys(schema.shape));
      throw configError(
        path,
        `unknown key "${issue.keys[0]}"`,
        near === undefined ? 'Remove it.' : `Did you mean "${near}"?`,
      );
    }
    throw configError(
      path,
      `"${issue.path.join('.')}": ${issue.message}`,
      'Is this the cfg.json of an autoencoder that `fact sae` wrote? Biased or gated autoencoders are not supported.',
    );
  }
  const config = parsed.data;
  const isBatch = config.architecture === 'batchtopk';
  for (const key of ['threshold', 'width'] as const) {
    if ((config[key] !== undefined) === isBatch) continue;
    throw configError(
      path,
      `"${key}" is ${isBatch ? 'missing' : 'given'}, "architecture" is ${config.architecture}`,
      'An autoencoder of architecture batchtopk has a threshold and a width, the others have none.',
    );
  }
  if (config.width !== undefined && config.width > config.d_sae) {
    throw configError(
      path,
      `"width" is ${config.width}, more than the ${config.d_sae} latents ("d_sae")`,
      'The file is damaged; copy the folder again.',
    );
  }
  if (config.k > config.d_sae) {
    throw configError(
      path,
      `"k" is ${config.k}, more than the ${config.d_sae} latents ("d_sae")`,
      'Choose k at most as large as the number of latents.',
    );
  }
  return config;
}
