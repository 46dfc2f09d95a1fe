/** The layouts of weights here against PyTorch's: shapes, and values both ways. Exact: elements only move. */
import type * as tf from '@tensorflow/tfjs';
import type { LayerWithPath, LayerWithState, StateRule } from './stateRule.js';

export interface StateLayout {
  readonly rule: StateRule;
  /** PyTorch's shape of a weight of this tfjs shape. */
  torchShape(shape: readonly number[]): number[];
  /** tfjs-ordered values of a weight of this tfjs shape, in PyTorch's order. */
  toTorch(values: Float32Array, shape: readonly number[]): Float32Array;
  /** PyTorch-ordered values of a weight of this tfjs shape, in tfjs's order. */
  fromTorch(values: Float32Array, shape: readonly number[]): Float32Array;
}

/** Blocks of the copy below: their lines stay in the cache. */
const OUTER = 64;
const INNER = 32;

/** A row-major [first, middle, last] tensor as [last, middle, first], block by block. */
function endsSwapped(values: Float32Array, first: number, middle: number, last: number): Float32Array {
  const result = new Float32Array(values.length);
  for (let a0 = 0; a0 < first; a0 += OUTER) {
    const a1 = Math.min(first, a0 + OUTER);
    for (let c0 = 0; c0 < last; c0 += INNER) {
      const c1 = Math.min(last, c0 + INNER);
      for (let b = 0; b < middle; b++)
        for (let a = a0; a < a1; a++) {
          const from = (a * middle + b) * last;
          for (let c = c0; c < c1; c++) result[(c * middle + b) * first + a] = values[from + c];
        }
    }
  }
  return result;
}

/** Convolution filters: [height, width, in, out] here, [out, in, height, width] in PyTorch. */
const conv: StateLayout = {
  rule: 'conv',
  torchShape: ([h, w, i, o]) => [o, i, h, w],
  toTorch: (values, [h, w, i, o]) => endsSwapped(values, h * w, i, o),
  fromTorch: (values, [h, w, i, o]) => endsSwapped(values, o, i, h * w),
};

/** Matrices: [in, out] here, [out, in] in PyTorch. */
const linear: StateLayout = {
  rule: 'linear',
  torchShape: ([i, o]) => [o, i],
  toTorch: (values, [i, o]) => endsSwapped(values, i, 1, o),
  fromTorch: (values, [i, o]) => endsSwapped(values, o, 1, i),
};

function unmoved(rule: StateRule, torchShape: (shape: readonly number[]) => number[]): StateLayout {
  return { rule, torchShape, toTorch: (values) => values.slice(), fromTorch: (values) => values.slice() };
}

export const STATE_LAYOUTS: Readonly<Record<StateRule, StateLayout>> = {
  same: unmoved('same', (shape) => [...shape]),
  counter: unmoved('counter', (shape) => [...shape]),
  channels3: unmoved('channels3', (shape) => [...shape, 1, 1]),
  conv,
  linear,
};

/** PyTorch's name of a weight of a layer: module path and parameter ("conv1.linear.weight"). */
export function stateName(layer: tf.layers.Layer, parameter: string): string {
  const path = (layer as Partial<LayerWithPath>).statePath ?? layer.name;
  return path === '' ? parameter : `${path}.${parameter}`;
}

/** The layout of one weight of a layer, by its parameter name ("linear.weight"). */
export function layoutOf(layer: tf.layers.Layer, parameter: string): StateLayout {
  const rules = (layer as Partial<LayerWithState>).stateRules ?? {};
  return STATE_LAYOUTS[rules[parameter] ?? 'same'];
}
