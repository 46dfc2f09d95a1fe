import { closeSync, openSync, readFileSync, readSync, statSync } from 'node:fs';
import { FactError, messageOf, systemCodeOf } from '../core/errors.js';

/**
 * Where the bytes of every picture of a data set lie: plain data that can be handed to worker threads without a copy of
 * the pictures. Picture `i` is `length[i]` bytes at `offset[i]` of container `container[i]`; length -1 = the whole file.
 */
export interface ImageTable {
  readonly containers: readonly Container[];
  readonly container: Uint32Array;
  readonly offset: Float64Array;
  readonly length: Float64Array;
  readonly keys: readonly string[];
  readonly labels: Int32Array;
  /** Name of each class, in the order of the labels. */
  readonly classNames: readonly string[];
  /** WordNet ids (or folder names) of the classes, where the data set gives them. */
  readonly classIds: readonly string[] | null;
  /** What a user should know about the data set: empty class folders, ignored files. One line each. */
  readonly warnings: readonly string[];
}

/** A file, or the pictures of a decompressed shard held in memory. */
export interface Container {
  readonly path: string;
  readonly memory: SharedArrayBuffer | null;
}

/** Largest image file that is read. */
export const MAX_IMAGE_BYTES = 2 ** 28;

function unreadable(path: string, error: unknown): FactError {
  const isMissing = ['ENOENT', 'ENOTDIR'].includes(systemCodeOf(error) ?? '');
  return new FactError({
    code: isMissing ? 'E_IMAGE_MISSING' : 'E_IMAGE_UNREADABLE',
    message: isMissing ? `there is no file ${path}` : `cannot read ${path}: ${messageOf(error)}`,
    remedy: isMissing ? 'Check the path.' : 'Check the file and its permissions.',
    cause: error,
  });
}

/** Reads a file of at most MAX_IMAGE_BYTES. Throws FactError E_IMAGE_MISSING, E_IMAGE_UNREADABLE, E_IMAGE_TOO_LARGE. */
export function readImageBytes(path: string): Uint8Array {
  try {
    const { size } = statSync(path);
    if (size > MAX_IMAGE_BYTES) {
      throw new FactError({
        code: 'E_IMAGE_TOO_LARGE',
        message: `${path} has ${size} bytes, the limit for a picture is ${MAX_IMAGE_BYTES}`,
        remedy: 'Give a picture, or scale it down first.',
      });
    }
    return readFileSync(path);
  } catch (error) {
    throw error instanceof FactError ? error : unreadable(path, error);
  }
}

/** What to call picture `i` in a message: its path, or shard and member. */
export function imageName(table: ImageTable, i: number): string {
  const { path } = table.containers[table.container[i]];
  return table.length[i] < 0 ? path : `${path}: ${table.keys[i]}`;
}

/** Reads the bytes of pictures of a table; keeps uncompressed shards open between reads. */
export class ImageReader {
  private readonly handles = new Map<number, number>();

  constructor(private readonly table: ImageTable) {}

  /** Encoded bytes of picture `i`. Throws FactError E_IMAGE_MISSING, E_IMAGE_UNREADABLE, E_IMAGE_TOO_LARGE. */
  read(i: number): Uint8Array {
    const { containers, container, offset, length } = this.table;
    const { path, memory } = containers[container[i]];
    if (memory !== null) return new Uint8Array(memory, offset[i], length[i]);
    if (length[i] < 0) return readImageBytes(path);
    const bytes = Buffer.allocUnsafe(length[i]);
    try {
      const got = readSync(this.handle(container[i], path), bytes, 0, bytes.length, offset[i]);
      if (got !== bytes.length) throw new Error('the file was cut since it was opened');
    } catch (error) {
      throw unreadable(path, error);
    }
    return bytes;
  }

  private handle(index: number, path: string): number {
    const known = this.handles.get(index);
    if (known !== undefined) return known;
    const handle = openSync(path, 'r');
    this.handles.set(index, handle);
    return handle;
  }

  close(): void {
    for (const handle of this.handles.values()) closeSync(handle);
    this.handles.clear();
  }
}
