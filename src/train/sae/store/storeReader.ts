/*
 * A tap of a store as a source of features: shuffled passes at bounded memory. Two windows (passWindows.ts) are in
 * memory at a time: rows are taken from one while the next is read. Where all rows fit into one window it is read once
 * and kept.
 */
import { closeSync, openSync, readSync, statSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { FactError, messageOf } from '../../../core/errors.js';
import { float16Values } from '../../../core/float16.js';
import { sha256 } from '../../../core/hash.js';
import type { FeatureSource, PassOrder } from '../features/featureSource.js';
import { type Page, type PassWindow, pagesOf, passWindows, windowOrder } from './passWindows.js';
import { featuresStart, HEADER_BYTES, shardHeader, valueBytes } from './shardFile.js';
import { damaged } from './storeErrors.js';
import { chooseTap, readStoreIndex, type StoreIndex, type StoreTap } from './storeIndex.js';

/** Bytes of a page: large enough that reading pages here and there is as fast as reading on. */
const PAGE_BYTES = 2 ** 19;
/** Bytes of both windows together. */
const WINDOW_MEMORY = 2 ** 28;
/** Shards that are read from at the same time. */
const LANES = 4;

export interface ReaderOptions {
  /** Tap to read; may be left out where the store has one. */
  readonly tap?: string;
  /** Bytes held at most, batches apart. The order of the rows depends on it. Default: 256 MiB. */
  readonly memory?: number;
  /** Bytes of a page. The order of the rows depends on it. Default: 512 KiB. */
  readonly pageBytes?: number;
}

/** Size and header of every shard of a tap. Throws FactError E_STORE_DAMAGED. */
function checkShards(folder: string, dtype: StoreIndex['dtype'], { channels, shards }: StoreTap): void {
  for (const { file, rows, bytes } of shards) {
    const path = join(folder, file);
    let head: Buffer;
    let size: number;
    try {
      size = statSync(path).size;
      head = Buffer.alloc(HEADER_BYTES);
      const handle = openSync(path, 'r');
      try {
        readSync(handle, head, 0, HEADER_BYTES, 0);
      } finally {
        closeSync(handle);
      }
    } catch (error) {
      throw damaged(path, null, `cannot be read: ${messageOf(error)}`, error);
    }
    if (size !== bytes) {
      throw size < bytes
        ? damaged(path, size, `the file ends here, the index counts ${bytes} bytes`)
        : damaged(path, bytes, `the file goes on to byte ${size}, the index counts ${bytes} bytes`);
    }
    const wanted = shardHeader({ rows, channels, dtype });
    if (head.equals(wanted)) continue;
    const byte = head.findIndex((value, i) => value !== wanted[i]);
    throw damaged(path, byte, `the header is not that of ${rows} rows of ${channels} ${dtype} features`);
  }
}

/** Several passes may be read at a time. */
class StoreReader implements FeatureSource {
  readonly channels: number;
  readonly rows: number;
  readonly tap: string;
  readonly arch: string;
  readonly modelHash: string | null;
  readonly fingerprint: string;
  private readonly rowBytes: number;
  private readonly pages: readonly Page[];
  private readonly windowRows: number;
  /** Blocks of memory that no pass uses now. */
  private readonly idle: ArrayBuffer[] = [];
  /** All rows in the store's order, where they fit. */
  private whole: Uint8Array | null = null;

  constructor(
    private readonly folder: string,
    private readonly index: StoreIndex,
    private readonly entry: StoreTap,
    text: string,
    { memory = WINDOW_MEMORY, pageBytes = PAGE_BYTES }: ReaderOptions,
  ) {
    const { channels, rows, tap, shards } = entry;
    this.channels = channels;
    this.rows = rows;
    this.tap = tap;
    this.arch = index.network.arch;
    this.modelHash = index.network.weightsHash;
    this.fingerprint = sha256(`${tap}\n${text}`);
    this.rowBytes = channels * valueBytes(index.dtype);
    const fits = rows * this.rowBytes <= memory;
    this.windowRows = fits ? rows : Math.max(1, Math.floor(memory / 2 / this.rowBytes));
    this.pages = pagesOf(
      shards.map((shard) => shard.rows),
      Math.min(this.windowRows, Math.max(1, Math.floor(pageBytes / this.rowBytes))),
    );
  }

  async *batches({
    seed,
    pass,
    batchRows,
    start = 0,
  }: PassOrder): AsyncGenerator<Float32Array, void, undefined> {
    let skip = start * batchRows;
    let left = this.rows - skip;
    if (left <= 0) return;
    const windows = passWindows(this.pages, this.windowRows, seed, pass);
    const next = (): Loading | null => {
      for (let step = windows.next(); step.done !== true; step = windows.next()) {
        if (skip < step.value.rows) return this.load(step.value);
        skip -= step.value.rows;
      }
      return null;
    };
    let batch = new Float32Array(0);
    let used = 0;
    let current = next();
    let ahead: Loading | null = null;
    try {
      while (current !== null) {
        const bytes = await current.bytes;
        const order = windowOrder(current.window, seed, pass).subarray(skip);
        skip = 0;
        ahead = next();
        for (let i = 0; i < order.length; ) {
          if (used === 0) batch = new Float32Array(Math.min(batchRows, left) * this.channels);
          const count = Math.min(order.length - i, batch.length / this.channels - used);
          this.copyRows(bytes, order.subarray(i, i + count), batch, used);
          i += count;
          used += count;
          left -= count;
          if (used * this.channels < batch.length) break;
          used = 0;
          yield batch;
        }
        this.giveBack(bytes);
        current = ahead;
        ahead = null;
      }
    } finally {
      for (const loading of [current, ahead])
        await loading?.bytes.then((bytes) => this.giveBack(bytes)).catch(() => {});
    }
  }

  /** Rows of a window, by their places in it, into a batch. */
  private copyRows(bytes: Uint8Array, order: Uint32Array, batch: Float32Array, first: number): void {
    const { channels } = this;
    if (this.index.dtype === 'f32') {
      const values = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
      for (let i = 0; i < order.length; i++)
        batch.set(values.subarray(order[i] * channels, (order[i] + 1) * channels), (first + i) * channels);
      return;
    }
    const table = float16Values();
    const bits = new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.length / 2);
    for (let i = 0; i < order.length; i++) {
      const from = order[i] * channels;
      const to = (first + i) * channels;
      for (let c = 0; c < channels; c++) batch[to + c] = table[bits[from + c]];
    }
  }

  /** Begins to read a window. */
  private load(window: PassWindow): Loading {
    const bytes = this.read(window);
    bytes.catch(() => {}); // Awaited in its turn.
    return { window, bytes };
  }

  private async read({ pages, rows }: PassWindow): Promise<Uint8Array> {
    if (this.whole !== null) return this.whole;
    const size = Math.min(this.windowRows, this.rows) * this.rowBytes;
    const bytes = new Uint8Array(this.idle.pop() ?? new ArrayBuffer(size), 0, rows * this.rowBytes);
    const byShard = new Map<number, { readonly page: Page; readonly target: Uint8Array }[]>();
    let at = 0;
    for (const page of pages) {
      const target = bytes.subarray(at, at + page.rows * this.rowBytes);
      at += target.length;
      const others = byShard.get(page.shard);
      if (others === undefined) byShard.set(page.shard, [{ page, target }]);
      else others.push({ page, target });
    }
    const shards = [...byShard];
    const lane = async (): Promise<void> => {
      for (let next = shards.shift(); next !== undefined; next = shards.shift()) {
        const [shard, wanted] = next;
        await this.readPages(
          shard,
          wanted.sort((a, b) => a.page.first - b.page.first),
        );
      }
    };
    await Promise.all(Array.from({ length: LANES }, lane));
    if (rows === this.rows) this.whole = bytes;
    return bytes;
  }

  /** Reads pages of one shard. Throws FactError E_STORE_DAMAGED where the file ends early. */
  private async readPages(
    shard: number,
    wanted: readonly { readonly page: Page; readonly target: Uint8Array }[],
  ): Promise<void> {
    const { file, rows } = this.entry.shards[shard];
    const path = join(this.folder, file);
    const start = featuresStart(rows);
    let handle: FileHandle | undefined;
    try {
      handle = await open(path, 'r');
      for (const { page, target } of wanted) {
        const place = start + page.first * this.rowBytes;
        for (let done = 0; done < target.length; ) {
          const { bytesRead } = await handle.read(target, done, target.length - done, place + done);
          if (bytesRead === 0) {
            const { size } = await handle.stat();
            throw damaged(path, size, 'the file ends here, it was cut since it was opened');
          }
          done += bytesRead;
        }
      }
    } catch (error) {
      throw error instanceof FactError
        ? error
        : damaged(path, null, `cannot be read: ${messageOf(error)}`, error);
    } finally {
      await handle?.close();
    }
  }

  private giveBack(bytes: Uint8Array): void {
    if (bytes !== this.whole && this.idle.length < 2) this.idle.push(bytes.buffer as ArrayBuffer);
  }

  async close(): Promise<void> {
    this.whole = null;
    this.idle.length = 0;
  }
}

interface Loading {
  readonly window: PassWindow;
  readonly bytes: Promise<Uint8Array>;
}

/**
 * Opens a tap of a finished store. Checks the index and every shard's size and header; the hashes are left to
 * `checkStore`. Caller closes.
 * Throws FactError E_STORE_MISSING, E_STORE_VERSION, E_STORE_DAMAGED, E_STORE_TAP.
 */
export function openStore(folder: string, options: ReaderOptions = {}): FeatureSource {
  const { index, text } = readStoreIndex(folder);
  const entry = chooseTap(folder, index, options.tap);
  const place = join(folder, entry.folder);
  checkShards(place, index.dtype, entry);
  return new StoreReader(place, index, entry, text, options);
}
