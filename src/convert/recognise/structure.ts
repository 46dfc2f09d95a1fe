/*
 * Weights by what is computed with them, for files that rename or fold them: the order of the operations, the shapes, and
 * which vector belongs to which filter.
 */
import { FactError } from '../../core/errors.js';
import type { BcosModel } from '../../models/bcosModel.js';
import type { StateEntry } from '../../models/stateDict.js';
import { toFloat32 } from '../castTensor.js';
import { countOf, lazyTensor, type NamedTensor } from '../dtypes.js';
import { permuted } from '../permute.js';
import { canonicalShape } from './signature.js';

/** Filters [out, in, height, width] or a matrix [out, in], with its bias. */
export interface UsedWeights {
  readonly kind: 'weights';
  readonly tensor: NamedTensor;
  readonly bias: NamedTensor | null;
}

/** A normalisation: y = (x - mean) / sqrt(variance + epsilon) * scale + offset. */
export interface UsedNorm {
  readonly kind: 'norm';
  readonly scale: NamedTensor | null;
  readonly offset: NamedTensor | null;
  readonly mean: NamedTensor | null;
  readonly variance: NamedTensor | null;
  readonly epsilon: number;
  /** Index of the weights whose result it is computed from, the last of several; -1: none. */
  readonly after: number;
}

/** A product with a constant vector over the channels: what a norm is folded to whose mean is not subtracted. */
export interface UsedFactor {
  readonly kind: 'factor';
  readonly tensor: NamedTensor;
  readonly after: number;
}

/** One use of weights, in the order of computation. */
export type WeightUse = UsedWeights | UsedNorm | UsedFactor;

/** Uses under collection: what is added to or multiplied with the result of one use belongs to it. */
export class UseList {
  readonly all: WeightUse[] = [];
  /** Index of the use that made a value. */
  private readonly madeBy = new Map<string, number>();
  /** Index of the last weights that a value depends on. */
  private readonly origins = new Map<string, number>();

  add(use: WeightUse, output: string): void {
    this.madeBy.set(output, this.all.length);
    if (use.kind === 'weights') this.origins.set(output, this.all.length);
    this.all.push(use);
  }

  /** Values that are computed from others, whatever is done with them. */
  flow(inputs: readonly string[], outputs: readonly string[]): void {
    const origin = inputs.reduce((last, name) => Math.max(last, this.originOf(name)), -1);
    for (const output of outputs) this.origins.set(output, origin);
  }

  /** Index of the last weights that a value depends on; -1: none. */
  originOf(value: string): number {
    return this.origins.get(value) ?? -1;
  }

  /** A value that holds the same numbers as another one. */
  pass(from: string, to: string): void {
    const index = this.madeBy.get(from);
    if (index !== undefined) this.madeBy.set(to, index);
  }

  /** A product or quotient with a vector; several in a row are one factor. */
  scale(vector: NamedTensor, isDivisor: boolean, of: string, output: string): void {
    const index = this.madeBy.get(of);
    const before = index === undefined ? undefined : this.all[index];
    const tensor = isDivisor ? inverse(vector) : vector;
    if (
      index !== undefined &&
      before?.kind === 'factor' &&
      countOf(before.tensor.shape) === countOf(vector.shape)
    ) {
      this.all[index] = { ...before, tensor: product(before.tensor, tensor) };
      this.madeBy.set(output, index);
    } else this.add({ kind: 'factor', tensor, after: this.originOf(of) }, output);
  }

  /** A sum with a vector: the bias of the filters before it. */
  offset(vector: NamedTensor, of: string, output: string): void {
    const index = this.madeBy.get(of);
    const before = index === undefined ? undefined : this.all[index];
    if (index === undefined || before?.kind !== 'weights' || before.bias !== null) return;
    this.all[index] = { ...before, bias: vector };
    this.madeBy.set(output, index);
  }
}

function computed(tensor: NamedTensor, values: () => Float32Array): NamedTensor {
  return lazyTensor(tensor.name, 'float32', tensor.shape, () => new Uint8Array(values().buffer));
}

function inverse(tensor: NamedTensor): NamedTensor {
  return computed(tensor, () => toFloat32(tensor).map((value) => 1 / value));
}

function product(a: NamedTensor, b: NamedTensor): NamedTensor {
  return computed(b, () => {
    const other = toFloat32(b);
    return toFloat32(a).map((value, i) => value * other[i]);
  });
}

/** Weights found by structure, and how. */
export interface StructureMatch {
  /** By the network's names, in PyTorch's layout. */
  readonly tensors: ReadonlyMap<string, NamedTensor>;
  /** What a person should know: folded norms, renamed weights. */
  readonly notes: readonly string[];
}

function withShape(tensor: NamedTensor, name: string, shape: readonly number[]): NamedTensor {
  return lazyTensor(name, tensor.dtype, shape, () => tensor.bytes, tensor.tie ?? tensor);
}

/** A float32 tensor of one repeated number. */
function filled(name: string, shape: readonly number[], value: number): NamedTensor {
  return lazyTensor(name, 'float32', shape, () => {
    const values = new Float32Array(countOf(shape)).fill(value);
    return new Uint8Array(values.buffer);
  });
}

/** Filters and matrices of a network with the norm's and bias's entries that come with each. */
interface Layer {
  readonly path: string;
  readonly weight: StateEntry;
  readonly bias: StateEntry | undefined;
}

interface Norm {
  readonly path: string;
  readonly entries: ReadonlyMap<string, StateEntry>;
  readonly size: number;
  /** Index of the filters that it follows, -1 for none. */
  readonly after: number;
}

const NORM_PARTS = ['weight', 'bias', 'running_mean', 'running_var', 'num_batches_tracked'];

/** The layers of a network in state-dict order. */
function layersOf(entries: readonly StateEntry[]): { layers: Layer[]; norms: Norm[]; others: StateEntry[] } {
  const byPath = new Map<string, Map<string, StateEntry>>();
  for (const entry of entries) {
    const at = entry.name.lastIndexOf('.');
    const path = entry.name.slice(0, Math.max(0, at));
    const parts = byPath.get(path) ?? new Map<string, StateEntry>();
    parts.set(entry.name.slice(at + 1), entry);
    byPath.set(path, parts);
  }
  const layers: Layer[] = [];
  const norms: Norm[] = [];
  const others: StateEntry[] = [];
  for (const [path, parts] of byPath) {
    const weight = parts.get('weight');
    if (weight !== undefined && weight.shape.length >= 2)
      layers.push({ path, weight, bias: parts.get('bias') });
    else if ([...parts.keys()].every((part) => NORM_PARTS.includes(part))) {
      const size = (weight ?? parts.get('running_var') ?? [...parts.values()][0]).shape.reduce(
        (p, d) => p * d,
        1,
      );
      norms.push({ path, entries: parts, size, after: layers.length - 1 });
    } else others.push(...parts.values());
  }
  return { layers, norms, others };
}

/** True where all numbers are the same: a filter of ones sums the patch of a B-cos layer, it is no weight. */
function isUniform(tensor: NamedTensor): boolean {
  const values = toFloat32(tensor);
  return values.every((value) => value === values[0]);
}

/** The uses of each key in order, to be taken one after the other. */
function queues<T>(items: readonly T[], key: (item: T) => string): Map<string, T[]> {
  const map = new Map<string, T[]>();
  for (const item of items) {
    const known = map.get(key(item));
    if (known === undefined) map.set(key(item), [item]);
    else known.push(item);
  }
  return map;
}

function countedNames(paths: readonly string[]): string {
  const shown = paths.slice(0, 20).join(', ');
  return paths.length > 20 ? `${shown}, and ${paths.length - 20} more` : shown;
}

/**
 * Finds a network's weights among those that a graph computes with: the k-th filter of a shape is the k-th of that shape
 * in the graph, matrices in either order of their axes. A batch norm that was folded into the filters before it is put
 * back as one that only adds; one that was folded to a factor as one that only multiplies: the network computes the same.
 * @param taken what was found by name already
 * Throws FactError E_SHAPE_MISMATCH that lists everything without a partner.
 */
export function matchStructure(
  model: BcosModel,
  uses: readonly WeightUse[],
  file: string,
  taken: ReadonlyMap<string, NamedTensor> = new Map(),
): StructureMatch {
  const { layers, norms, others } = layersOf(model.stateDict());
  const found = new Map<string, NamedTensor>();
  const missing = others.filter(({ name }) => !taken.has(name)).map((entry) => `"${entry.name}"`);
  const all = uses.filter((use) => use.kind === 'weights');
  const named = new Map(all.map((use) => [use.tensor.name, use]));
  const weights = all.filter((use) => !taken.has(use.tensor.name));
  const byShape = queues(weights, (use) => canonicalShape(use.tensor.shape));
  /** Index of the use that each layer was found in. */
  const places: number[] = layers.map(() => -1);
  const biases: (NamedTensor | null)[] = layers.map(({ path, weight, bias }, layer) => {
    if (taken.has(weight.name)) {
      const use = named.get(weight.name);
      places[layer] = use === undefined ? -1 : uses.indexOf(use);
      if (bias === undefined) return use?.bias ?? null;
      if (!taken.has(bias.name) && use?.bias != null)
        found.set(bias.name, withShape(use.bias, bias.name, bias.shape));
      return null;
    }
    const use = byShape.get(canonicalShape(weight.shape))?.shift();
    if (use === undefined) {
      missing.push(`"${path}.weight" [${weight.shape}]`);
      return null;
    }
    places[layer] = uses.indexOf(use);
    const [rows] = weight.shape;
    const isSameOrder = use.tensor.shape[0] === rows || use.tensor.shape.length > 2;
    found.set(
      weight.name,
      isSameOrder
        ? withShape(use.tensor, weight.name, weight.shape)
        : withShape(permuted(use.tensor, [1, 0]), weight.name, weight.shape),
    );
    if (bias === undefined) return use.bias;
    if (taken.has(bias.name)) return null;
    if (use.bias === null) missing.push(`"${path}.bias"`);
    else found.set(bias.name, withShape(use.bias, bias.name, bias.shape));
    return null;
  });
  const leftOver = [...byShape.values()].flat().filter(({ tensor }) => !isUniform(tensor));
  const epsilon = model.spec.options.normEpsilon ?? USUAL_EPSILON;
  const open = norms.filter(({ entries }) =>
    [...entries.values()].some(({ name, dtype }) => dtype === 'float32' && !taken.has(name)),
  );
  const folded = matchNorms(open, uses, biases, places, found, missing, epsilon);
  if (missing.length > 0 || leftOver.length > 0)
    throw new FactError({
      code: 'E_SHAPE_MISMATCH',
      message: `${file}: what it computes with does not fit ${model.spec.arch}: ${[
        ...(missing.length > 0 ? [`${missing.length} without a partner: ${countedNames(missing)}`] : []),
        ...(leftOver.length > 0
          ? [
              `${leftOver.length} left over: ${countedNames(leftOver.map(({ tensor }) => `"${tensor.name}" [${tensor.shape}]`))}`,
            ]
          : []),
      ].join('; ')}`,
      remedy:
        'Name the right architecture with --arch, or convert the checkpoint that the file was exported from.',
    });
  const notes = [`${found.size} tensors were matched by what is computed with them`];
  if (folded > 0)
    notes.push(
      `${folded} batch norms are folded into weights in this file: the network computes the same, but their statistics are lost`,
    );
  return { tensors: found, notes };
}

/** Epsilon of PyTorch's norms. */
const USUAL_EPSILON = 1e-5;

/** The variance as the network needs it where its epsilon is another one. */
function shifted(norm: UsedNorm, epsilon: number): NamedTensor | null {
  const { variance } = norm;
  const gap = norm.epsilon - epsilon;
  if (variance === null || Math.abs(gap) < 1e-12) return variance;
  return lazyTensor(variance.name, 'float32', variance.shape, () => {
    const values = toFloat32(variance).map((value) => value + gap);
    return new Uint8Array(values.buffer);
  });
}

/** Norms of a graph, handed out: first those that directly follow the same filters as in the network, then in order. */
class NormQueue<T extends { readonly after: number }> {
  private readonly left: T[];
  private readonly reserved = new Map<Norm, T>();

  constructor(
    uses: readonly T[],
    private readonly sizeOf: (use: T) => number,
  ) {
    this.left = [...uses];
  }

  reserve(norm: Norm, place: number): void {
    const index =
      place < 0 ? -1 : this.left.findIndex((use) => use.after === place && this.sizeOf(use) === norm.size);
    if (index >= 0) this.reserved.set(norm, this.left.splice(index, 1)[0]);
  }

  take(norm: Norm): T | undefined {
    const reserved = this.reserved.get(norm);
    if (reserved !== undefined) return reserved;
    const index = this.left.findIndex((use) => this.sizeOf(use) === norm.size);
    return index < 0 ? undefined : this.left.splice(index, 1)[0];
  }
}

/** Fills the norms; returns how many were folded away in the file. */
function matchNorms(
  norms: readonly Norm[],
  uses: readonly WeightUse[],
  biases: (NamedTensor | null)[],
  places: readonly number[],
  found: Map<string, NamedTensor>,
  missing: string[],
  epsilon: number,
): number {
  // A variance whose root, with the network's epsilon added, is 1.
  const one = 1 - epsilon;
  const sizeOf = (use: UsedNorm): number => countOf((use.scale ?? use.offset ?? use.variance)?.shape ?? []);
  const whole = new NormQueue(
    uses.filter((use) => use.kind === 'norm'),
    sizeOf,
  );
  const factors = new NormQueue(
    uses.filter((use) => use.kind === 'factor'),
    (use) => countOf(use.tensor.shape),
  );
  for (const norm of norms) {
    const place = norm.after >= 0 ? places[norm.after] : -1;
    whole.reserve(norm, place);
    factors.reserve(norm, place);
  }
  let folded = 0;
  for (const item of norms) {
    const { path, entries, size, after } = item;
    const put = (part: string, tensor: NamedTensor | null | undefined, otherwise: number): void => {
      const entry = entries.get(part);
      if (entry === undefined || entry.dtype === 'int64') return;
      found.set(
        entry.name,
        tensor == null
          ? filled(entry.name, entry.shape, otherwise)
          : withShape(tensor, entry.name, entry.shape),
      );
    };
    const norm = whole.take(item);
    if (norm !== undefined) {
      put('weight', norm.scale, 1);
      put('bias', norm.offset, 0);
      put('running_mean', norm.mean, 0);
      put('running_var', shifted(norm, epsilon), one);
      continue;
    }
    const factor = factors.take(item);
    const bias = after >= 0 ? biases[after] : null;
    if (factor === undefined && bias === null) {
      missing.push(`"${path}" (a norm of ${size})`);
      continue;
    }
    folded++;
    if (bias !== null) biases[after] = null;
    put('weight', factor?.tensor ?? null, 1);
    put('bias', bias, 0);
    put('running_mean', null, 0);
    put('running_var', null, one);
  }
  return folded;
}
