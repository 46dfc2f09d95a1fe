/**
 * A transposed convolution with stride s and few output channels O as a plain one on its input's grid with s s O
 * outputs, one for each place (a, b) within a cell, which are then set side by side:
 *     y[s m + a] = sum over d of x[m + d] w[a + p - s d]        along each axis; w is 0 outside its k taps
 * The taps that the places do not share are multiplied by zeros, but one dense convolution is about twice as fast as
 * the scattered sums of a transposed one while its outputs fill one or two vector registers.
 */
import type { GraphParts, Shape } from '../graph.js';
import { type LiveNode, Rewriter } from './rewriter.js';
import { derivedConstant } from './weights.js';

/** Outputs up to which it is faster; measured. */
const MOST_OUTPUTS = 32;

interface Geometry {
  readonly stride: number;
  readonly kernel: number;
  readonly pad: number;
}

/** The distances d = input place - cell that any place within a cell reads from. */
function reach({ stride, kernel, pad }: Geometry): readonly [least: number, most: number] {
  return [Math.ceil((pad - kernel + 1) / stride), Math.floor((stride - 1 + pad) / stride)];
}

/** Geometry of both axes, where the result has exactly s cells for each input; undefined elsewhere. */
function geometry(node: LiveNode, before: Shape, after: Shape): readonly [Geometry, Geometry] | undefined {
  const { attributes } = node;
  const lists = ['kernel_shape', 'strides', 'pads', 'dilations'].map((key) => attributes[key]);
  if (node.op !== 'ConvTranspose' || attributes.group !== 1 || node.inputs.length !== 2) return undefined;
  if (!lists.every((list) => Array.isArray(list))) return undefined;
  const [kernels, strides, pads, dilations] = lists as (readonly number[])[];
  const axis = (i: 0 | 1): Geometry => ({ stride: strides[i], kernel: kernels[i], pad: pads[i] });
  const isEven = strides[0] === strides[1] && strides[0] > 1;
  const fits = [0, 1].every((i) => after[i + 2] === strides[i] * before[i + 2] && pads[i] < kernels[i]);
  return isEven && fits && dilations.every((rate) => rate === 1) ? [axis(0), axis(1)] : undefined;
}

/** The numbers behind weights [I,O,kh,kw] that are stored in another layout. */
function values(rewriter: Rewriter, name: string, shape: Shape): Float32Array | undefined {
  const derived = derivedConstant(rewriter, name);
  if (derived === undefined) return undefined;
  if (derived.chain.length === 0) return derived.base.data as Float32Array;
  const [step, ...more] = derived.chain;
  if (more.length > 0 || step.op !== 'Transpose') return undefined;
  const perm = step.attributes.perm as readonly number[];
  const strides = derived.base.dims.map((_, i) =>
    derived.base.dims.slice(i + 1).reduce((product, size) => product * size, 1),
  );
  const source = derived.base.data as Float32Array;
  const result = new Float32Array(source.length);
  const place = shape.map(() => 0);
  for (let i = 0; i < result.length; i++) {
    result[i] = source[place.reduce((at, p, axis) => at + p * strides[perm[axis]], 0)];
    for (let axis = shape.length - 1; axis >= 0 && ++place[axis] === shape[axis]; axis--) place[axis] = 0;
  }
  return result;
}

/** Weights [I,O,kh,kw] of the transposed convolution -> [s s O, I, n, n'] of the plain one, place before channel. */
function phaseWeights(w: Float32Array, shape: Shape, [rows, columns]: readonly [Geometry, Geometry]) {
  const [inputs, outputs, kh, kw] = shape;
  const s = rows.stride;
  const [top, bottom] = reach(rows);
  const [left, right] = reach(columns);
  const [height, width] = [bottom - top + 1, right - left + 1];
  const result = new Float32Array(s * s * outputs * inputs * height * width);
  let at = 0;
  for (let a = 0; a < s; a++)
    for (let b = 0; b < s; b++)
      for (let o = 0; o < outputs; o++)
        for (let i = 0; i < inputs; i++)
          for (let d = top; d <= bottom; d++)
            for (let e = left; e <= right; e++, at++) {
              const [t, u] = [a + rows.pad - s * d, b + columns.pad - s * e];
              const isTap = t >= 0 && t < kh && u >= 0 && u < kw;
              if (isTap) result[at] = w[((i * outputs + o) * kh + t) * kw + u];
            }
  return { data: result, dims: [s * s * outputs, inputs, height, width] };
}

/** See the top of the file. */
export function transposedAsPhases(parts: GraphParts): GraphParts {
  const rewriter = new Rewriter(parts, 'phase');
  for (const node of [...rewriter.nodes]) {
    const [before, after] = [rewriter.shape(node.inputs[0]), rewriter.shape(node.outputs[0])];
    const shape = rewriter.shape(node.inputs[1] ?? '');
    if (before === undefined || after === undefined || shape === undefined) continue;
    const axes = geometry(node, before, after);
    if (axes === undefined || shape[1] * axes[0].stride ** 2 > MOST_OUTPUTS) continue;
    const w = values(rewriter, node.inputs[1], shape);
    if (w === undefined) continue;
    const { data, dims } = phaseWeights(w, shape, axes);
    const [[top, bottom], [left, right]] = axes.map(reach);
    const [n, , height, width] = before;
    const cells = rewriter.node(
      'Conv',
      [node.inputs[0], rewriter.floats(dims, data)],
      [n, dims[0], height, width],
      {
        kernel_shape: dims.slice(2),
        strides: [1, 1],
        dilations: [1, 1],
        pads: [-top, -left, bottom, right],
        group: 1,
      },
    );
    const blocks = { blocksize: axes[0].stride, mode: 'DCR' };
    rewriter.replace(node.outputs[0], rewriter.node('DepthToSpace', [cells], after, blocks));
  }
  return rewriter.parts();
}
