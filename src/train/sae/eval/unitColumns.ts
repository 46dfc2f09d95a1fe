import { Random } from '../../../core/random.js';
import type { Sae } from '../../../explain/sae.js';

/** Directions as rows of length 1 (or 0 where a direction is zero), row-major [count, channels]. */
export interface Directions {
  readonly rows: Float32Array;
  readonly count: number;
  readonly channels: number;
}

/** Rows scaled to length 1, in place; zero rows stay. */
function normalise({ rows, count, channels }: Directions): Directions {
  for (let j = 0; j < count; j++) {
    const row = rows.subarray(j * channels, (j + 1) * channels);
    let squares = 0;
    for (let c = 0; c < channels; c++) squares += row[c] * row[c];
    if (squares === 0) continue;
    const scale = 1 / Math.sqrt(squares);
    for (let c = 0; c < channels; c++) row[c] *= scale;
  }
  return { rows, count, channels };
}

/** The decoder's columns as directions. */
export async function decoderDirections(sae: Sae): Promise<Directions> {
  const { latents: count, channels } = sae;
  const decoder = (await sae.decoder.data()) as Float32Array;
  const rows = new Float32Array(count * channels);
  for (let c = 0; c < channels; c++)
    for (let j = 0; j < count; j++) rows[j * channels + c] = decoder[c * count + j];
  return normalise({ rows, count, channels });
}

/** Some of the directions, in the order of `chosen`. */
export function chooseDirections({ rows, channels }: Directions, chosen: readonly number[]): Directions {
  const own = new Float32Array(chosen.length * channels);
  chosen.forEach((from, to) => {
    own.set(rows.subarray(from * channels, (from + 1) * channels), to * channels);
  });
  return { rows: own, count: chosen.length, channels };
}

/**
 * Directions without meaning that look like given ones: each channel's values are shuffled among the directions, so that
 * the common mean and the spread of every channel stay. What two such sets agree in is chance.
 */
export function shuffledDirections({ rows, count, channels }: Directions, seed: number): Directions {
  const shuffled = new Float32Array(rows.length);
  for (let c = 0; c < channels; c++) {
    const order = new Random(seed, c).permutation(count);
    for (let j = 0; j < count; j++) shuffled[j * channels + c] = rows[order[j] * channels + c];
  }
  return normalise({ rows: shuffled, count, channels });
}

/** Cosine of two directions. */
export function cosine(a: Directions, i: number, b: Directions, j: number): number {
  const { channels } = a;
  let sum = 0;
  for (let c = 0; c < channels; c++) sum += a.rows[i * channels + c] * b.rows[j * channels + c];
  return sum;
}
