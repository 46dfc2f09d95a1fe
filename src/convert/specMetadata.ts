import { FactError } from '../core/errors.js';
import { type ModelOptions, modelOptionsSchema } from '../models/options.js';
import { isPlausible } from '../models/plausible.js';
import type { ModelSpec } from '../models/spec.js';
import type { NamedTensor } from './dtypes.js';
import { resNetTraits } from './recognise/recognise.js';

/** Keys of a safetensors file's metadata under which a network's architecture and options are kept. */
const ARCH = 'fact.arch';
const OPTIONS = 'fact.options';

/** Metadata that let a network be built again from a safetensors file. */
export function metadataOfSpec(spec: ModelSpec): Map<string, string> {
  return new Map([
    [ARCH, spec.arch],
    [OPTIONS, JSON.stringify(spec.options)],
  ]);
}

/**
 * Architecture and options from a file's metadata, null where it has none. They are checked against the tensors before
 * anything of their size is built. Throws FactError E_CKPT_CORRUPT where they contradict each other.
 */
export function specOfMetadata(
  metadata: ReadonlyMap<string, string>,
  tensors: readonly NamedTensor[],
  file: string,
): { arch: string; options: ModelOptions } | null {
  const arch = metadata.get(ARCH);
  const text = metadata.get(OPTIONS);
  if (arch === undefined || text === undefined) return null;
  const fail = (what: string): FactError =>
    new FactError({
      code: 'E_CKPT_CORRUPT',
      message: `${file}: header, __metadata__: ${what}`,
      remedy: 'Name the architecture with --arch.',
    });
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw fail(`"${OPTIONS}" is not JSON`);
  }
  const parsed = modelOptionsSchema.safeParse(json);
  if (!parsed.success)
    throw fail(`"${OPTIONS}": ${parsed.error.issues[0].path.join('.')}: ${parsed.error.issues[0].message}`);
  const options = parsed.data;
  const traits = resNetTraits(tensors, '');
  const isOther = traits !== null && options.width !== undefined && traits.width !== options.width;
  const shapes = tensors.map(({ shape }) => shape);
  if (isOther || !isPlausible(options, shapes)) throw fail(`"${OPTIONS}" contradicts the tensors`);
  return { arch, options };
}
