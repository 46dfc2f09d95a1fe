/*
 * Rows on their way to the shards: each goes to a random bucket of its tap. They gather in one block of memory; when it
 * is full, what belongs to a bucket is appended to the bucket's file in one write. A row on disk is its image and its
 * position (int32 each) and its features as they will be stored.
 */
import { mkdirSync, statSync, truncateSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { writeError } from '../../../core/atomicFile.js';
import { FactError } from '../../../core/errors.js';
import { damaged } from './storeErrors.js';

/** Bytes of rows held back before they are written. */
export const SPILL_MEMORY = 2 ** 27;
/** Files that are flushed to the disk at the same time. */
const FLUSHED_AT_ONCE = 8;

export interface SpillTap {
  readonly buckets: number;
  readonly rowBytes: number;
}

/** Bytes of each bucket's file: by tap, by bucket. */
export type SpillLengths = readonly (readonly number[])[];

/** The file of a bucket. */
export function spillFile(folder: string, tap: number, bucket: number): string {
  return join(folder, `tap${tap}-${bucket}.rows`);
}

/** Writes `bytes` at a place. Rejects with the system's error. */
async function writeAt(handle: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; )
    done += (await handle.write(bytes, done, bytes.length - done, position + done)).bytesWritten;
}

/** Takes rows of one process. */
export class Spill {
  private readonly block: Buffer;
  private used = 0;
  /** Where in the block the rows begin, and their buckets, counted through all taps. */
  private readonly starts: number[] = [];
  private readonly owners: number[] = [];
  /** First bucket of each tap in that count. */
  private readonly first: readonly number[];
  private readonly sizes: number[];
  private readonly unflushed = new Set<number>();

  /**
   * Opens the buckets as a checkpoint left them: what was written after it is cut off.
   * Throws FactError E_WRITE, E_STORE_DAMAGED (a file is shorter than the checkpoint says).
   */
  constructor(
    private readonly folder: string,
    private readonly taps: readonly SpillTap[],
    lengths: SpillLengths,
    memory = SPILL_MEMORY,
  ) {
    const largest = Math.max(...taps.map(({ rowBytes }) => rowBytes));
    this.block = Buffer.allocUnsafe(Math.max(memory, largest));
    let count = 0;
    this.first = taps.map(({ buckets }) => {
      count += buckets;
      return count - buckets;
    });
    this.sizes = lengths.flat();
    try {
      mkdirSync(folder, { recursive: true });
      for (let owner = 0; owner < this.sizes.length; owner++) this.cut(owner);
    } catch (error) {
      throw error instanceof FactError ? error : writeError(folder, error);
    }
  }

  private pathOf(owner: number): string {
    const tap = this.first.findLastIndex((first) => first <= owner);
    return spillFile(this.folder, tap, owner - this.first[tap]);
  }

  private cut(owner: number): void {
    const path = this.pathOf(owner);
    const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
    const kept = this.sizes[owner];
    if (size < kept) throw damaged(path, size, `it ends here, a checkpoint counts ${kept} bytes`);
    if (size > kept) truncateSync(path, kept);
  }

  /** Bytes of each bucket so far, what is still in memory apart. */
  get lengths(): SpillLengths {
    return this.taps.map(({ buckets }, tap) => this.sizes.slice(this.first[tap], this.first[tap] + buckets));
  }

  /**
   * Room for one row of a tap that goes to a bucket, to be filled before the next call. Null: memory is full, `write`
   * first.
   */
  row(tap: number, bucket: number): Buffer | null {
    const { rowBytes } = this.taps[tap];
    if (this.used + rowBytes > this.block.length) return null;
    this.starts.push(this.used);
    this.owners.push(this.first[tap] + bucket);
    this.used += rowBytes;
    return this.block.subarray(this.used - rowBytes, this.used);
  }

  /** Appends what is in memory to the files. Throws FactError E_WRITE. */
  async write(): Promise<void> {
    const order = Uint32Array.from({ length: this.starts.length }, (_, i) => i);
    const { owners, starts } = this;
    order.sort((a, b) => owners[a] - owners[b] || a - b);
    for (let from = 0; from < order.length; ) {
      const owner = owners[order[from]];
      let to = from;
      while (to < order.length && owners[order[to]] === owner) to++;
      const tap = this.first.findLastIndex((first) => first <= owner);
      const { rowBytes } = this.taps[tap];
      const piece = Buffer.allocUnsafe((to - from) * rowBytes);
      for (let i = from; i < to; i++) {
        const start = starts[order[i]];
        this.block.copy(piece, (i - from) * rowBytes, start, start + rowBytes);
      }
      await this.append(owner, piece);
      from = to;
    }
    this.used = 0;
    this.starts.length = 0;
    this.owners.length = 0;
  }

  private async append(owner: number, piece: Buffer): Promise<void> {
    const path = this.pathOf(owner);
    try {
      const handle = await open(path, this.sizes[owner] === 0 ? 'w' : 'r+');
      try {
        await writeAt(handle, piece, this.sizes[owner]);
      } finally {
        await handle.close();
      }
    } catch (error) {
      throw writeError(path, error);
    }
    this.unflushed.add(owner);
    this.sizes[owner] += piece.length;
  }

  /** Writes what is in memory and waits until the disk has it. Throws FactError E_WRITE. */
  async settle(): Promise<void> {
    await this.write();
    const owners = [...this.unflushed];
    const lane = async (): Promise<void> => {
      for (let owner = owners.pop(); owner !== undefined; owner = owners.pop()) {
        const path = this.pathOf(owner);
        try {
          const handle = await open(path, 'r+');
          await handle.datasync().finally(() => handle.close());
        } catch (error) {
          throw writeError(path, error);
        }
      }
    };
    await Promise.all(Array.from({ length: FLUSHED_AT_ONCE }, lane));
    this.unflushed.clear();
  }
}
