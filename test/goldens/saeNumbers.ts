import { close, type GoldenCheck } from './checks.js';
import type { GoldenCase, GoldenTensor } from './format.js';

export type Numbers = Float64Array | Float32Array | Int32Array | Uint8Array;

export function numbers(golden: GoldenTensor): Numbers {
  return golden.data as Numbers;
}

export function agrees(golden: GoldenCase, name: string, actual: ArrayLike<number>, label = ''): GoldenCheck {
  const tensor = golden.tensors[name];
  return close(label === '' ? name : `${name} (${label})`, actual, numbers(tensor), tensor.noise);
}

/** Number of differing elements: integers must agree exactly. */
export function equal(tensor: string, actual: ArrayLike<number>, expected: ArrayLike<number>): GoldenCheck {
  let wrong = actual.length === expected.length ? 0 : 1;
  for (let i = 0; i < expected.length; i++) if (actual[i] !== expected[i]) wrong++;
  return { tensor, error: wrong, tolerance: 0 };
}

export function transposed(values: ArrayLike<number>, rows: number, columns: number): Float32Array {
  const result = new Float32Array(values.length);
  for (let i = 0; i < rows; i++)
    for (let j = 0; j < columns; j++) result[j * rows + i] = values[i * columns + j];
  return result;
}
