import type { NamedTensor } from '../dtypes.js';
import { permuted } from '../permute.js';
import type { WeightUse } from '../structure.js';
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
 * to their result, norms, and factors over the channels.
 */
export function onnxUses(graph: OnnxGraph): WeightUse[] {
  const constants = new Map<string, NamedTensor>();
  for (const [name, tensor] of graph.constants) constants.set(name, tensor);
  const uses: WeightUse[] = [];
  /** The use whose result a value is, for a bias that is added by a node of its own. */
  const madeBy = new Map<string, number>();
  for (const node of graph.nodes) {
    const [first, second] = node.inputs;
    if (MOVES.includes(node.op)) {
      const constant = constants.get(first);
      if (constant !== undefined) constants.set(node.outputs[0], moved(node, constant));
      const from = madeBy.get(first);
      if (from !== undefined) madeBy.set(node.outputs[0], from);
      continue;
    }
    const use = useOf(node, constants);
    if (use !== null) {
      madeBy.set(node.outputs[0], uses.length);
      uses.push(use);
      continue;
    }
    if (node.op !== 'Add' && node.op !== 'Mul') continue;
    const [constant, other] = constants.has(first)
      ? [constants.get(first), second]
      : [constants.get(second), first];
    if (constant === undefined || !isVector(constant) || constants.has(other)) continue;
    const at = madeBy.get(other);
    const before = at === undefined ? undefined : uses[at];
    if (node.op === 'Mul') {
      madeBy.set(node.outputs[0], uses.length);
      uses.push({ kind: 'factor', tensor: constant });
    } else if (at !== undefined && before?.kind === 'weights' && before.bias === null) {
      uses[at] = { ...before, bias: constant };
      madeBy.set(node.outputs[0], at);
    }
  }
  return uses;
}

function useOf(node: OnnxNode, constants: ReadonlyMap<string, NamedTensor>): WeightUse | null {
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
      };
    case 'LayerNormalization':
      return {
        kind: 'norm',
        scale: at(1),
        offset: at(2),
        mean: null,
        variance: null,
        epsilon: node.floats.get('epsilon') ?? EPSILON,
      };
    default:
      return null;
  }
}
