import type { NumericDType, Shape, Values } from './graph.js';

/**
 * How graphs keep convolution filters. tfjs sees [kh,kw,I,O]; ONNX's convolutions read [O,I,kh,kw]. Turning a filter
 * round costs more than the convolution of a small image, so a variable that a graph reads and writes stays in ONNX's
 * order from run to run, and its optimiser slots with it; it is turned only when somebody reads it, exactly, because
 * nothing is computed. Filters are taken to be the float variables with four axes: for any other such variable the
 * order is only a detour.
 */

/** Axis i of the stored filter is axis STORED_ORDER[i] of tfjs's. */
export const STORED_ORDER: readonly number[] = [3, 2, 0, 1];
/** Axis i of tfjs's filter is axis VIEW_ORDER[i] of the stored one. */
export const VIEW_ORDER: readonly number[] = [2, 3, 1, 0];

const FILTER_AXES = 4;

/** A filter's numbers in ONNX's order, and its shape in tfjs's. */
export interface StoredFilter {
  readonly values: Values;
  readonly shape: Shape;
}

export function isStoredAsFilter(shape: Shape, dtype: string): boolean {
  return dtype === ('float32' satisfies NumericDType) && shape.length === FILTER_AXES;
}

/** Shape of the stored filter. */
export function storedShape(shape: Shape): Shape {
  return STORED_ORDER.map((axis) => shape[axis]);
}

/** [kh,kw,I,O] as [kh kw, I, O] to [O, I, kh kw]: writes `to`. */
export function storeFilter(from: Values, shape: Shape, to: Values): void {
  turn(from, [shape[0] * shape[1], shape[2], shape[3]], to);
}

/** [O,I,kh,kw] to [kh,kw,I,O], the shape given: writes `to`. */
export function readFilter(from: Values, shape: Shape, to: Values): void {
  turn(from, [shape[3], shape[2], shape[0] * shape[1]], to);
}

/** Reverses the three axes. */
function turn(from: Values, [a, b, c]: readonly [number, number, number], to: Values): void {
  let at = 0;
  for (let i = 0; i < a; i++) {
    for (let j = 0; j < b; j++) {
      for (let k = 0; k < c; k++) to[(k * b + j) * a + i] = from[at++];
    }
  }
}
