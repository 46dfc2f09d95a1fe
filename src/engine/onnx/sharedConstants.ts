/*
 * Weights that a graph holds in several forms (a convolution and its transpose; the same with factors folded in) are
 * stored once, and the other forms made from them:
 *
 *     b = a, its axes permuted and some of them reversed, times one factor for each place of each axis
 *
 * by Reshape, Transpose, Slice and Mul, which a runtime does once, when it loads the file. Whatever the storage rounds a
 * to, all forms then come of the same numbers, so sums stay exact.
 */
import { GraphEditor } from './edit.js';
import type { GraphConstant, GraphParts, Shape } from './graph.js';

/** Smaller constants are not worth a search. */
const LEAST_SIZE = 1024;
/** Places compared before all are. */
const SAMPLES = 61;
/** How far a product of factors, rounded to float32, may be from what stands in the graph. */
const TOLERANCE = 2e-6;
/** Elements of the source tried as the place that factors are measured from. */
const TRIES = 4;

/** How one array is made of another; axes of size 1 are left out. */
export interface Derivation {
  /** Sizes of the source. */
  readonly from: Shape;
  readonly perm: readonly number[];
  /** Axes of the result that run backwards. */
  readonly reversed: readonly number[];
  /** For each axis of the result factors of its places, or null where they are all 1; then one factor for all. */
  readonly factors: readonly (Float64Array | null)[];
  readonly factor: number;
}

type Layout = Pick<Derivation, 'from' | 'perm' | 'reversed'>;

function permutations(count: number): number[][] {
  if (count === 0) return [[]];
  const all = permutations(count - 1).flatMap((rest) =>
    Array.from({ length: count }, (_, at) => rest.toSpliced(at, 0, count - 1)),
  );
  // The unchanged order first: it is the likeliest.
  return all.sort((a, b) => Number(isOrdered(b)) - Number(isOrdered(a)));
}

function isOrdered(perm: readonly number[]): boolean {
  return perm.every((axis, i) => axis === i);
}

function subsets(count: number): number[][] {
  return Array.from({ length: 2 ** count }, (_, bits) =>
    Array.from({ length: count }, (_, axis) => axis).filter((axis) => (bits >> axis) & 1),
  );
}

function stridesOf(shape: Shape): number[] {
  const strides = shape.map(() => 1);
  for (let axis = shape.length - 2; axis >= 0; axis--) strides[axis] = strides[axis + 1] * shape[axis + 1];
  return strides;
}

/** The result's view of the source: sizes, own strides, and where each step leads in the source. */
class View {
  readonly sizes: readonly number[];
  readonly strides: readonly number[];
  private readonly steps: readonly number[];
  private readonly start: number;

  constructor({ from, perm, reversed }: Layout) {
    const source = stridesOf(from);
    this.sizes = perm.map((axis) => from[axis]);
    this.strides = stridesOf(this.sizes);
    this.steps = perm.map((axis, i) => (reversed.includes(i) ? -source[axis] : source[axis]));
    this.start = this.steps.reduce((sum, step, i) => (step < 0 ? sum - step * (this.sizes[i] - 1) : sum), 0);
  }

  /** Index along an axis of a place of the result. */
  index(place: number, axis: number): number {
    return Math.floor(place / this.strides[axis]) % this.sizes[axis];
  }

  /** Place in the source of a place of the result. */
  source(place: number): number {
    let found = this.start;
    for (let axis = 0; axis < this.sizes.length; axis++) found += this.steps[axis] * this.index(place, axis);
    return found;
  }
}

/** Ratios b / a along each axis through one place, relative to the ratio there; null where a is 0 on the way. */
function factorsThrough(view: View, a: Float32Array, b: Float32Array, place: number): Float64Array[] | null {
  const here = b[place] / a[view.source(place)];
  const lines: Float64Array[] = [];
  for (let axis = 0; axis < view.sizes.length; axis++) {
    const first = place - view.index(place, axis) * view.strides[axis];
    const line = new Float64Array(view.sizes[axis]);
    for (let i = 0; i < line.length; i++) {
      const at = first + i * view.strides[axis];
      const value = a[view.source(at)];
      if (value === 0 && b[at] !== 0) return null;
      line[i] = value === 0 ? 1 : b[at] / value / here;
    }
    lines.push(line);
  }
  return lines;
}

function holds(view: View, a: Float32Array, b: Float32Array, rule: Derivation, step: number): boolean {
  const { factors, factor } = rule;
  for (let place = 0; place < b.length; place += step) {
    let value = a[view.source(place)] * factor;
    factors.forEach((line, axis) => {
      if (line !== null) value *= line[view.index(place, axis)];
    });
    if (!(Math.abs(value - b[place]) <= TOLERANCE * Math.abs(b[place]))) return false;
  }
  return true;
}

function deriveIn(layout: Layout, a: Float32Array, b: Float32Array): Derivation | null {
  const view = new View(layout);
  const step = Math.max(1, Math.floor(b.length / SAMPLES) | 1);
  for (let attempt = 0; attempt < TRIES; attempt++) {
    const place = Math.floor((b.length * (2 * attempt + 1)) / (2 * TRIES));
    const lines = a[view.source(place)] === 0 ? null : factorsThrough(view, a, b, place);
    if (lines === null) continue;
    const factors = lines.map((line) => (line.every((v) => Math.abs(v - 1) <= TOLERANCE) ? null : line));
    const ratio = b[place] / a[view.source(place)];
    const factor = Math.abs(ratio - 1) <= TOLERANCE ? 1 : ratio;
    const rule = { ...layout, factors, factor };
    if (holds(view, a, b, rule, step)) return holds(view, a, b, rule, 1) ? rule : null;
  }
  return null;
}

/** How `b` is made of `a`, or null. */
export function findDerivation(a: GraphConstant, b: GraphConstant): Derivation | null {
  if (!(a.data instanceof Float32Array && b.data instanceof Float32Array)) return null;
  if (a.data.length !== b.data.length) return null;
  const from = a.dims.filter((size) => size > 1);
  const to = b.dims.filter((size) => size > 1);
  if (from.length !== to.length || from.length > 4) return null;
  for (const perm of permutations(from.length)) {
    if (perm.some((axis, i) => from[axis] !== to[i])) continue;
    for (const reversed of subsets(from.length)) {
      const found = deriveIn({ from, perm, reversed }, a.data, b.data);
      if (found !== null) return found;
    }
  }
  return null;
}

/** Makes the constant `target` of the constant `source` in the graph. */
function derive(editor: GraphEditor, source: string, target: GraphConstant, rule: Derivation): void {
  const { from, perm, reversed, factors, factor } = rule;
  let value = editor.node('Reshape', [source, editor.ints(...from)]);
  if (!isOrdered(perm)) value = editor.node('Transpose', [value], { perm });
  if (reversed.length > 0) {
    const starts = editor.ints(...reversed.map(() => -1));
    const ends = editor.ints(...reversed.map((axis) => -from[perm[axis]] - 1));
    value = editor.node('Slice', [value, starts, ends, editor.ints(...reversed), starts]);
  }
  factors.forEach((line, axis) => {
    if (line === null) return;
    const dims = factors.map((_, i) => (i === axis ? line.length : 1));
    value = editor.node('Mul', [value, editor.constant('float32', dims, Float32Array.from(line))]);
  });
  if (factor !== 1)
    value = editor.node('Mul', [value, editor.constant('float32', [], Float32Array.of(factor))]);
  editor.node('Reshape', [value, editor.ints(...target.dims)], {}, target.name);
}

export interface Shared {
  readonly parts: GraphParts;
  /** Large constants that are neither originals nor made from another. */
  readonly strangers: readonly GraphConstant[];
}

/**
 * Stores large arrays that come of one another once.
 * @param originals arrays to look for first: the weights as they were before factors were folded into them
 */
export function shareConstants(parts: GraphParts, originals: readonly GraphConstant[] = []): Shared {
  const isLarge = ({ type, data }: GraphConstant): boolean => type === 'float32' && data.length >= LEAST_SIZE;
  const known = originals.filter(isLarge);
  const names = new Set(known.map(({ name }) => name));
  const strangers: GraphConstant[] = [];
  const kept = parts.constants.filter((constant) => !isLarge(constant));
  const editor = new GraphEditor({ ...parts, constants: kept }, 'shared_');
  const stored = new Set<string>();
  const store = (constant: GraphConstant): void => {
    if (stored.has(constant.name)) return;
    stored.add(constant.name);
    editor.stored(constant);
  };
  for (const constant of parts.constants.filter(isLarge)) {
    if (names.has(constant.name)) {
      store(constant);
      continue;
    }
    const source = known.find((one) => findDerivation(one, constant) !== null);
    const rule = source && findDerivation(source, constant);
    if (source && rule) {
      store(source);
      derive(editor, source.name, constant, rule);
    } else {
      store(constant);
      known.push(constant);
      strangers.push(constant);
    }
  }
  return { parts: editor.parts(), strangers };
}
