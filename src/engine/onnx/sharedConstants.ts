/*
 * Weights that a graph holds twice, once as they are and once transposed or reversed (a convolution and its transpose),
 * are stored once: the other is made from it by Transpose and Slice, which a runtime does once, when it loads the file.
 * Both directions then read the same numbers whatever the storage rounds them to, so sums stay exact.
 */
import { GraphEditor } from './edit.js';
import type { GraphConstant, GraphParts, Shape } from './graph.js';

/** Smaller constants are not worth a search. */
const LEAST_SIZE = 1024;
const SAMPLES = 61;

/** How one array is made of another: axes without those of size 1, their new order, and those that run backwards. */
export interface Rearrangement {
  readonly from: Shape;
  readonly perm: readonly number[];
  readonly reversed: readonly number[];
}

/** A number that no rearrangement changes. */
function signature({ data }: GraphConstant): string {
  const bits = new Uint32Array(data.buffer, data.byteOffset, data.byteLength / 4);
  let [sum, mixed] = [0, 0];
  for (let i = 0; i < bits.length; i++) {
    sum = (sum + bits[i]) >>> 0;
    mixed = (mixed + Math.imul(bits[i] ^ (bits[i] >>> 15), 0x9e3779b1)) >>> 0;
  }
  return `${bits.length} ${sum} ${mixed}`;
}

function permutations(count: number): number[][] {
  if (count === 0) return [[]];
  return permutations(count - 1).flatMap((rest) =>
    Array.from({ length: count }, (_, at) => rest.toSpliced(at, 0, count - 1)),
  );
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

/** Place in the source of each place of the result. */
function placeIn({ from, perm, reversed }: Rearrangement): (place: number) => number {
  const sizes = perm.map((axis) => from[axis]);
  const [own, source] = [stridesOf(sizes), stridesOf(from)];
  return (place) => {
    let found = 0;
    for (let axis = 0; axis < sizes.length; axis++) {
      const at = Math.floor(place / own[axis]) % sizes[axis];
      found += source[perm[axis]] * (reversed.includes(axis) ? sizes[axis] - 1 - at : at);
    }
    return found;
  };
}

/** How `b` is made of `a`, or null. */
export function findRearrangement(a: GraphConstant, b: GraphConstant): Rearrangement | null {
  const from = a.dims.filter((size) => size > 1);
  const to = b.dims.filter((size) => size > 1);
  if (from.length !== to.length || from.length > 4) return null;
  const matches = (rule: Rearrangement, step: number): boolean => {
    const place = placeIn(rule);
    for (let i = 0; i < b.data.length; i += step) if (a.data[place(i)] !== b.data[i]) return false;
    return true;
  };
  const step = Math.max(1, Math.floor(b.data.length / SAMPLES) | 1);
  for (const perm of permutations(from.length)) {
    if (perm.some((axis, i) => from[axis] !== to[i])) continue;
    for (const reversed of subsets(from.length)) {
      const rule = { from, perm, reversed };
      if (matches(rule, step) && matches(rule, 1)) return rule;
    }
  }
  return null;
}

/** Makes the constant `target` of the constant `source` in the graph. */
function derive(editor: GraphEditor, source: string, target: GraphConstant, rule: Rearrangement): void {
  const { from, perm, reversed } = rule;
  let value = editor.node('Reshape', [source, editor.ints(...from)]);
  if (perm.some((axis, i) => axis !== i)) value = editor.node('Transpose', [value], { perm });
  if (reversed.length > 0) {
    const starts = editor.ints(...reversed.map(() => -1));
    const ends = editor.ints(...reversed.map((axis) => -from[perm[axis]] - 1));
    value = editor.node('Slice', [value, starts, ends, editor.ints(...reversed), starts]);
  }
  editor.node('Reshape', [value, editor.ints(...target.dims)], {}, target.name);
}

/** Stores arrays that are rearrangements of each other once. */
export function shareConstants(parts: GraphParts): GraphParts {
  const known = new Map<string, GraphConstant[]>();
  const kept: GraphConstant[] = [];
  const derived: { readonly source: string; readonly target: GraphConstant; readonly rule: Rearrangement }[] =
    [];
  for (const constant of parts.constants) {
    if (constant.type !== 'float32' || constant.data.length < LEAST_SIZE) {
      kept.push(constant);
      continue;
    }
    const key = signature(constant);
    const alike = known.get(key) ?? [];
    const rules = alike.map((source) => ({ source, rule: findRearrangement(source, constant) }));
    const found = rules.find(({ rule }) => rule !== null);
    if (found?.rule) derived.push({ source: found.source.name, target: constant, rule: found.rule });
    else {
      kept.push(constant);
      known.set(key, [...alike, constant]);
    }
  }
  const editor = new GraphEditor({ ...parts, constants: kept }, 'shared_');
  for (const { source, target, rule } of derived) derive(editor, source, target, rule);
  return editor.parts();
}
