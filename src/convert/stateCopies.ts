import { FactError } from '../core/errors.js';
import type { NamedTensor } from './dtypes.js';

/** Name and PyTorch shape of a tensor that a network expects. */
export interface WantedTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly dtype: 'float32' | 'int64';
}

/** One copy of a network's weights inside a checkpoint: the tensors whose names begin with `prefix`. */
export interface StateCopy {
  /** `''`, `module.`, `state_dict.model.`, `state_dict.ema.module.`, ... */
  readonly prefix: string;
  readonly isAverage: boolean;
  /** Names without the prefix, in the file's order. */
  readonly tensors: ReadonlyMap<string, NamedTensor>;
  readonly missing: readonly WantedTensor[];
  readonly leftOver: readonly NamedTensor[];
  readonly misshapen: readonly { readonly wanted: WantedTensor; readonly found: NamedTensor }[];
}

/** How well a copy fits: number of differences. */
export function differences(copy: StateCopy): number {
  return copy.missing.length + copy.leftOver.length + copy.misshapen.length;
}

const AVERAGE = /(^|[._])(ema|swa|averaged?|avg)([._]|$)/i;

/** True for a prefix that names a running average of the weights: `model_ema.`, `ema.module.`, `state_dict_ema.`. */
export function isAveragePrefix(prefix: string): boolean {
  return AVERAGE.test(prefix);
}

/** Counters that PyTorch itself lets be absent. */
function isOptional(wanted: WantedTensor): boolean {
  return wanted.name.endsWith('num_batches_tracked');
}

/** The counter that `torch.optim.swa_utils.AveragedModel` keeps beside its copy. */
const AVERAGE_COUNTER = 'n_averaged';

/** Prefixes under which some of a network's names are found, most complete first. */
function prefixesOf(names: readonly string[], wanted: readonly WantedTensor[]): string[] {
  const counts = new Map<string, number>();
  const probes = new Set(
    [0, 1, wanted.length >> 1, wanted.length - 1].map((i) => wanted[i]?.name).filter(Boolean),
  );
  for (const probe of probes)
    for (const name of names) {
      if (name !== probe && !name.endsWith(`.${probe}`)) continue;
      const prefix = name.slice(0, name.length - probe.length);
      counts.set(prefix, (counts.get(prefix) ?? 0) + 1);
    }
  return [...counts].sort((a, b) => b[1] - a[1] || a[0].length - b[0].length).map(([prefix]) => prefix);
}

/**
 * The copies of a network in a checkpoint, best first. The name that a wanted tensor has in the file may be longer on
 * the left (`state_dict.model.`); what lies outside a copy's prefix, or inside that of another copy, is not left over.
 */
export function findCopies(tensors: readonly NamedTensor[], wanted: readonly WantedTensor[]): StateCopy[] {
  const prefixes = prefixesOf(
    tensors.map((tensor) => tensor.name),
    wanted,
  );
  const byName = new Map(wanted.map((entry) => [entry.name, entry]));
  const copies = prefixes.map((prefix): StateCopy => {
    // Another copy below this prefix, and what lies beside it (`ema.n_averaged` beside `ema.module.`), is not of this copy.
    const inner = prefixes
      .filter((other) => other.length > prefix.length && other.startsWith(prefix))
      .map((other) => other.slice(0, other.indexOf('.', prefix.length) + 1));
    const found = new Map<string, NamedTensor>();
    const leftOver: NamedTensor[] = [];
    for (const tensor of tensors) {
      if (!tensor.name.startsWith(prefix)) continue;
      const name = tensor.name.slice(prefix.length);
      if (byName.has(name)) found.set(name, tensor);
      else if (name === AVERAGE_COUNTER) continue;
      else if (!inner.some((other) => tensor.name.startsWith(other))) leftOver.push(tensor);
    }
    const missing = wanted.filter((entry) => !found.has(entry.name) && !isOptional(entry));
    const misshapen = wanted.flatMap((entry) => {
      const tensor = found.get(entry.name);
      return tensor !== undefined && String(tensor.shape) !== String(entry.shape)
        ? [{ wanted: entry, found: tensor }]
        : [];
    });
    return { prefix, isAverage: isAveragePrefix(prefix), tensors: found, missing, leftOver, misshapen };
  });
  return copies.sort((a, b) => differences(a) - differences(b) || a.prefix.length - b.prefix.length);
}

export interface CopyChoice {
  /** Take the running average of the weights. */
  readonly ema?: boolean;
  /** Take the copy with exactly this prefix. */
  readonly prefix?: string;
}

function listOf(copies: readonly StateCopy[]): string {
  return copies.map((copy) => (copy.prefix === '' ? '(no prefix)' : `"${copy.prefix}"`)).join(', ') || 'none';
}

/**
 * The copy that the caller wants: that of `prefix`, the average with `ema`, else the plain weights (the average where
 * there are no others). Throws FactError E_NO_COPY where there is none, E_AMBIGUOUS_COPY where several different ones fit.
 */
export function chooseCopy(copies: readonly StateCopy[], choice: CopyChoice, file: string): StateCopy {
  const fitting = (list: readonly StateCopy[]): readonly StateCopy[] =>
    list.filter((copy) => differences(copy) === (list[0] ? differences(list[0]) : 0));
  if (choice.prefix !== undefined) {
    const copy = copies.find((c) => c.prefix === choice.prefix);
    if (copy !== undefined) return copy;
    throw new FactError({
      code: 'E_NO_COPY',
      message: `${file}: no weights of this network under the prefix "${choice.prefix}"`,
      remedy: `Prefixes with weights of it: ${listOf(copies)}.`,
    });
  }
  const plain = copies.filter((copy) => !copy.isAverage);
  const averages = copies.filter((copy) => copy.isAverage);
  const pool = fitting(choice.ema === true ? averages : plain.length > 0 ? plain : averages);
  if (pool.length === 0)
    throw new FactError({
      code: 'E_NO_COPY',
      message: `${file}: no ${choice.ema === true ? 'running average of the weights' : 'weights of this network'} in it`,
      remedy:
        choice.ema === true
          ? `Leave out --ema; prefixes with weights: ${listOf(copies)}.`
          : 'Run `fact inspect` on it, and name the architecture with --arch.',
    });
  if (pool.length > 1 && !pool.every((copy) => sameBytes(copy, pool[0])))
    throw new FactError({
      code: 'E_AMBIGUOUS_COPY',
      message: `${file}: ${pool.length} different copies of the weights: ${listOf(pool)}`,
      remedy: `Choose one with --prefix, e.g. --prefix ${pool[0].prefix || "''"}.`,
    });
  return pool[0];
}

function sameBytes(a: StateCopy, b: StateCopy): boolean {
  if (a.tensors.size !== b.tensors.size) return false;
  for (const [name, tensor] of a.tensors) {
    const other = b.tensors.get(name);
    if (other === undefined || Buffer.compare(tensor.bytes, other.bytes) !== 0) return false;
  }
  return true;
}
