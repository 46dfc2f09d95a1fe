import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { crc32 } from 'node:zlib';

/** The folder of golden numbers: FACT_GOLDENS, else `../shared/goldens` beside the project; null where absent. */
export function goldensFolder(): string | null {
  const folder = resolve(
    process.env.FACT_GOLDENS ?? join(import.meta.dirname, '..', '..', '..', 'shared', 'goldens'),
  );
  return existsSync(folder) ? folder : null;
}

/** ||a - b|| / ||b|| in float64; ||a|| where b is all zero; Infinity where lengths differ or a value is not finite. */
export function relativeError(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (actual.length !== expected.length) return Number.POSITIVE_INFINITY;
  let difference = 0;
  let norm = 0;
  for (let i = 0; i < expected.length; i++) {
    difference += (actual[i] - expected[i]) ** 2;
    norm += expected[i] ** 2;
  }
  const error = norm > 0 ? Math.sqrt(difference / norm) : Math.sqrt(difference);
  return Number.isNaN(error) ? Number.POSITIVE_INFINITY : error;
}

/** Tolerance of the goldens: 1e-5, or four times the noise that a golden records of its reference where larger. */
export function goldenTolerance(noise = 0): number {
  return Math.max(1e-5, 4 * noise);
}

export interface GoldenTensor {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data: Float64Array | Float32Array | Int32Array | BigInt64Array | Uint8Array;
  readonly noise?: number;
}

export interface GoldenCase {
  // biome-ignore lint/suspicious/noExplicitAny: each kind of case has its own parameters; suites read what they know.
  readonly params: any;
  // biome-ignore lint/suspicious/noExplicitAny: as above.
  readonly results: any;
  readonly tensors: Record<string, GoldenTensor>;
  readonly notes?: unknown;
}

const DTYPES = {
  f64: Float64Array,
  f32: Float32Array,
  i32: Int32Array,
  i64: BigInt64Array,
  u8: Uint8Array,
} as const;

/** Reads `NAME.json` + `NAME.bin` of the folder `fact`. */
export function readFactCase(path: string): GoldenCase {
  const json = JSON.parse(readFileSync(`${path}.json`, 'utf8'));
  const bin = readFileSync(`${path}.bin`);
  const tensors: Record<string, GoldenTensor> = {};
  for (const [name, t] of Object.entries<{
    dtype: keyof typeof DTYPES;
    shape: number[];
    offset: number;
    nbytes: number;
    noise?: number;
  }>(json.tensors ?? {})) {
    const bytes = new Uint8Array(bin.subarray(t.offset, t.offset + t.nbytes));
    tensors[name] = {
      dtype: t.dtype,
      shape: t.shape,
      noise: t.noise,
      data: new DTYPES[t.dtype](bytes.buffer),
    };
  }
  return { params: json.params, results: json.results, notes: json.notes, tensors };
}

/** Plain reader of the goldens' safetensors files: test code, independent of the product's reader. */
export function readGoldenSafetensors(path: string): Record<string, GoldenTensor> {
  const bytes = readFileSync(path);
  const length = Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.subarray(8, 8 + length).toString('utf8'));
  const types: Record<string, keyof typeof DTYPES> = {
    F64: 'f64',
    F32: 'f32',
    I32: 'i32',
    I64: 'i64',
    U8: 'u8',
  };
  const tensors: Record<string, GoldenTensor> = {};
  for (const [name, t] of Object.entries<{ dtype: string; shape: number[]; data_offsets: [number, number] }>(
    header,
  )) {
    if (name === '__metadata__') continue;
    const dtype = types[t.dtype];
    const copy = new Uint8Array(
      bytes.subarray(8 + length + t.data_offsets[0], 8 + length + t.data_offsets[1]),
    );
    tensors[name] = { dtype, shape: t.shape, data: new DTYPES[dtype](copy.buffer) };
  }
  return tensors;
}

/** Element `i` of the fill's stream for a name and case seed: an unsigned 32-bit number (goldens README, "The fill"). */
export function fillHash(name: string, caseSeed: number): (i: number) => number {
  const seed = (crc32(Buffer.from(name)) ^ caseSeed) >>> 0;
  return (i) => {
    let h = (seed + Math.imul(i, 0x9e3779b9)) >>> 0;
    h ^= h >>> 16;
    h = Math.imul(h, 0x85ebca6b);
    h ^= h >>> 13;
    h = Math.imul(h, 0xc2b2ae35);
    h ^= h >>> 16;
    return h >>> 0;
  };
}

/** Values of the goldens' fill, `fround(fround(a) + u * fround(b))`. */
export function fill(name: string, count: number, caseSeed: number, a: number, b: number): Float32Array {
  const hash = fillHash(name, caseSeed);
  const base = Math.fround(a);
  const range = Math.fround(b);
  const values = new Float32Array(count);
  for (let i = 0; i < count; i++) values[i] = base + (((hash(i) >>> 8) - 2 ** 23) / 2 ** 23) * range;
  return values;
}

/** The default (a, b) of the fill for a state-dict tensor; null for `num_batches_tracked` (the constant 7). */
export function fillRange(name: string, shape: readonly number[]): [number, number] | null {
  if (name.endsWith('running_mean')) return [0, 0.5];
  if (name.endsWith('running_var')) return [1, 0.25];
  if (name.endsWith('num_batches_tracked')) return null;
  if (name.endsWith('layer_scale')) return [16, 4];
  if (shape.length >= 2) {
    const fanIn = shape.slice(1).reduce((p, d) => p * d, 1);
    return [0, Math.fround(Math.sqrt(3 / fanIn))];
  }
  return name.endsWith('bias') ? [0, 0.125] : [1, 0.25];
}

/** Integer value noise of the goldens README ("Images"): pixels of image `n`, [channels, height, width], 0..255. */
export function noiseImage(
  n: number,
  shape: readonly [number, number, number],
  caseSeed: number,
  octaves: readonly (readonly [number, number])[],
): Uint8Array {
  const [channels, height, width] = shape;
  const sum = new Float64Array(channels * height * width);
  octaves.forEach(([cell, weight], k) => {
    const hash = fillHash(`image:${n}:${k}`, caseSeed);
    const rows = Math.floor(height / cell) + 2;
    const columns = Math.floor(width / cell) + 2;
    const lattice = (c: number, j: number, i: number): number => hash((c * rows + j) * columns + i) >>> 24;
    for (let c = 0; c < channels; c++) {
      for (let y = 0; y < height; y++) {
        const j = Math.floor(y / cell);
        const fy = y % cell;
        for (let x = 0; x < width; x++) {
          const i = Math.floor(x / cell);
          const fx = x % cell;
          const value =
            (cell - fy) * ((cell - fx) * lattice(c, j, i) + fx * lattice(c, j, i + 1)) +
            fy * ((cell - fx) * lattice(c, j + 1, i) + fx * lattice(c, j + 1, i + 1));
          sum[(c * height + y) * width + x] += weight * Math.floor(value / (cell * cell));
        }
      }
    }
  });
  const total = octaves.reduce((s, [, weight]) => s + weight, 0);
  return Uint8Array.from(sum, (v) => Math.min(255, Math.max(0, 2 * Math.floor(v / total) - 128)));
}
