import { FactError } from '../core/errors.js';
import { type ModelOptions, modelOptionsSchema } from '../models/options.js';
import type { ModelSpec } from '../models/spec.js';
import type { NamedTensor } from './dtypes.js';
import { resNetTraits } from './recognise.js';

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
  if (!isPlausible(options, tensors)) throw fail(`"${OPTIONS}" contradicts the tensors`);
  return { arch, options };
}

/** Numbers of an option, lists flattened. */
function numbersOf(value: unknown): number[] {
  if (typeof value === 'number') return [value];
  return Array.isArray(value) ? value.flatMap(numbersOf) : [];
}

/** Options that say how many layers there are. */
const LAYER_COUNTS = ['blocks', 'depth'] as const;
/** Options that are no sizes of the network. */
const OTHER = [...LAYER_COUNTS, 'logitBias', 'temperature', 'normEpsilon', 'stochasticDepth', 'b'];
/** Sizes up to this are always possible: heads, groups, patches. */
const SMALL = 64;

/**
 * True where a network of these options is not much larger than the tensors: a small file cannot ask for a large one.
 * Whether every name and shape fits is seen when the weights are taken.
 */
function isPlausible(options: ModelOptions, tensors: readonly NamedTensor[]): boolean {
  const longest = tensors.reduce((most, { shape }) => Math.max(most, ...shape.slice(0, 8)), SMALL);
  const layers = LAYER_COUNTS.flatMap((key) => numbersOf(options[key])).reduce((sum, n) => sum + n, 0);
  const sizes = Object.entries(options).filter(([key]) => !OTHER.includes(key));
  const traits = resNetTraits(tensors, '');
  if (traits !== null && options.width !== undefined && traits.width !== options.width) return false;
  return (
    layers <= tensors.length && sizes.every(([, value]) => numbersOf(value).every((size) => size <= longest))
  );
}
