import {
  type Attributes,
  type Graph,
  type NumericDType,
  type Shape,
  type Sym,
  sameShape,
  sizeOf,
} from '../graph.js';
import { reshape } from './reshape.js';

/**
 * Values seen with their axes in another order. A training step keeps its filters as ONNX's convolutions read them
 * (OIHW, see filterStorage.ts) while tfjs sees them as HWIO. What is computed from them element by element, sums
 * included, is computed where they lie; only a node that needs the other order gets a Transpose. So the filters' norms,
 * their optimiser and everything else between a filter gradient and the next convolution move nothing.
 */

/** The value whose axis i is axis perm[i] of `of`. */
export function transposedView(of: Sym, perm: readonly number[]): Sym {
  return { shape: perm.map((axis) => of.shape[axis]), dtype: of.dtype, view: { of, perm } };
}

function inverse(perm: readonly number[]): number[] {
  return perm.map((_, i) => perm.indexOf(i));
}

/** An operand of a node on views of one order, in the stored order; undefined where that would move a whole value. */
function stored(graph: Graph, x: Sym, perm: readonly number[], shape: Shape): Sym | undefined {
  if (x.view !== undefined && samePerm(x.view.perm, perm)) return x.view.of;
  if (sizeOf(x.shape) === 1) return x;
  if (sameShape(x.shape, shape) || x.shape.length !== perm.length) return undefined;
  const back = inverse(perm);
  const sizes = back.map((axis) => x.shape[axis]);
  return graph.node('Transpose', [x], sizes, x.dtype, { perm: back });
}

function samePerm(a: readonly number[], b: readonly number[]): boolean {
  return sameShape(a, b);
}

/** A node whose output element depends on the operands' elements at its own place only; operands broadcast. */
export function pointwiseNode(
  graph: Graph,
  op: string,
  operands: readonly Sym[],
  shape: Shape,
  dtype: NumericDType,
  attributes: Attributes = {},
): Sym {
  const perm = operands.find((x) => x.view !== undefined && sameShape(x.shape, shape))?.view?.perm;
  if (perm !== undefined) {
    const inner = operands.map((x) => stored(graph, x, perm, shape));
    if (inner.every((x) => x !== undefined)) {
      const sizes = inverse(perm).map((axis) => shape[axis]);
      return transposedView(trimmedNode(graph, op, inner, sizes, dtype, attributes), perm);
    }
  }
  return trimmedNode(graph, op, operands, shape, dtype, attributes);
}

/** Elements from which the detour of `trimmedNode` counts. */
const LARGE = 4096;

/**
 * A node of numbers and values of one shape, without the last axes of one element: with them ONNX Runtime broadcasts a
 * number element by element, ten times slower.
 */
function trimmedNode(
  graph: Graph,
  op: string,
  operands: readonly Sym[],
  shape: Shape,
  dtype: NumericDType,
  attributes: Attributes,
): Sym {
  const isNumber = (x: Sym): boolean => sizeOf(x.shape) === 1;
  const isSlow = shape[shape.length - 1] === 1 && sizeOf(shape) >= LARGE && operands.some(isNumber);
  if (!isSlow || !operands.every((x) => isNumber(x) || sameShape(x.shape, shape)))
    return graph.node(op, operands, shape, dtype, attributes);
  const trimmed = shape.slice(0, shape.findLastIndex((size) => size > 1) + 1);
  const inner = operands.map((x) => reshape(graph, x, isNumber(x) ? [] : trimmed));
  return reshape(graph, graph.node(op, inner, trimmed, dtype, attributes), shape);
}
