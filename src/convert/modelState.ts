import { FactError } from '../core/errors.js';
import type { BcosModel } from '../models/bcosModel.js';
import type { StateEntry } from '../models/stateDict.js';
import { toFloat32, toInt64 } from './castTensor.js';
import type { DType, NamedTensor } from './dtypes.js';
import { nearestArchitecture, recognise } from './recognise.js';
import { type CopyChoice, chooseCopy, differences, findCopies, type StateCopy } from './stateCopies.js';

/** Differences of one kind listed in a message: all of any real network; a hostile file cannot flood the terminal. */
const LISTED = 500;

/** The state dict of a network as tensors of a file: contiguous little-endian bytes in PyTorch's layout. */
export function tensorsOfModel(model: BcosModel): NamedTensor[] {
  return model.stateDict().map((entry) => {
    const values = entry.read();
    const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    return { name: entry.name, dtype: entry.dtype, shape: [...entry.shape], bytes };
  });
}

/** Element types that float32 holds exactly. */
const EXACT: readonly DType[] = ['float32', 'float16', 'bfloat16'];

function listed(items: readonly string[]): string {
  const shown = items.slice(0, LISTED).join(', ');
  return items.length > LISTED ? `${shown}, and ${items.length - LISTED} more` : shown;
}

/** Every difference between a copy and the network, in one error with the nearest architecture. */
function mismatchError(
  file: string,
  arch: string,
  copy: StateCopy,
  tensors: readonly NamedTensor[],
): FactError {
  const exact = recognise(tensors);
  const nearest = exact ?? nearestArchitecture(tensors);
  const parts: string[] = [];
  if (copy.misshapen.length > 0)
    parts.push(
      `${copy.misshapen.length} misshapen: ${listed(copy.misshapen.map(({ wanted, found }) => `"${found.name}" has shape [${found.shape}], expected [${wanted.shape}]`))}`,
    );
  if (copy.missing.length > 0)
    parts.push(
      `${copy.missing.length} missing: ${listed(copy.missing.map(({ name }) => `"${copy.prefix}${name}"`))}`,
    );
  if (copy.leftOver.length > 0)
    parts.push(`${copy.leftOver.length} left over: ${listed(copy.leftOver.map(({ name }) => `"${name}"`))}`);
  const isOther = nearest !== null && nearest.arch !== arch;
  return new FactError({
    code: 'E_SHAPE_MISMATCH',
    message: `${file}: the tensors do not fit ${arch}: ${parts.join('; ')}`,
    remedy: isOther
      ? `${exact === null ? `The nearest architecture is ${nearest.arch}.` : `Is this a ${nearest.arch} checkpoint?`} Try --arch ${nearest.arch}.`
      : 'Name the right architecture with --arch, or another copy of the weights with --prefix; `fact inspect` lists the tensors.',
  });
}

/** What was written into a network. */
export interface LoadedState {
  /** Prefix of the copy that was taken. */
  readonly prefix: string;
  readonly isAverage: boolean;
  /** Counters that the file lacks; they stay 0. */
  readonly absentCounters: readonly string[];
  /** Tensors whose element type differed, e.g. float64: rounded to float32. */
  readonly rounded: readonly string[];
  /** The tensors that were taken, under the network's names. */
  readonly taken: ReadonlyMap<string, NamedTensor>;
}

/**
 * Writes the weights of a checkpoint into a network: finds the copies, chooses one, checks every name and shape, then
 * writes. Throws FactError E_NO_COPY, E_AMBIGUOUS_COPY, E_SHAPE_MISMATCH; the network is then untouched.
 */
export function writeState(
  model: BcosModel,
  tensors: readonly NamedTensor[],
  choice: CopyChoice,
  file: string,
): LoadedState {
  const entries = model.stateDict();
  const copies = findCopies(tensors, entries);
  if (copies.length === 0) {
    const none = {
      prefix: '',
      isAverage: false,
      tensors: new Map(),
      missing: entries,
      leftOver: tensors,
      misshapen: [],
    };
    throw mismatchError(file, model.spec.arch, none, tensors);
  }
  const copy = chooseCopy(copies, choice, file);
  if (differences(copy) > 0) throw mismatchError(file, model.spec.arch, copy, tensors);
  const rounded: string[] = [];
  const absentCounters: string[] = [];
  const writes: [StateEntry, Float32Array | BigInt64Array][] = [];
  for (const entry of entries) {
    const tensor = copy.tensors.get(entry.name);
    if (tensor === undefined) {
      absentCounters.push(entry.name);
      continue;
    }
    writes.push([entry, entry.dtype === 'int64' ? toInt64(tensor) : toFloat32(tensor)]);
    if (entry.dtype === 'float32' && !EXACT.includes(tensor.dtype)) rounded.push(tensor.name);
  }
  for (const [entry, values] of writes) entry.write(values);
  return { prefix: copy.prefix, isAverage: copy.isAverage, absentCounters, rounded, taken: copy.tensors };
}
