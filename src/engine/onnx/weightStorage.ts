/*
 * Weights stored in less: as float16, or as int8 with one scale for each output, and made float32 in the graph (a
 * runtime does that once, when it loads the file; it computes with float32 as before).
 *
 *     f16    w = s_o h     h float16; s_o = 1, unless the output's weights are multiples of float16 numbers: filters
 *                          of a network saved in float16, normalised. Then s_o makes them exact.
 *     int8   w = s_o q     q = round(w / s_o), s_o = max |w| / 127
 *
 * The output is the axis o. Sums of contributions stay exact, since a layer and its transpose read the same numbers:
 * weights are rounded in the traced graph (`roundWeights`), the passes work on the rounded ones, and the file stores each
 * array once (sharedConstants.ts). What changes is the network, a little.
 */
import { fromFloat16, toFloat16 } from '../../core/float16.js';
import { GraphEditor } from './edit.js';
import { type GraphConstant, type GraphParts, ONNX_TYPE } from './graph.js';
import { applyDerivation, findSource } from './sharedConstants.js';

export const WEIGHT_STORAGES = ['f32', 'f16', 'int8'] as const;
/** How weights lie in a file. */
export type WeightStorage = (typeof WEIGHT_STORAGES)[number];

/** Smaller arrays (gains, biases, interpolation weights) stay float32. */
const LEAST_SIZE = 4096;
/** Mantissas of float16 numbers: 11 bits, the first of them 1. */
const MANTISSA = 1024;
/** How far, in steps of the mantissa, a float32 product may be from a float16 number that it stands for. */
const ROUNDING = 2e-3;
/** Power of two that brings the largest number of an output near the upper end of float16. */
const SHIFT = 16;

/** An array as rows, one for each output: axis 0 of matrices [K, C], the last axis of filters [h, w, in, out]. */
interface Rows {
  readonly count: number;
  readonly length: number;
  readonly at: (row: number, i: number) => number;
  /** Shape that scales broadcast in. */
  readonly scaleDims: readonly number[];
}

function rowsOf({ dims, data }: GraphConstant): Rows {
  const isFilter = dims.length === 4;
  const axis = isFilter ? dims.length - 1 : 0;
  const count = dims[axis];
  const length = data.length / count;
  const scaleDims = dims.map((size, i) => (i === axis ? size : 1));
  return {
    count,
    length,
    scaleDims,
    at: isFilter ? (row, i) => i * count + row : (row, i) => row * length + i,
  };
}

/** Distance of v > 0 from the nearest number with 11 bits, in steps of the last bit. */
function offGrid(v: number): number {
  const steps = v / 2 ** (Math.floor(Math.log2(v)) - 10);
  return Math.abs(steps - Math.round(steps));
}

/** s such that all values / s are float16 numbers, found from the largest; 1 where there is none. */
export function halfScale(values: Float32Array): number {
  let largest = 0;
  for (const v of values) largest = Math.max(largest, Math.abs(v));
  if (largest === 0) return 1;
  for (let mantissa = MANTISSA; mantissa < 2 * MANTISSA; mantissa++) {
    const scale = largest / (mantissa * SHIFT);
    if (values.every((v) => v === 0 || offGrid(Math.abs(v) / scale) < ROUNDING)) return scale;
  }
  return 1;
}

function row(constant: GraphConstant, rows: Rows, index: number): Float32Array {
  return Float32Array.from({ length: rows.length }, (_, i) => Number(constant.data[rows.at(index, i)]));
}

/** Codes of a constant, value / scale of its output. */
function divided(constant: GraphConstant, rows: Rows, scales: Float32Array): Float32Array {
  const codes = new Float32Array(constant.data.length);
  for (let r = 0; r < rows.count; r++) {
    for (let i = 0; i < rows.length; i++) {
      const at = rows.at(r, i);
      codes[at] = Number(constant.data[at]) / scales[r];
    }
  }
  return codes;
}

/** An array in less space: value = scales x codes. */
interface Stored {
  readonly codes: GraphConstant;
  readonly rows: Rows;
  readonly scales: Float32Array;
}

function asHalf(constant: GraphConstant): Stored {
  const rows = rowsOf(constant);
  const scales = Float32Array.from({ length: rows.count }, (_, r) => halfScale(row(constant, rows, r)));
  const bytes = toFloat16(divided(constant, rows, scales));
  const data = new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 2);
  return { codes: { ...constant, type: 'float16', data }, rows, scales };
}

function asBytes(constant: GraphConstant): Stored {
  const rows = rowsOf(constant);
  const scales = Float32Array.from({ length: rows.count }, (_, r) => {
    const largest = row(constant, rows, r).reduce((most, v) => Math.max(most, Math.abs(v)), 0);
    return largest === 0 ? 1 : largest / 127;
  });
  const data = Int8Array.from(divided(constant, rows, scales), (code) =>
    Math.max(-127, Math.min(127, Math.round(code))),
  );
  return { codes: { ...constant, type: 'int8', data }, rows, scales };
}

const STORE = { f16: asHalf, int8: asBytes };

function isWeight({ type, dims, data }: GraphConstant): boolean {
  return type === 'float32' && dims.length >= 2 && data.length >= LEAST_SIZE;
}

/** The numbers that come back from storage. */
function restored({ codes, rows, scales }: Stored): Float32Array {
  const values =
    codes.type === 'float16'
      ? fromFloat16(new Uint8Array(codes.data.buffer, codes.data.byteOffset, codes.data.byteLength))
      : Float32Array.from(codes.data as Int8Array);
  for (let r = 0; r < rows.count; r++)
    for (let i = 0; i < rows.length; i++) values[rows.at(r, i)] *= scales[r];
  return values;
}

/** The graph with its large arrays rounded to what storage keeps of them; arrays made of one another stay so. */
export function roundWeights(parts: GraphParts, storage: WeightStorage): GraphParts {
  if (storage === 'f32') return parts;
  const known: GraphConstant[] = [];
  const rounded = new Map<GraphConstant, Float32Array>();
  const constants = parts.constants.map((constant) => {
    if (!isWeight(constant)) return constant;
    const found = findSource(known, constant);
    const source = found && rounded.get(found.source);
    if (found && source) return { ...constant, data: applyDerivation(found.rule, source) };
    const data = restored(STORE[storage](constant));
    known.push(constant);
    rounded.set(constant, data);
    return { ...constant, data };
  });
  return { ...parts, constants };
}

/** Stores those of the graph's arrays that have one of the given names; f32 leaves it as it is. */
export function storeWeights(
  parts: GraphParts,
  storage: WeightStorage,
  names: ReadonlySet<string>,
): GraphParts {
  if (storage === 'f32') return parts;
  const isStored = (constant: GraphConstant): boolean => isWeight(constant) && names.has(constant.name);
  const editor = new GraphEditor(
    { ...parts, constants: parts.constants.filter((constant) => !isStored(constant)) },
    'stored_',
  );
  for (const constant of parts.constants.filter(isStored)) {
    const { codes, rows, scales } = STORE[storage](constant);
    const stored = editor.constant(codes.type, codes.dims, codes.data);
    const to = ONNX_TYPE.float32;
    if (scales.every((scale) => scale === 1)) editor.node('Cast', [stored], { to }, constant.name);
    else {
      const factors = editor.constant('float32', rows.scaleDims, scales);
      editor.node('Mul', [editor.node('Cast', [stored], { to }), factors], {}, constant.name);
    }
  }
  return editor.parts();
}
