/*
 * The second half of writing a store: each bucket is read, put into the order of (image, position), which does not
 * depend on how it was written, then into a random one, and becomes a shard. Each row went to a uniformly random bucket
 * and each bucket is in uniformly random order: so is the whole.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { writeError, writePieces } from '../../../core/atomicFile.js';
import { FactError } from '../../../core/errors.js';
import { float16Values } from '../../../core/float16.js';
import type { Progress } from '../../../core/progress.js';
import { Random } from '../../../core/random.js';
import { BlockSums } from './blockSums.js';
import { type StoreDtype, shardBytes, shardHeader, TAG_BYTES } from './shardFile.js';
import { spillFile } from './spill.js';
import { rowBytes } from './storeBytes.js';
import { damaged } from './storeErrors.js';
import type { StoreIndex, StoreShard } from './storeIndex.js';
import type { StorePlan } from './storePlan.js';
import type { WorkFolder, Writer } from './workFolder.js';

const SHUFFLE_STREAM = 0x5f1;
/** Features that are gathered for one write. */
const PIECE_BYTES = 2 ** 22;

/** A bucket that has become a shard; a bucket without rows has none. */
export interface ShardRecord {
  readonly shard: StoreShard | null;
  /** Sum of the squares of its features. */
  readonly squares: number;
}

/** The rows of a bucket from all processes, one behind the other. Throws FactError E_STORE_DAMAGED. */
async function readBucket(writers: readonly Writer[], tap: number, bucket: number): Promise<Buffer> {
  const sizes = writers.map(({ state }) => state.lengths[tap][bucket]);
  const rows = Buffer.allocUnsafe(sizes.reduce((sum, size) => sum + size, 0));
  let at = 0;
  for (const [i, size] of sizes.entries()) {
    if (size === 0) continue;
    const path = spillFile(writers[i].folder, tap, bucket);
    try {
      const handle = await open(path, 'r');
      try {
        for (let read = 0; read < size; ) {
          const { bytesRead } = await handle.read(rows, at + read, Math.min(size - read, 2 ** 30), read);
          if (bytesRead === 0) throw damaged(path, read, `it ends here, a checkpoint counts ${size} bytes`);
          read += bytesRead;
        }
      } finally {
        await handle.close();
      }
    } catch (error) {
      throw error instanceof FactError ? error : damaged(path, null, 'it cannot be read', error);
    }
    at += size;
  }
  return rows;
}

/**
 * Final order of the rows of a bucket: `keys` (different for each row) are put into rising order, which forgets in what
 * order the rows came, and then into a random one.
 */
export function finalOrder(keys: Float64Array, random: Random): Uint32Array {
  const sorted = Uint32Array.from(keys, (_, i) => i).sort((a, b) => keys[a] - keys[b]);
  return random.permutation(keys.length).map((i) => sorted[i]);
}

/** Image and position of each row as one number. */
function keysOf(rows: Buffer, size: number, positions: number): Float64Array {
  return Float64Array.from(
    { length: rows.length / size },
    (_, i) => rows.readInt32LE(i * size) * positions + rows.readInt32LE(i * size + 4),
  );
}

/** Sum of the squares of stored features. */
function sumSquares(bytes: Uint8Array, dtype: StoreDtype): number {
  let sum = 0;
  if (dtype === 'f32') {
    const values = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
    for (let i = 0; i < values.length; i++) sum += values[i] * values[i];
    return sum;
  }
  const table = float16Values();
  const bits = new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.length / 2);
  for (let i = 0; i < bits.length; i++) sum += table[bits[i]] ** 2;
  return sum;
}

/** The parts of a shard's file, each used up before the one after the next is made. */
function* pieces(
  rows: Buffer,
  order: Uint32Array,
  shape: { readonly channels: number; readonly dtype: StoreDtype },
  size: number,
  onFeatures: (bytes: Uint8Array) => void,
): Generator<Uint8Array, void, undefined> {
  yield shardHeader({ rows: order.length, ...shape });
  for (const offset of [0, 4]) {
    const column = Buffer.allocUnsafe(order.length * 4);
    for (let i = 0; i < order.length; i++)
      rows.copy(column, i * 4, order[i] * size + offset, order[i] * size + offset + 4);
    yield column;
  }
  const width = size - TAG_BYTES;
  const perPiece = Math.max(1, Math.floor(PIECE_BYTES / width));
  const blocks = [0, 1].map(() => Buffer.from(new ArrayBuffer(Math.min(perPiece, order.length) * width)));
  for (let from = 0, turn = 0; from < order.length; from += perPiece, turn = 1 - turn) {
    const to = Math.min(from + perPiece, order.length);
    const piece = blocks[turn].subarray(0, (to - from) * width);
    for (let i = from; i < to; i++) {
      const start = order[i] * size + TAG_BYTES;
      rows.copy(piece, (i - from) * width, start, start + width);
    }
    onFeatures(piece);
    yield piece;
  }
}

/** Makes a shard of a bucket. Throws FactError E_STORE_DAMAGED, E_WRITE. */
async function makeShard(
  plan: StorePlan,
  folder: string,
  writers: readonly Writer[],
  tap: number,
  bucket: number,
): Promise<ShardRecord> {
  const { channels, positions } = plan.taps[tap];
  const { dtype, seed } = plan.request;
  const rows = await readBucket(writers, tap, bucket);
  if (rows.length === 0) return { shard: null, squares: 0 };
  const size = rowBytes(channels, dtype);
  const order = finalOrder(keysOf(rows, size, positions), new Random(seed, SHUFFLE_STREAM, tap, bucket));
  const hash = createHash('sha256');
  const blocks = new BlockSums();
  let squares = 0;
  const temporary = join(folder, `.bucket-${bucket}.tmp`);
  function* hashed(): Generator<Uint8Array, void, undefined> {
    for (const piece of pieces(rows, order, { channels, dtype }, size, (bytes) => {
      squares += sumSquares(bytes, dtype);
    })) {
      hash.update(piece);
      blocks.add(piece);
      yield piece;
    }
  }
  try {
    mkdirSync(folder, { recursive: true });
    const handle = await open(temporary, 'w');
    try {
      await writePieces(handle, hashed());
      await handle.sync();
    } finally {
      await handle.close();
    }
    const sha256 = hash.digest('hex');
    const file = `features-${sha256.slice(0, 16)}.safetensors`;
    renameSync(temporary, join(folder, file));
    const shape = { rows: order.length, channels, dtype };
    const shard = { file, rows: order.length, bytes: shardBytes(shape), sha256, blocks: blocks.finish() };
    return { shard, squares };
  } catch (error) {
    rmSync(temporary, { force: true });
    throw writeError(temporary, error);
  }
}

/** What an interrupted attempt left in a tap's folder. */
function clean(folder: string): void {
  try {
    mkdirSync(folder, { recursive: true });
    for (const name of readdirSync(folder))
      if (name.endsWith('.tmp')) rmSync(join(folder, name), { force: true });
  } catch (error) {
    throw writeError(folder, error);
  }
}

/**
 * Makes the shards of all buckets that have none yet, and removes the buckets. False: the signal ended it early.
 * Returns the taps as the index lists them. Throws FactError E_STORE_DAMAGED, E_WRITE.
 */
export async function finishShards(
  out: string,
  plan: StorePlan,
  work: WorkFolder,
  progress: Progress,
  signal?: AbortSignal,
): Promise<StoreIndex['taps'] | null> {
  const writers = work.writers();
  const taps: StoreIndex['taps'] = [];
  let made = 0;
  for (const [place, planned] of plan.taps.entries()) {
    const folder = join(out, planned.folder);
    clean(folder);
    const shards: StoreShard[] = [];
    let squares = 0;
    for (let bucket = 0; bucket < planned.buckets; bucket++) {
      if (signal?.aborted) return null;
      let record = work.recordOf<ShardRecord>(place, bucket);
      if (record === null) {
        record = await makeShard(plan, folder, writers, place, bucket);
        work.addRecord(place, bucket, record);
      }
      for (const writer of writers) rmSync(spillFile(writer.folder, place, bucket), { force: true });
      if (record.shard !== null) shards.push(record.shard);
      squares += record.squares;
      progress.update(++made);
    }
    const { tap, channels, positions, kept } = planned;
    const rows = shards.reduce((sum, shard) => sum + shard.rows, 0);
    taps.push({
      tap,
      folder: planned.folder,
      channels,
      positions,
      kept,
      rule: plan.request.positions,
      rows,
      rmsNorm: rows === 0 ? 0 : Math.sqrt(squares / rows),
      shards,
    });
  }
  return taps;
}
