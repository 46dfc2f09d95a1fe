/**
 * The pullback of one class through a 1x1 convolution head: with a one-hot row h of class y per image,
 *     sum over k of W[c,k] (s h[k] z[p,k]) = s z[p,y] W[c,y]
 * one row of the weights times one plane, in place of a convolution from all classes. A sum with all terms but one zero
 * is that term, so the numbers are the same. Only where the class comes from an ArgMax, whose result is in range.
 */
import type { GraphParts, Shape } from '../graph.js';
import { type LiveNode, Rewriter } from './rewriter.js';
import { derivedConstant } from './weights.js';

/** One-hot rows [N, K] and the class numbers [N, 1] behind them, times a number. */
interface OneHot {
  readonly rows: string;
  readonly classes: string;
  readonly factor: number;
}

/** Behind reshapes and casts. */
function unwrapped(rewriter: Rewriter, name: string): LiveNode | undefined {
  const node = rewriter.maker(name);
  return node?.op === 'Reshape' || node?.op === 'Cast' ? unwrapped(rewriter, node.inputs[0]) : node;
}

/** `Cast(Equal(classes, 0..K-1))` with classes from an ArgMax over K. */
function oneHotRows(rewriter: Rewriter, name: string): OneHot | undefined {
  const cast = rewriter.madeBy(name, 'Cast');
  const equal = cast && rewriter.madeBy(cast.inputs[0], 'Equal');
  const shape = rewriter.shape(name);
  if (equal === undefined || shape?.length !== 2) return undefined;
  const [classes, range] = equal.inputs;
  const counts = rewriter.integersOf(range);
  const isRange = counts?.length === shape[1] && counts.every((value, i) => value === i);
  if (!isRange || String(rewriter.shape(classes)) !== String([shape[0], 1])) return undefined;
  const argument = unwrapped(rewriter, classes);
  if (argument?.op !== 'ArgMax') return undefined;
  const from = rewriter.shape(argument.inputs[0]);
  return from?.at(argument.attributes.axis as number) === shape[1]
    ? { rows: name, classes, factor: 1 }
    : undefined;
}

/** A single number, or a constant or expanded one all of whose elements are equal. */
function uniform(rewriter: Rewriter, name: string): number | undefined {
  const expand = rewriter.madeBy(name, 'Expand');
  const values = rewriter.floatsOf(expand === undefined ? name : expand.inputs[0]);
  return values?.length === 1 ? values[0] : undefined;
}

/** One-hot rows repeated over positions, [N, ..., K], perhaps times a number. */
function spreadOneHot(rewriter: Rewriter, name: string): OneHot | undefined {
  const node = rewriter.maker(name);
  if (node === undefined) return undefined;
  if (node.op === 'Mul' || node.op === 'Div') {
    for (const place of node.op === 'Mul' ? [0, 1] : [0]) {
      const factor = uniform(rewriter, node.inputs[1 - place]);
      const inner = factor === undefined ? undefined : spreadOneHot(rewriter, node.inputs[place]);
      if (inner !== undefined && factor !== undefined)
        return { ...inner, factor: node.op === 'Mul' ? inner.factor * factor : inner.factor / factor };
    }
    return undefined;
  }
  if (node.op === 'Expand') return spreadOneHot(rewriter, node.inputs[0]);
  if (node.op === 'Cast') return oneHotRows(rewriter, name);
  if (node.op !== 'Reshape') return undefined;
  const [before, after] = [rewriter.shape(node.inputs[0]), rewriter.shape(name)];
  const keeps = before && after && before[0] === after[0] && before.at(-1) === after.at(-1);
  return keeps ? spreadOneHot(rewriter, node.inputs[0]) : undefined;
}

/** Weights [C, K, 1, 1] as [K, C]. */
function weightRows(rewriter: Rewriter, name: string): string | undefined {
  const shape = rewriter.shape(name);
  if (shape?.length !== 4 || shape[2] !== 1 || shape[3] !== 1) return undefined;
  if (derivedConstant(rewriter, name) === undefined) return undefined;
  return rewriter.transpose(rewriter.reshape(name, [shape[0], shape[1]]), [1, 0]);
}

/** Rewrites the convolution if its input is a one-hot row times a value. */
function rewrite(rewriter: Rewriter, conv: LiveNode): void {
  const transpose = conv.op === 'Conv' ? rewriter.madeBy(conv.inputs[0], 'Transpose') : undefined;
  const product = transpose && rewriter.madeBy(transpose.inputs[0], 'Mul');
  const shape = rewriter.shape(conv.outputs[0]);
  if (product === undefined || shape === undefined || conv.inputs.length !== 2) return;
  const isPlain =
    String(transpose?.attributes.perm) === '0,3,1,2' &&
    String(conv.attributes.strides) === '1,1' &&
    String(conv.attributes.pads) === '0,0,0,0' &&
    conv.attributes.group === 1;
  if (!isPlain) return;
  for (const place of [0, 1]) {
    const hot = spreadOneHot(rewriter, product.inputs[place]);
    const z = product.inputs[1 - place];
    const inner = rewriter.shape(z) as Shape;
    if (hot === undefined || String(inner) !== String(rewriter.shape(product.outputs[0]))) continue;
    const rows = weightRows(rewriter, conv.inputs[1]);
    if (rows === undefined) return;
    const [n, height, width, classes] = inner;
    const channels = shape[1];
    const chosen = rewriter.node('Gather', [rows, rewriter.reshape(hot.classes, [n])], [n, channels], {
      axis: 0,
    });
    const positions = rewriter.reshape(z, [n, height * width, classes]);
    const column = rewriter.reshape(hot.rows, [n, classes, 1]);
    const plane = rewriter.node('MatMul', [positions, column], [n, height * width, 1]);
    const factor = rewriter.floats([], Float32Array.of(hot.factor));
    const scaled = hot.factor === 1 ? plane : rewriter.node('Mul', [plane, factor], [n, height * width, 1]);
    const outer = rewriter.node(
      'Mul',
      [rewriter.reshape(chosen, [n, channels, 1]), rewriter.reshape(scaled, [n, 1, height * width])],
      [n, channels, height * width],
    );
    rewriter.replace(conv.outputs[0], rewriter.reshape(outer, shape));
    return;
  }
}

/** See the top of the file. */
export function oneHotAsRow(parts: GraphParts): GraphParts {
  const rewriter = new Rewriter(parts, 'row');
  for (const node of [...rewriter.nodes]) rewrite(rewriter, node);
  return rewriter.parts();
}
