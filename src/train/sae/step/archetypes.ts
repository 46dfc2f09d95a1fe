/*
 * The points that span the hull of an archetypal dictionary (archetypal.ts): `points` feature vectors, or means of such.
 *
 *   rows      distinct feature vectors in the order in which they are drawn
 *   kmeans    Lloyd's algorithm from those: each vector goes to the nearest centre, each centre to the mean of its
 *             vectors; one that gets none stays. Every centre is a mean of feature vectors, so it lies in their hull.
 */
import * as tf from '@tensorflow/tfjs';
import { FactError } from '../../../core/errors.js';

export interface ArchetypeOptions {
  readonly points: number;
  readonly choice: 'kmeans' | 'rows';
}

/** Feature vectors to draw for each point: doubles are left out; means need several. */
const ROWS_PER_POINT = { rows: 2, kmeans: 16 } as const;
/** Beyond so many values (256 MiB) fewer vectors for each point do. */
const SAMPLE_VALUES = 2 ** 26;
const ROUNDS = 10;
/** Distances of one chunk of rows to all centres: 16 MiB. */
const CHUNK_VALUES = 2 ** 22;

/** How many feature vectors `archetypePoints` wants to see. */
export function archetypeSampleRows({ points, choice }: ArchetypeOptions, channels: number): number {
  const most = Math.max(2 * points, Math.floor(SAMPLE_VALUES / channels));
  return Math.min(ROWS_PER_POINT[choice] * points, most);
}

/** Distinct rows of [n, C], in their order, `wanted` at most. */
function distinctRows(values: Float32Array, channels: number, wanted: number): Float32Array[] {
  const seen = new Set<string>();
  const rows: Float32Array[] = [];
  for (let start = 0; start < values.length && rows.length < wanted; start += channels) {
    const row = values.subarray(start, start + channels);
    const key = Buffer.from(row.buffer, row.byteOffset, row.byteLength).toString('latin1');
    if (seen.has(key)) continue;
    seen.add(key);
    rows.push(row);
  }
  return rows;
}

/** Number of the nearest centre for each row: smallest |c|^2 - 2 <x, c>. */
function nearest(rows: tf.Tensor2D, centres: tf.Tensor2D): Promise<Int32Array> {
  const chunk = Math.max(1, Math.floor(CHUNK_VALUES / centres.shape[0]));
  const places = tf.tidy(() => {
    const half = tf.mul(tf.sum(tf.square(centres), 1), 0.5);
    const parts: tf.Tensor1D[] = [];
    for (let start = 0; start < rows.shape[0]; start += chunk) {
      const size = Math.min(chunk, rows.shape[0] - start);
      const part = tf.slice(rows, [start, 0], [size, rows.shape[1]]);
      parts.push(tf.argMax(tf.sub(tf.matMul(part, centres, false, true), half), 1));
    }
    return tf.concat(parts);
  });
  return (places.data() as Promise<Int32Array>).finally(() => places.dispose());
}

/** Means of the rows of each centre, summed in float64; a centre without rows stays. */
function meansOf(
  sample: Float32Array,
  assigned: Int32Array,
  before: Float32Array,
  channels: number,
): Float32Array {
  const counts = new Uint32Array(before.length / channels);
  const sums = new Float64Array(before.length);
  assigned.forEach((centre, row) => {
    counts[centre]++;
    for (let c = 0; c < channels; c++) sums[centre * channels + c] += sample[row * channels + c];
  });
  return before.map((old, i) => {
    const count = counts[Math.floor(i / channels)];
    return count === 0 ? old : sums[i] / count;
  });
}

async function kMeans(sample: Float32Array, start: Float32Array, channels: number): Promise<Float32Array> {
  const rows = tf.tensor2d(sample, [sample.length / channels, channels]);
  let centres = start;
  let before: Int32Array | null = null;
  try {
    for (let round = 0; round < ROUNDS; round++) {
      const table = tf.tensor2d(centres, [centres.length / channels, channels]);
      const assigned = await nearest(rows, table).finally(() => table.dispose());
      if (before?.every((centre, row) => centre === assigned[row])) break;
      centres = meansOf(sample, assigned, centres, channels);
      before = assigned;
    }
    return centres;
  } finally {
    rows.dispose();
  }
}

/**
 * Points from rows of features [n, C], in random order, as they come from the network. The points, row-major
 * [points, C], are divided by the norm factor.
 * Throws FactError E_SAE_ARCHETYPES (fewer distinct rows than points, values that are not finite).
 */
export async function archetypePoints(
  values: Float32Array,
  options: ArchetypeOptions & { readonly channels: number; readonly normFactor: number },
): Promise<Float32Array> {
  const { channels, normFactor, points, choice } = options;
  const wrong = values.findIndex((value) => !Number.isFinite(value));
  if (wrong >= 0) {
    throw new FactError({
      code: 'E_SAE_ARCHETYPES',
      message: `archetypal autoencoder: a feature vector holds ${values[wrong]} (row ${Math.floor(wrong / channels)} of the sample)`,
      remedy: 'The network gives features that are not finite; check its weights and the images.',
    });
  }
  const rows = distinctRows(values, channels, points);
  if (rows.length < points) {
    throw new FactError({
      code: 'E_SAE_ARCHETYPES',
      message: `archetypal autoencoder: ${rows.length} distinct feature vectors among ${values.length / channels}, expected ${points} points`,
      remedy: `Set archetypal.points to at most ${Math.max(1, rows.length)}, or collect more features.`,
    });
  }
  const scaled = values.map((value) => value / normFactor);
  const start = new Float32Array(points * channels);
  rows.forEach((row, i) => {
    start.set(
      row.map((value) => value / normFactor),
      i * channels,
    );
  });
  return choice === 'rows' ? start : kMeans(scaled, start, channels);
}
