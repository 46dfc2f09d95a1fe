/**
 * Sums of squares over channels, which a B-cos layer takes for its norm: a square and a product with ones,
 *     ones [1,C] times reshape(transpose(x x))          x [N,H,W,C] -> [N,1,1,H W]
 * as one operation that reads x and writes no square. Only for what a convolution with computed filters reads, that is in
 * training: around convolutions with constant ones ONNX Runtime keeps images in a layout in which a product is faster.
 */
import type { GraphParts } from '../graph.js';
import { type LiveNode, Rewriter } from './rewriter.js';
import { derivedConstant } from './weights.js';

const TO_CHANNELS_FIRST = '0,3,1,2';

/** The node behind a value, if it is of this kind and nothing else reads it. */
function madeAlone(rewriter: Rewriter, name: string, op: string): LiveNode | undefined {
  const node = rewriter.madeBy(name, op);
  return node !== undefined && rewriter.readers(name).length === 1 && !rewriter.isOutput(name)
    ? node
    : undefined;
}

/** The value whose squares a product with ones sums, or undefined. */
function squaredBy(rewriter: Rewriter, sum: LiveNode): string | undefined {
  if (sum.op !== 'MatMul') return undefined;
  const ones = rewriter.floatsOf(sum.inputs[0]);
  if (ones === undefined || rewriter.shape(sum.inputs[0])?.length !== 2) return undefined;
  if (!ones.every((value) => value === 1)) return undefined;
  const flat = madeAlone(rewriter, sum.inputs[1], 'Reshape');
  const turned = flat && madeAlone(rewriter, flat.inputs[0], 'Transpose');
  if (turned === undefined || String(turned.attributes.perm) !== TO_CHANNELS_FIRST) return undefined;
  const square = madeAlone(rewriter, turned.inputs[0], 'Mul');
  return square !== undefined && square.inputs[0] === square.inputs[1] ? square.inputs[0] : undefined;
}

/** The image x as convolutions with computed filters read it: [N,C,H,W]; undefined where none does. */
function imageOf(rewriter: Rewriter, x: string): string | undefined {
  const isComputed = ({ op, inputs }: LiveNode): boolean =>
    op === 'Conv' && derivedConstant(rewriter, inputs[1]) === undefined;
  const images = rewriter
    .readers(x)
    .filter(({ op, attributes }) => op === 'Transpose' && String(attributes.perm) === TO_CHANNELS_FIRST)
    .map(({ outputs }) => outputs[0]);
  return images.find((image) => rewriter.readers(image).some(isComputed));
}

export function sumSquares(parts: GraphParts): GraphParts {
  const rewriter = new Rewriter(parts, 'squares');
  for (const sum of rewriter.nodes) {
    const x = squaredBy(rewriter, sum);
    const image = x === undefined ? undefined : imageOf(rewriter, x);
    const result = rewriter.shape(sum.outputs[0]);
    if (image === undefined || result === undefined) continue;
    const [n, c, h, w] = rewriter.shape(image) ?? [];
    if (String(result) !== String([n, 1, 1, h * w]) || rewriter.floatsOf(sum.inputs[0])?.length !== c)
      continue;
    const attributes = { axes: [1], keepdims: 1 };
    const plane = rewriter.node('ReduceSumSquare', [image], [n, 1, h, w], attributes);
    rewriter.replace(sum.outputs[0], rewriter.reshape(plane, result));
  }
  return rewriter.parts();
}
