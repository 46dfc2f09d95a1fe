import { countOf, type NamedTensor } from '../dtypes.js';
import { permuted } from '../permute.js';
import { UseList, type WeightUse } from '../recognise/structure.js';
import type { OnnxGraph, OnnxNode } from './readOnnx.js';

/** Nodes whose result holds the same numbers in another shape or place: a weight may pass through them. */
const MOVES = ['Identity', 'Reshape', 'Unsqueeze', 'Squeeze', 'Transpose', 'Cast', 'Flatten'];
/** Epsilon where a node names none, by the standard. */
const EPSILON = 1e-5;

/** The longest axis is the only one longer than 1. */
function isVector({ shape }: NamedTensor): boolean {
  return shape.filter((size) => size > 1).length <= 1;
}

/** A matrix [in, out] as PyTorch has it: [out, in]. */
function swapped(tensor: NamedTensor): NamedTensor {
  return permuted(tensor, [1, 0]);
}

/** A constant behind a node that only moves its numbers. */
function moved(node: OnnxNode, constant: NamedTensor): NamedTensor {
  const order = node.op === 'Transpose' ? node.ints.get('perm') : undefined;
  if (node.op !== 'Transpose' || isVector(constant)) return constant;
  const axes = constant.shape.map((_, i) => i);
  return permuted(constant, order?.length === axes.length ? order : axes.reverse());
}

/**
 * What a graph computes with its constants, in the order of computation: filters and matrices with the bias that is added
 * to their result, norms, and factors over the channels. Filters that the graph itself divides by their length (B-cos
 * layers) count as they are: only their direction is used.
 */
export function onnxUses(graph: OnnxGraph): WeightUse[] {
  const constants = new Map(graph.constants);
  /** Values that depend on constants only. */
  const fixed = new Set(constants.keys());
  const uses = new UseList();
  for (const node of graph.nodes) {
    const [first, second] = node.inputs;
    const [output] = node.outputs;
    if (node.inputs.every((name) => name === '' || fixed.has(name))) {
      for (const name of node.outputs) fixed.add(name);
      const constant = constants.get(first ?? '');
      const isScaled =
        (node.op === 'Div' || node.op === 'Mul') && constant !== undefined && !isVector(constant);
      if (constant !== undefined && (MOVES.includes(node.op) || isScaled))
        constants.set(output, moved(node, constant));
      continue;
    }
    uses.flow(node.inputs, node.outputs);
    if (MOVES.includes(node.op)) {
      uses.pass(first, output);
      continue;
    }
    const use = useOf(node, constants, uses.originOf(first));
    if (use !== null) {
      uses.add(use, output);
      continue;
    }
    const factor = constants.get(second) ?? (node.op === 'Div' ? undefined : constants.get(first));
    if (factor === undefined || !isVector(factor) || countOf(factor.shape) === 1) continue;
    const other = factor === constants.get(second) ? first : second;
    if (node.op === 'Mul') uses.scale(factor, false, other, output);
    else if (node.op === 'Div') uses.scale(factor, true, other, output);
    else if (node.op === 'Add') uses.offset(factor, other, output);
  }
  return uses.all;
}

function useOf(node: OnnxNode, constants: ReadonlyMap<string, NamedTensor>, after: number): WeightUse | null {
  const at = (index: number): NamedTensor | null => constants.get(node.inputs[index] ?? '') ?? null;
  const weights = at(1);
  switch (node.op) {
    case 'Conv':
      return weights === null || weights.shape.length !== 4
        ? null
        : { kind: 'weights', tensor: weights, bias: at(2) };
    case 'Gemm': {
      if (weights === null || weights.shape.length !== 2) return null;
      const isTransposed = node.ints.get('transB')?.[0] === 1;
      return { kind: 'weights', tensor: isTransposed ? weights : swapped(weights), bias: at(2) };
    }
    case 'MatMul':
      return weights === null || weights.shape.length !== 2
        ? null
        : { kind: 'weights', tensor: swapped(weights), bias: null };
    case 'BatchNormalization':
      return {
        kind: 'norm',
        scale: at(1),
        offset: at(2),
        mean: at(3),
        variance: at(4),
        epsilon: node.floats.get('epsilon') ?? EPSILON,
        after,
      };
    case 'LayerNormalization':
      return {
        kind: 'norm',
        scale: at(1),
        offset: at(2),
        mean: null,
        variance: null,
        epsilon: node.floats.get('epsilon') ?? EPSILON,
        after,
      };
    default:
      return null;
  }
}
