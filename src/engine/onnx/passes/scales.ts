/**
 * Constant factors of channels. A value v may be computed as v' with v = c v', c one number a channel (or one for all),
 * wherever what reads it can take the factor in: a convolution or product with constant weights multiplies its weights,
 * products multiply factors, layout changes carry them along. A multiplication by a constant is then not computed.
 */
import { axisAfterBroadcast, axisAfterReshape } from './axes.js';
import { elementsOf, type LiveNode, type Rewriter } from './rewriter.js';
import { isOne, productOf, type ScaledConstants, sameFactor } from './weights.js';

/** Factors along an axis of a value; axis null: one factor for all of it. */
export interface Scale {
  readonly axis: number | null;
  readonly factor: Float64Array;
}

/** x and the constant of `Mul(x, constant)` (either order) or `Div(x, constant)`, the constant as a scale of x. */
export interface ConstantProduct {
  readonly x: string;
  readonly scale: Scale;
}

function scaleOfConstant(rewriter: Rewriter, name: string, rank: number): Scale | undefined {
  const values = rewriter.floatsOf(name);
  const dims = rewriter.shape(name);
  if (values === undefined || dims === undefined || dims.length > rank) return undefined;
  const long = dims.flatMap((size, axis) => (size === 1 ? [] : [axis]));
  if (long.length > 1 || values.length === 0) return undefined;
  const factor = Float64Array.from(values);
  return { axis: long.length === 0 ? null : axisAfterBroadcast(long[0], dims.length, rank), factor };
}

/** The node as a product with a constant, or undefined. */
export function constantProduct(rewriter: Rewriter, node: LiveNode): ConstantProduct | undefined {
  if (node.op !== 'Mul' && node.op !== 'Div') return undefined;
  const shape = rewriter.shape(node.outputs[0]);
  if (shape === undefined) return undefined;
  for (const place of node.op === 'Mul' ? [1, 0] : [1]) {
    const [x, constant] = [node.inputs[1 - place], node.inputs[place]];
    if (rewriter.shape(x)?.length !== shape.length || rewriter.constant(x) !== undefined) continue;
    const scale = scaleOfConstant(rewriter, constant, shape.length);
    // A constant that makes x larger is no scale of x.
    if (scale === undefined || elementsOf(rewriter, x) !== elementsOf(rewriter, node.outputs[0])) continue;
    const factor = node.op === 'Mul' ? scale.factor : scale.factor.map((value) => 1 / value);
    return factor.every(Number.isFinite) ? { x, scale: { ...scale, factor } } : undefined;
  }
  return undefined;
}

/** x times a scale, computed. */
export function multiply(rewriter: Rewriter, x: string, { axis, factor }: Scale): string {
  const shape = rewriter.shape(x) ?? [];
  const dims = axis === null ? [] : shape.slice(axis).map((size, i) => (i === 0 ? size : 1));
  return rewriter.node('Mul', [x, rewriter.floats(dims, Float32Array.from(factor))], shape);
}

export function sameScale(a: Scale, b: Scale): boolean {
  return a.axis === b.axis && sameFactor(a.factor, b.factor);
}

/** Product of scales of the same value; undefined where they lie along different axes. */
export function joinScales(a: Scale, b: Scale): Scale | undefined {
  if (a.axis !== null && b.axis !== null && a.axis !== b.axis) return undefined;
  return { axis: a.axis ?? b.axis, factor: productOf(a.factor, b.factor) };
}

/** The scale of a value after a layout change or an operation that works on each element or channel by itself. */
export function carried(rewriter: Rewriter, node: LiveNode, { axis, factor }: Scale): Scale | undefined {
  const [before, after] = [rewriter.shape(node.inputs[0]), rewriter.shape(node.outputs[0])];
  if (before === undefined || after === undefined) return undefined;
  if (axis === null) return { axis, factor };
  if (node.op === 'Transpose')
    return { axis: (node.attributes.perm as readonly number[]).indexOf(axis), factor };
  if (node.op === 'Reshape') {
    const moved = axisAfterReshape(before, axis, after);
    return moved === undefined ? undefined : { axis: moved, factor };
  }
  // Pooling works on [N, C, ...] channel by channel.
  if (node.op === 'AveragePool') return axis === 1 ? { axis, factor } : undefined;
  return { axis, factor };
}

/** A weight input of a node and the axis of it that the scaled input's axis is summed over. */
interface Contraction {
  readonly weight: number;
  readonly axis: number;
}

/**
 * Where a node that is linear in input `place` sums over its axis with constant weights; null where the axis goes
 * through to the result.
 */
function contraction(
  rewriter: Rewriter,
  node: LiveNode,
  place: number,
  axis: number,
): Contraction | null | undefined {
  const rank = (rewriter.shape(node.inputs[place]) ?? []).length;
  if (node.op === 'MatMul') {
    const weight = 1 - place;
    const weightRank = rewriter.shape(node.inputs[weight])?.length;
    if (rank < 2 || weightRank !== 2) return undefined;
    const summed = place === 0 ? rank - 1 : rank - 2;
    return axis === summed ? { weight, axis: place === 0 ? 0 : 1 } : null;
  }
  if (place !== 0 || axis !== 1) return undefined;
  if (node.op === 'Conv') return node.attributes.group === 1 ? { weight: 1, axis: 1 } : undefined;
  // Weights of a transposed convolution are [inputs, outputs / group, ...] whatever the groups.
  return node.op === 'ConvTranspose' ? { weight: 1, axis: 0 } : undefined;
}

/** Constants with more elements are not copied only to take in one number. */
const SMALL = 4096;

/** What becomes of a node some of whose inputs are scaled. */
type Outcome =
  | { readonly kind: 'pass'; readonly scale: Scale }
  | { readonly kind: 'absorb'; readonly weight: number; readonly axis: number | null; readonly scale: Scale }
  | { readonly kind: 'drop'; readonly scale: Scale | null; readonly x: number }
  | { readonly kind: 'block' };

const BLOCK: Outcome = { kind: 'block' };
const SAME_FORM = new Set(['Transpose', 'Reshape', 'AveragePool', 'Neg']);

function outcomeOf(rewriter: Rewriter, node: LiveNode, scales: readonly (Scale | undefined)[]): Outcome {
  const passed = (scale: Scale | undefined): Outcome =>
    scale === undefined ? BLOCK : { kind: 'pass', scale };
  const first = scales.find((scale) => scale !== undefined) as Scale;
  if (SAME_FORM.has(node.op)) return passed(carried(rewriter, node, first));
  if (node.op === 'Abs') return passed({ ...first, factor: first.factor.map(Math.abs) });
  if (node.op === 'Mul' || node.op === 'Div') return product(rewriter, node, scales);
  if (node.op === 'Add' || node.op === 'Sub') {
    const [a, b] = scales;
    const shapes = node.inputs.map((name) => String(rewriter.shape(name)));
    return a !== undefined && b !== undefined && shapes[0] === shapes[1] && sameScale(a, b)
      ? passed(a)
      : BLOCK;
  }
  const place = scales.indexOf(first);
  if (place !== scales.lastIndexOf(first) || scales.filter(Boolean).length > 1) return BLOCK;
  if (first.axis === null) return linearBySingle(rewriter, node, place, first);
  const found = contraction(rewriter, node, place, first.axis);
  if (found === undefined) return BLOCK;
  if (found !== null) return { kind: 'absorb', ...found, scale: first };
  const rank = (rewriter.shape(node.inputs[place]) ?? []).length;
  const resultRank = (rewriter.shape(node.outputs[0]) ?? []).length;
  return passed({ ...first, axis: axisAfterBroadcast(first.axis, rank, resultRank) });
}

/** A product: scales multiply; a constant factor that they cancel is not computed at all. */
function product(rewriter: Rewriter, node: LiveNode, scales: readonly (Scale | undefined)[]): Outcome {
  const shape = rewriter.shape(node.outputs[0]);
  if (shape === undefined) return BLOCK;
  const constant = constantProduct(rewriter, node);
  if (constant !== undefined) {
    const x = node.inputs.indexOf(constant.x);
    const own = scales[x];
    const joint = own === undefined ? undefined : joinScales(own, constant.scale);
    if (joint === undefined) return BLOCK;
    return { kind: 'drop', x, scale: isOne(joint.factor) ? null : joint };
  }
  const moved = scales.map((scale, place) => {
    if (scale === undefined) return { axis: null, factor: Float64Array.of(1) };
    const inputShape = rewriter.shape(node.inputs[place]) ?? [];
    if (scale.axis === null) return scale;
    const axis = axisAfterBroadcast(scale.axis, inputShape.length, shape.length);
    // Stretched over a channel axis of its own size 1, a vector would not stand for itself any more.
    return inputShape[scale.axis] === shape[axis] ? { axis, factor: scale.factor } : undefined;
  });
  const [a, b] = moved;
  if (a === undefined || b === undefined) return BLOCK;
  const inverse = { ...b, factor: b.factor.map((value) => 1 / value) };
  const joint = joinScales(a, node.op === 'Mul' ? b : inverse);
  return joint === undefined ? BLOCK : { kind: 'pass', scale: joint };
}

/** One factor for all: into small weights, else through. */
function linearBySingle(rewriter: Rewriter, node: LiveNode, place: number, scale: Scale): Outcome {
  const isLinear = ['Conv', 'ConvTranspose', 'MatMul'].includes(node.op);
  if (!isLinear || (node.op !== 'MatMul' && place !== 0) || node.inputs.length > 2) return BLOCK;
  const weight = 1 - place;
  if (
    rewriter.constant(node.inputs[weight]) !== undefined &&
    elementsOf(rewriter, node.inputs[weight]) <= SMALL
  )
    return { kind: 'absorb', weight, axis: null, scale };
  return { kind: 'pass', scale };
}

/** Changes that free a value of its scale, and how many elements must still be multiplied. */
export interface Plan {
  readonly cost: number;
  /** Carries the plan out. */
  readonly apply: () => void;
}

/**
 * Follows a scale from the values that carry it to what takes it in. `start`: values that will be computed without
 * their scale. `order` are the nodes in the order of the graph; a plan that would come to a node of `barrier` costs
 * infinitely much.
 */
export function planPush(
  rewriter: Rewriter,
  constants: ScaledConstants,
  order: readonly LiveNode[],
  start: ReadonlyMap<string, Scale>,
  barrier: ReadonlySet<LiveNode | undefined> = new Set(),
): Plan {
  const scales = new Map(start);
  const steps: (() => void)[] = [];
  const multiplied = new Set<string>();
  let cost = 0;
  for (const node of order) {
    const own = node.inputs.map((name) => scales.get(name));
    if (!own.some((scale) => scale !== undefined) || !rewriter.isUsed(node)) continue;
    if (barrier.has(node)) return { cost: Number.POSITIVE_INFINITY, apply: () => {} };
    const outcome = node.outputs.length === 1 ? outcomeOf(rewriter, node, own) : BLOCK;
    if (outcome.kind === 'pass') {
      scales.set(node.outputs[0], outcome.scale);
      continue;
    }
    if (outcome.kind === 'drop') {
      if (outcome.scale !== null) scales.set(node.outputs[0], outcome.scale);
      // Read when it is done: a product before this one may have been dropped too.
      steps.push(() => rewriter.replace(node.outputs[0], node.inputs[outcome.x]));
      continue;
    }
    if (outcome.kind === 'absorb') {
      const { weight, axis, scale } = outcome;
      if (constants.canScale(node.inputs[weight], axis)) {
        steps.push(() =>
          rewriter.setInput(node, weight, constants.scale(node.inputs[weight], axis, scale.factor)),
        );
        continue;
      }
    }
    own.forEach((scale, place) => {
      if (scale === undefined) return;
      if (!multiplied.has(node.inputs[place])) cost += elementsOf(rewriter, node.inputs[place]);
      multiplied.add(node.inputs[place]);
      steps.push(() => rewriter.setInput(node, place, multiply(rewriter, node.inputs[place], scale)));
    });
  }
  // Multiplications that an earlier plan added are not in the order: a value that they read keeps its scale.
  const planned = new Set(order);
  const isMissed = (reader: LiveNode): boolean => !planned.has(reader) && rewriter.isUsed(reader);
  if ([...scales.keys()].some((name) => rewriter.readers(name).some(isMissed)))
    return { cost: Number.POSITIVE_INFINITY, apply: () => {} };
  return {
    cost,
    apply: () => {
      for (const step of steps) step();
    },
  };
}
