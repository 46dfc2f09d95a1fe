import type * as tf from '@tensorflow/tfjs';
import type { Graph, Sym } from '../graph.js';
import { activate, add } from './elementwise.js';
import { transpose } from './layout.js';
import { type Attrs, attrsOf, broadcastShape, type LoweringTable, listOf } from './lowering.js';

function swapLast(graph: Graph, x: Sym): Sym {
  const rank = x.shape.length;
  const perm = x.shape.map((_, i) => i);
  [perm[rank - 1], perm[rank - 2]] = [rank - 2, rank - 1];
  return transpose(graph, x, perm);
}

/** Standard Transpose and MatMul, which ONNX Runtime fuses; so the file stays free of custom operators. */
function batchMatMul(graph: Graph, a: Sym, b: Sym, attrs: Attrs): Sym {
  const { transposeA, transposeB } = attrsOf<tf.BatchMatMulAttrs>(attrs);
  const left = transposeA ? swapLast(graph, a) : a;
  const right = transposeB ? swapLast(graph, b) : b;
  const batch = broadcastShape(a.shape.slice(0, -2), b.shape.slice(0, -2));
  const shape = [...batch, left.shape[left.shape.length - 2], right.shape[right.shape.length - 1]];
  return graph.node('MatMul', [left, right], shape, 'float32');
}

export const matmul: LoweringTable = {
  BatchMatMul: (graph, { a, b }, attrs) => batchMatMul(graph, a, b, attrs),
  _FusedMatMul: (graph, { a, b, bias, preluActivationWeights }, attrs) => {
    const product = batchMatMul(graph, a, b, attrs);
    const { activation, leakyreluAlpha } = attrsOf<tf._FusedMatMulAttrs>(attrs);
    const biased = bias ? add(graph, { a: product, b: bias }) : product;
    return activate(graph, biased, activation, { alpha: leakyreluAlpha, weights: preluActivationWeights });
  },
  Einsum: (graph, inputs, attrs) => {
    const { equation } = attrsOf<tf.EinsumAttrs>(attrs);
    const terms = listOf(inputs);
    const [left, right = ''] = equation.replaceAll(' ', '').split('->');
    const sizes = new Map<string, number>();
    left.split(',').forEach((term, i) => {
      [...term].forEach((letter, axis) => {
        sizes.set(letter, terms[i].shape[axis]);
      });
    });
    const shape = [...right].map((letter) => sizes.get(letter) ?? 1);
    return graph.node('Einsum', terms, shape, 'float32', { equation: `${left}->${right}` });
  },
};
