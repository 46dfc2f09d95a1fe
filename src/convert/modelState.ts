import type * as tf from '@tensorflow/tfjs';
import { FactError } from '../core/errors.js';
import type { BcosModel } from '../models/bcosModel.js';
import type { StateEntry } from '../models/stateDict.js';
import { checkCast, toFloat32, toInt64 } from './castTensor.js';
import { type DType, lazyTensor, type NamedTensor } from './dtypes.js';
import { nearestArchitecture, recognise } from './recognise/recognise.js';
import { type CopyChoice, chooseCopy, differences, findCopies, type StateCopy } from './stateCopies.js';

/** Differences of one kind listed in a message: all of any real network; a hostile file cannot flood the terminal. */
const LISTED = 500;

/** The state dict of a network as tensors of a file, in PyTorch's layout; each is copied when its bytes are asked for. */
export function tensorsOfModel(model: BcosModel): NamedTensor[] {
  return model.stateDict().map((entry) =>
    lazyTensor(entry.name, entry.dtype, [...entry.shape], () => {
      const values = entry.read();
      return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    }),
  );
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

/** The weights of a checkpoint that belong into a network; none of their bytes are read yet. */
export interface StatePlan {
  /** Prefix of the copy that was taken. */
  readonly prefix: string;
  readonly isAverage: boolean;
  /** Counters that the file lacks; they stay 0. */
  readonly absentCounters: readonly string[];
  /** Tensors whose element type differs, e.g. float64: rounded to float32. */
  readonly rounded: readonly string[];
  /** The tensors that are taken, under the network's names. */
  readonly taken: ReadonlyMap<string, NamedTensor>;
}

/**
 * Finds the copies of a network in a checkpoint, chooses one, and checks every name, shape and element type.
 * Throws FactError E_NO_COPY, E_AMBIGUOUS_COPY, E_SHAPE_MISMATCH, E_CKPT_UNSUPPORTED.
 */
export function planState(
  model: BcosModel,
  tensors: readonly NamedTensor[],
  choice: CopyChoice,
  file: string,
): StatePlan {
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
  for (const entry of entries) {
    const tensor = copy.tensors.get(entry.name);
    if (tensor === undefined) absentCounters.push(entry.name);
    else {
      checkCast(tensor, entry.dtype);
      if (entry.dtype === 'float32' && !EXACT.includes(tensor.dtype)) rounded.push(tensor.name);
    }
  }
  return { prefix: copy.prefix, isAverage: copy.isAverage, absentCounters, rounded, taken: copy.tensors };
}

function valuesOf(entry: StateEntry, tensor: NamedTensor): Float32Array | BigInt64Array {
  return entry.dtype === 'int64' ? toInt64(tensor) : toFloat32(tensor);
}

/** Writes the planned tensors into the network, one after the other. Throws the errors of reading them. */
export function fillState(model: BcosModel, plan: StatePlan): void {
  for (const entry of model.stateDict()) {
    const tensor = plan.taken.get(entry.name);
    if (tensor !== undefined) entry.write(valuesOf(entry, tensor));
  }
}

/** The values of a network's weights as the plan has them, read one at a time: for saving it without filling it. */
export function plannedWeights(
  model: BcosModel,
  plan: StatePlan,
): (weight: tf.LayerVariable) => Float32Array | Int32Array {
  const byVariable = new Map(model.stateDict().map((entry) => [entry.variable.id, entry]));
  return (weight) => {
    const variable = weight.read() as tf.Variable;
    const entry = byVariable.get(variable.id);
    const tensor = entry === undefined ? undefined : plan.taken.get(entry.name);
    if (entry === undefined || tensor === undefined) return variable.dataSync() as Float32Array | Int32Array;
    return entry.toVariable(valuesOf(entry, tensor));
  };
}

/**
 * Writes the weights of a checkpoint into a network. Throws what `planState` throws, with the network untouched, and what
 * reading a tensor throws.
 */
export function writeState(
  model: BcosModel,
  tensors: readonly NamedTensor[],
  choice: CopyChoice,
  file: string,
): StatePlan {
  const plan = planState(model, tensors, choice, file);
  fillState(model, plan);
  return plan;
}
