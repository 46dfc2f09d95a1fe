/** Scatter and gather along the last axis on plain arrays; the reference for every engine. */
import { FactError } from '../../core/errors.js';

/** An index outside the axis: FactError E_INDEX. */
export function indexError(op: string, index: number, size: number): FactError {
  return new FactError({
    code: 'E_INDEX',
    message: `${op}: index ${index} is outside the last axis of size ${size}`,
    remedy: 'Indices must come from an operation over the same axis, for example topk.',
  });
}

/** out[row, indices[row, j]] = values[row, j], zeros elsewhere. Throws FactError E_INDEX. */
export function scatterRows(
  values: ArrayLike<number>,
  indices: ArrayLike<number>,
  k: number,
  depth: number,
): Float32Array {
  const out = new Float32Array((values.length / k) * depth);
  for (let i = 0; i < values.length; i++) {
    const index = indices[i];
    if (index < 0 || index >= depth) throw indexError('FactScatterLast', index, depth);
    out[Math.floor(i / k) * depth + index] = values[i];
  }
  return out;
}

/** out[row, j] = x[row, indices[row, j]]. Throws FactError E_INDEX. */
export function gatherRows(
  x: ArrayLike<number>,
  indices: ArrayLike<number>,
  k: number,
  depth: number,
): Float32Array {
  const out = new Float32Array(indices.length);
  for (let i = 0; i < indices.length; i++) {
    const index = indices[i];
    if (index < 0 || index >= depth) throw indexError('FactGatherLast', index, depth);
    out[i] = x[Math.floor(i / k) * depth + index];
  }
  return out;
}
