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
const TRIES = 64;
/** Lines along an axis on which a factor is looked for. */
const LINES = 24;

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

/** The i-th of places that follow no pattern. */
function scattered(i: number, length: number): number {
  return (Math.imul(i, 0x9e3779b1) >>> 0) % length;
}

/** b / a at a place of the result; undefined where a is 0. */
function ratioAt(view: View, a: Float32Array, b: Float32Array, place: number): number | undefined {
  const value = a[view.source(place)];
  return value === 0 ? undefined : b[place] / value;
}

/**
 * Factors of the places of an axis, relative to that of one place of the result: ratios along the line through it, or
 * where an element is 0 (a rounded weight may be) along a parallel line.
 */
function factorsAlong(
  view: View,
  a: Float32Array,
  b: Float32Array,
  place: number,
  axis: number,
): Float64Array {
  const stride = view.strides[axis];
  const here = view.index(place, axis);
  const lines = Array.from({ length: LINES }, (_, i) => {
    const other = i === 0 ? place : scattered(i, b.length);
    return other - view.index(other, axis) * stride;
  });
  return Float64Array.from({ length: view.sizes[axis] }, (_, i) => {
    for (const first of lines) {
      const from = ratioAt(view, a, b, first + here * stride);
      const to = ratioAt(view, a, b, first + i * stride);
      if (from !== undefined && from !== 0 && to !== undefined) return to / from;
    }
    return 1;
  });
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
  const places = Array.from({ length: TRIES }, (_, i) => scattered(i + 1, b.length));
  const place = places.find((one) => ratioAt(view, a, b, one));
  const ratio = place === undefined ? undefined : ratioAt(view, a, b, place);
  if (place === undefined || ratio === undefined) return null;
  const factors = view.sizes.map((_, axis) => {
    const line = factorsAlong(view, a, b, place, axis);
    return line.every((v) => Math.abs(v - 1) <= TOLERANCE) ? null : line;
  });
  const factor = Math.abs(ratio - 1) <= TOLERANCE ? 1 : ratio;
  const rule = { ...layout, factors, factor };
  return holds(view, a, b, rule, step) && holds(view, a, b, rule, 1) ? rule : null;
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

/** The array that a rule makes of another. */
export function applyDerivation(rule: Derivation, a: Float32Array): Float32Array {
  const view = new View(rule);
  const factors = rule.factors.map((line) => line && Float32Array.from(line));
  return Float32Array.from(a, (_, place) => {
    let value = a[view.source(place)] * rule.factor;
    factors.forEach((line, axis) => {
      if (line !== null) value *= line[view.index(place, axis)];
    });
    return value;
  });
}

/** Whether an array is large enough to be looked for in other forms. */
export function isLarge({ type, data }: GraphConstant): boolean {
  return type === 'float32' && data.length >= LEAST_SIZE;
}

export interface FoundSource {
  readonly source: GraphConstant;
  readonly rule: Derivation;
}

/** The first of some arrays that another can be made of. */
export function findSource(
  candidates: readonly GraphConstant[],
  target: GraphConstant,
): FoundSource | undefined {
  for (const source of candidates) {
    const rule = findDerivation(source, target);
    if (rule !== null) return { source, rule };
  }
  return undefined;
}

/**
 * Stores large arrays that come of one another once.
 * @param originals arrays to look for first: the weights as they were before the passes; some may not be in the graph
 */
export function shareConstants(parts: GraphParts, originals: readonly GraphConstant[] = []): GraphParts {
  const known = originals.filter(isLarge);
  const names = new Set(known.map(({ name }) => name));
  const kept = parts.constants.filter((constant) => !isLarge(constant));
  const editor = new GraphEditor({ ...parts, constants: kept }, 'shared_');
  const stored = new Set<string>();
  const store = (constant: GraphConstant): void => {
    if (!stored.has(constant.name)) editor.stored(constant);
    stored.add(constant.name);
  };
  for (const constant of parts.constants.filter(isLarge)) {
    const found = names.has(constant.name) ? undefined : findSource(known, constant);
    if (found === undefined) {
      store(constant);
      if (!names.has(constant.name)) known.push(constant);
    } else {
      store(found.source);
      derive(editor, found.source.name, constant, found.rule);
    }
  }
  return editor.parts();
}
