/*
 * First weights of an autoencoder: the decoder's unit columns; the encoder is their transpose (as in the reference).
 *
 *   linear      uniform in a box, the reference's (torch's default for a linear layer, whose bounds +-1/sqrt(K) no longer
 *               matter once columns are scaled to unit norm)
 *   normal      normal variates: directions spread evenly over the sphere
 *   orthogonal  as `normal`, then orthogonal to each other within every block of C columns
 *   data        feature vectors drawn from the rows; where there are fewer than K, the rest is `normal`
 */
import { FactError } from '../../../core/errors.js';
import { Random } from '../../../core/random.js';
import { initialSaeWeights } from '../../../layers/topKSae.js';

export const SAE_INITS = ['linear', 'normal', 'orthogonal', 'data'] as const;
export type SaeInit = (typeof SAE_INITS)[number];

/** encoder row-major [K, C], decoder row-major [C, K]. */
export interface SaeStart {
  readonly encoder: Float32Array;
  readonly decoder: Float32Array;
}

export interface SaeInitSizes {
  readonly channels: number;
  readonly latents: number;
  readonly seed: number;
}

const NORMAL_STREAM = 0x1a1;
/** Share of its length that a direction must keep beside those before it; below it is drawn again. */
const SMALLEST_REST = 1e-6;

/** Scales a vector to unit norm in place; false where it has no direction. */
function makeUnit(row: Float64Array): boolean {
  const norm = Math.hypot(...row);
  if (!(norm > 0) || !Number.isFinite(norm)) return false;
  for (let c = 0; c < row.length; c++) row[c] /= norm;
  return true;
}

/** Removes what `row` has in common with unit vectors; twice, for accuracy. */
function makeOrthogonal(row: Float64Array, others: readonly Float64Array[]): void {
  for (let pass = 0; pass < 2; pass++) {
    for (const other of others) {
      let along = 0;
      for (let c = 0; c < row.length; c++) along += row[c] * other[c];
      for (let c = 0; c < row.length; c++) row[c] -= along * other[c];
    }
  }
}

function normalRow(random: Random, channels: number): Float64Array {
  const row = new Float64Array(channels);
  while (!makeUnit(row)) for (let c = 0; c < channels; c++) row[c] = random.normal();
  return row;
}

function orthogonalRows(random: Random, channels: number, latents: number): Float64Array[] {
  const rows: Float64Array[] = [];
  while (rows.length < latents) {
    const block = rows.slice(rows.length - (rows.length % channels));
    const row = normalRow(random, channels);
    makeOrthogonal(row, block);
    if (Math.hypot(...row) > SMALLEST_REST && makeUnit(row)) rows.push(row);
  }
  return rows;
}

/** Rows of the data with a direction, in their order, then normal ones. */
function dataRows(random: Random, data: Float32Array, channels: number, latents: number): Float64Array[] {
  const rows: Float64Array[] = [];
  for (let start = 0; start < data.length && rows.length < latents; start += channels) {
    const row = Float64Array.from(data.subarray(start, start + channels));
    if (makeUnit(row)) rows.push(row);
  }
  while (rows.length < latents) rows.push(normalRow(random, channels));
  return rows;
}

function fromRows(rows: readonly Float64Array[], channels: number): SaeStart {
  const latents = rows.length;
  const encoder = new Float32Array(latents * channels);
  const decoder = new Float32Array(latents * channels);
  rows.forEach((row, j) => {
    encoder.set(row, j * channels);
    for (let c = 0; c < channels; c++) decoder[c * latents + j] = row[c];
  });
  return { encoder, decoder };
}

/**
 * The start of a training run.
 * @param drawn for `data`: feature vectors in random order, row-major [n, C]; K of them or all there are
 * Throws FactError E_SAE_CONFIG where `data` gets none.
 */
export function startWeights(init: SaeInit, sizes: SaeInitSizes, drawn?: Float32Array): SaeStart {
  const { channels, latents, seed } = sizes;
  if (init === 'linear') return initialSaeWeights(channels, latents, seed);
  const random = new Random(seed, NORMAL_STREAM, channels, latents);
  if (init === 'orthogonal') return fromRows(orthogonalRows(random, channels, latents), channels);
  if (init === 'normal')
    return fromRows(
      Array.from({ length: latents }, () => normalRow(random, channels)),
      channels,
    );
  if (drawn === undefined || drawn.length === 0) {
    throw new FactError({
      code: 'E_SAE_CONFIG',
      message: 'init "data" starts from feature vectors, and none are given',
      remedy: 'Give rows of the features, or choose another init.',
    });
  }
  return fromRows(dataRows(random, drawn, channels, latents), channels);
}
