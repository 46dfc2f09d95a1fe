import { type GraphConstant, type Shape, sizeOf } from '../graph.js';
import { axisAfterReshape } from './axes.js';
import type { LiveNode, Rewriter } from './rewriter.js';

/** A constant as stored, and the nodes that lay it out anew (transposed, flipped, reshaped), first to last. */
export interface DerivedConstant {
  readonly base: GraphConstant;
  readonly chain: readonly LiveNode[];
}

/** Whether a slice takes all of its input, backwards along the axes that it names. */
function isReversal(rewriter: Rewriter, node: LiveNode): boolean {
  const [, starts, ends, axes, steps] = node.inputs;
  const shape = rewriter.shape(node.inputs[0]);
  const all = rewriter.integersOf(axes);
  if (shape === undefined || all === undefined) return false;
  const same = (name: string, value: (axis: number) => number): boolean =>
    rewriter.integersOf(name)?.every((given, i) => given === value(all[i])) === true;
  return same(starts, () => -1) && same(ends, (axis) => -shape[axis] - 1) && same(steps, () => -1);
}

/** The stored constant behind a float value, or undefined where it is computed. */
export function derivedConstant(rewriter: Rewriter, name: string): DerivedConstant | undefined {
  const chain: LiveNode[] = [];
  let current = name;
  for (;;) {
    const base = rewriter.constant(current);
    if (base !== undefined) return base.type === 'float32' ? { base, chain: chain.reverse() } : undefined;
    const node = rewriter.maker(current);
    const isLayout =
      node !== undefined &&
      (node.op === 'Transpose' ||
        node.op === 'Reshape' ||
        (node.op === 'Slice' && isReversal(rewriter, node)));
    if (!isLayout) return undefined;
    chain.push(node);
    current = node.inputs[0];
  }
}

/** Which axis of the stored constant an axis of the derived one is; undefined where a reshape merges or splits it. */
function baseAxis(rewriter: Rewriter, { chain }: DerivedConstant, axis: number): number | undefined {
  let current: number | undefined = axis;
  for (const node of chain.toReversed()) {
    if (current === undefined) return undefined;
    const [before, after] = [rewriter.shape(node.inputs[0]), rewriter.shape(node.outputs[0])];
    if (before === undefined || after === undefined) return undefined;
    if (node.op === 'Transpose') current = (node.attributes.perm as readonly number[])[current];
    else if (node.op === 'Reshape') current = axisAfterReshape(after, current, before);
    else if (rewriter.integersOf(node.inputs[3])?.includes(current)) return undefined;
  }
  return current;
}

/** A constant multiplied along an axis (null: by one number). */
function multiplied(base: GraphConstant, axis: number | null, factor: Float64Array): Float32Array {
  const data = base.data as Float32Array;
  const inner = axis === null ? 1 : sizeOf(base.dims.slice(axis + 1));
  const result = new Float32Array(data.length);
  for (let i = 0, run = 0; i < data.length; run = (run + 1) % factor.length) {
    for (const end = i + inner, by = factor[run]; i < end; i++) result[i] = data[i] * by;
  }
  return result;
}

/** Two factors that differ by rounding only are the same. */
const SAME_FACTOR = 3e-7;

export function sameFactor(a: Float64Array, b: Float64Array): boolean {
  return (
    a.length === b.length && a.every((value, i) => Math.abs(value - b[i]) <= SAME_FACTOR * Math.abs(b[i]))
  );
}

export function isOne(factor: Float64Array): boolean {
  return factor.every((value) => Math.abs(value - 1) <= SAME_FACTOR);
}

interface Scaled {
  readonly axis: number | null;
  readonly factor: Float64Array;
  readonly name: string;
}

/**
 * Constants multiplied along an axis. Factors that meet on the same stored constant multiply before anything is
 * rounded, and equal products give the same constant: the filters of a layer and of its transpose stay one.
 */
export class ScaledConstants {
  /** What a scaled constant was made from. */
  private readonly origins = new Map<
    string,
    { readonly base: GraphConstant; readonly axis: number | null; readonly factor: Float64Array }
  >();
  private readonly known = new Map<string, Scaled[]>();

  constructor(private readonly rewriter: Rewriter) {}

  /** Whether `scale` can multiply this value along this axis (null: by one number). */
  canScale(name: string, axis: number | null): boolean {
    const derived = derivedConstant(this.rewriter, name);
    if (derived === undefined) return false;
    return axis === null || baseAxis(this.rewriter, derived, axis) !== undefined;
  }

  /** The constant `name` times `factor` along `axis` (null: one factor for all). Only where `canScale` says so. */
  scale(name: string, axis: number | null, factor: Float64Array): string {
    const derived = derivedConstant(this.rewriter, name);
    const along = axis === null || derived === undefined ? null : baseAxis(this.rewriter, derived, axis);
    if (derived === undefined || along === undefined) throw new Error(`${name} cannot be scaled`);
    const scaled = this.scaledBase(derived.base, along, factor);
    return derived.chain.reduce((value, node) => {
      const shape = this.rewriter.shape(node.outputs[0]) as Shape;
      return this.rewriter.node(node.op, [value, ...node.inputs.slice(1)], shape, node.attributes);
    }, scaled);
  }

  private scaledBase(given: GraphConstant, axis: number | null, by: Float64Array): string {
    const origin = this.origins.get(given.name);
    const joins = origin !== undefined && (origin.axis === axis || origin.axis === null || axis === null);
    const base = joins ? origin.base : given;
    const along = joins ? (axis ?? origin.axis) : axis;
    const factor = joins ? productOf(origin.factor, by) : by;
    if (isOne(factor)) return base.name;
    const alike = this.known.get(base.name) ?? [];
    const found = alike.find((other) => other.axis === along && sameFactor(other.factor, factor));
    if (found !== undefined) return found.name;
    const name = this.rewriter.lazyFloats(base.dims, () => multiplied(base, along, factor));
    this.origins.set(name, { base, axis: along, factor });
    this.known.set(base.name, [...alike, { axis: along, factor, name }]);
    return name;
  }
}

/** Product of two factors, either of which may be a single number. */
export function productOf(a: Float64Array, b: Float64Array): Float64Array {
  if (a.length === 1) return b.map((value) => value * a[0]);
  return b.length === 1 ? a.map((value) => value * b[0]) : a.map((value, i) => value * b[i]);
}
