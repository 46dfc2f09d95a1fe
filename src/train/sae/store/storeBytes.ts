import { BLOCK_BYTES } from './blockSums.js';
import { HEADER_BYTES, type StoreDtype, shardBytes, TAG_BYTES, valueBytes } from './shardFile.js';

/** Most bytes of a shard. */
export const SHARD_BYTES = 2 ** 28;
/** Bytes of a shard's entry in the index, and of the index besides (held-out keys and broken images apart). */
const ENTRY_BYTES = 300;
const BLOCK_SUM_BYTES = 8;
const INDEX_BYTES = 2048;
/** Buckets are filled at random: room for this many standard deviations above the mean keeps each within a shard. */
const DEVIATIONS = 8;

/** Features of one tap. */
export interface TapAmount {
  readonly rows: number;
  readonly channels: number;
}

/** Bytes of a row on disk, with image and position. */
export function rowBytes(channels: number, dtype: StoreDtype): number {
  return TAG_BYTES + channels * valueBytes(dtype);
}

/** Buckets (in the end shards) that the rows of a tap are spread over, so that none outgrows a shard. */
export function bucketCount({ rows, channels }: TapAmount, dtype: StoreDtype, largest = SHARD_BYTES): number {
  const room = Math.max(1, Math.floor((largest - HEADER_BYTES) / rowBytes(channels, dtype)));
  if (rows <= room) return 1;
  // mean + DEVIATIONS * sqrt(mean) = room, solved for the mean.
  const root = (-DEVIATIONS + Math.sqrt(DEVIATIONS ** 2 + 4 * room)) / 2;
  return Math.ceil(rows / Math.max(1, root ** 2));
}

/**
 * Disk that a store needs: when finished, and at its peak while it is written (all rows in buckets, and the largest
 * bucket once more as the shard that it becomes). Held-out keys in the index come on top.
 */
export function storeBytes(
  taps: readonly TapAmount[],
  dtype: StoreDtype,
  largest = SHARD_BYTES,
): { bytes: number; peakBytes: number } {
  let bytes = INDEX_BYTES;
  let bucket = 0;
  for (const tap of taps) {
    const shards = bucketCount(tap, dtype, largest);
    const content = tap.rows * rowBytes(tap.channels, dtype);
    const sums = BLOCK_SUM_BYTES * (shards + content / BLOCK_BYTES);
    bytes += content + shards * (HEADER_BYTES + ENTRY_BYTES) + Math.ceil(sums);
    const whole = shardBytes({ ...tap, dtype });
    bucket = Math.max(bucket, shards === 1 ? whole : Math.min(whole, largest));
  }
  return { bytes, peakBytes: bytes + bucket };
}

/** The most images, at most `images`, whose store never takes more than `budget` bytes. */
export function imagesWithin(
  budget: number,
  images: number,
  taps: readonly { readonly kept: number; readonly channels: number }[],
  dtype: StoreDtype,
  largest = SHARD_BYTES,
): number {
  const fits = (count: number): boolean =>
    storeBytes(
      taps.map(({ kept, channels }) => ({ rows: count * kept, channels })),
      dtype,
      largest,
    ).peakBytes <= budget;
  let [low, high] = [0, images];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (fits(middle)) low = middle;
    else high = middle - 1;
  }
  return low;
}
