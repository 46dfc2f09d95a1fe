/**
 * [0 | g] W = g W2, where W2 are the rows of W that meet g: a gradient that is zero for some channels by construction
 * (queries and keys of an attention held constant) is multiplied with the rows of the others only.
 */
import type { GraphParts } from '../graph.js';
import { type LiveNode, Rewriter } from './rewriter.js';
import { derivedConstant } from './weights.js';

function isZero(rewriter: Rewriter, name: string): boolean {
  const expand = rewriter.madeBy(name, 'Expand');
  return rewriter.floatsOf(expand === undefined ? name : expand.inputs[0])?.every((v) => v === 0) === true;
}

/** The only part of a concatenation along the last axis that is not zero, and where it begins there. */
function onlyPart(
  rewriter: Rewriter,
  node: LiveNode,
): { name: string; start: number; size: number } | undefined {
  const rank = rewriter.shape(node.outputs[0])?.length;
  if (node.op !== 'Concat' || rank === undefined || node.attributes.axis !== rank - 1) return undefined;
  const sizes = node.inputs.map((name) => rewriter.shape(name)?.[rank - 1]);
  const places = node.inputs.flatMap((name, i) => (isZero(rewriter, name) ? [] : [i]));
  if (places.length !== 1 || sizes.length < 2 || sizes.includes(undefined)) return undefined;
  const [place] = places;
  const start = sizes.slice(0, place).reduce<number>((sum, size) => sum + (size ?? 0), 0);
  return { name: node.inputs[place], start, size: sizes[place] ?? 0 };
}

/** See the top of the file. */
export function skipZeroBlocks(parts: GraphParts): GraphParts {
  const rewriter = new Rewriter(parts, 'block');
  for (const product of rewriter.nodes.filter(({ op }) => op === 'MatMul')) {
    const [left, right] = product.inputs;
    const shape = rewriter.shape(left);
    const weights = rewriter.shape(right);
    const view = rewriter.madeBy(left, 'Reshape');
    const concat = rewriter.maker(view === undefined ? left : view.inputs[0]);
    const part = concat && onlyPart(rewriter, concat);
    if (part === undefined || shape === undefined || weights?.length !== 2) continue;
    const keepsChannels = rewriter.shape(concat?.outputs[0] ?? '')?.at(-1) === shape.at(-1);
    if (!keepsChannels || derivedConstant(rewriter, right) === undefined) continue;
    const { name, start, size } = part;
    const bounds = [rewriter.ints([start]), rewriter.ints([start + size]), rewriter.ints([0])];
    const rows = rewriter.node('Slice', [right, ...bounds], [size, weights[1]]);
    const own = [...shape.slice(0, -1), size];
    rewriter.setInput(product, 0, view === undefined ? name : rewriter.reshape(name, own));
    rewriter.setInput(product, 1, rows);
  }
  return rewriter.parts();
}
