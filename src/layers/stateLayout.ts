/** The layouts of weights here against PyTorch's: shapes, and values both ways. Exact: elements only move. */
import type * as tf from '@tensorflow/tfjs';
import type { LayerWithState, StateRule } from './stateRule.js';

export interface StateLayout {
  readonly rule: StateRule;
  /** PyTorch's shape of a weight of this tfjs shape. */
  torchShape(shape: readonly number[]): number[];
  /** tfjs-ordered values of a weight of this tfjs shape, in PyTorch's order. */
  toTorch(values: Float32Array, shape: readonly number[]): Float32Array;
  /** PyTorch-ordered values of a weight of this tfjs shape, in tfjs's order. */
  fromTorch(values: Float32Array, shape: readonly number[]): Float32Array;
}

/** Copies a row-major tensor with its axes permuted: axis i of the result is axis `order[i]` of the source. */
function permute(values: Float32Array, shape: readonly number[], order: readonly number[]): Float32Array {
  const strides = shape.map((_, i) => shape.slice(i + 1).reduce((p, d) => p * d, 1));
  const sizes = order.map((i) => shape[i]);
  const steps = order.map((i) => strides[i]);
  const result = new Float32Array(values.length);
  const index = sizes.map(() => 0);
  let source = 0;
  for (let i = 0; i < result.length; i++) {
    result[i] = values[source];
    for (let axis = sizes.length - 1; axis >= 0; axis--) {
      source += steps[axis];
      if (++index[axis] < sizes[axis]) break;
      source -= steps[axis] * sizes[axis];
      index[axis] = 0;
    }
  }
  return result;
}

const HWIO_TO_OIHW = [3, 2, 0, 1];
const OIHW_TO_HWIO = [2, 3, 1, 0];
const SWAP = [1, 0];

function permuted(rule: StateRule, toTorch: readonly number[], fromTorch: readonly number[]): StateLayout {
  const torchShape = (shape: readonly number[]): number[] => toTorch.map((i) => shape[i]);
  return {
    rule,
    torchShape,
    toTorch: (values, shape) => permute(values, shape, toTorch),
    fromTorch: (values, shape) => permute(values, torchShape(shape), fromTorch),
  };
}

function unmoved(rule: StateRule, torchShape: (shape: readonly number[]) => number[]): StateLayout {
  return { rule, torchShape, toTorch: (values) => values.slice(), fromTorch: (values) => values.slice() };
}

export const STATE_LAYOUTS: Readonly<Record<StateRule, StateLayout>> = {
  same: unmoved('same', (shape) => [...shape]),
  counter: unmoved('counter', (shape) => [...shape]),
  channels3: unmoved('channels3', (shape) => [...shape, 1, 1]),
  conv: permuted('conv', HWIO_TO_OIHW, OIHW_TO_HWIO),
  linear: permuted('linear', SWAP, SWAP),
};

/** The layout of one weight of a layer, by its parameter name ("linear.weight"). */
export function layoutOf(layer: tf.layers.Layer, parameter: string): StateLayout {
  const rules = (layer as Partial<LayerWithState>).stateRules ?? {};
  return STATE_LAYOUTS[rules[parameter] ?? 'same'];
}
