import { closeSync, fstatSync, openSync, readSync, type Stats } from 'node:fs';
import { FactError, messageOf, systemCodeOf } from '../core/errors.js';
import { CheckpointErrors } from './checkpointError.js';

/** Bytes that are read by ranges, so that a file need not be in memory as a whole. */
export interface ByteSource {
  /** Length in bytes. */
  readonly size: number;
  /**
   * The bytes from `start` on: of a file in a buffer of their own, of memory as a view (do not write to it).
   * The caller has checked that the range lies within `size`. Throws FactError E_CKPT_TRUNCATED, E_CKPT_CORRUPT, E_READ.
   */
  read(start: number, length: number): Uint8Array;
}

/** Bytes in memory. */
export class MemorySource implements ByteSource {
  readonly size: number;

  constructor(private readonly bytes: Uint8Array) {
    this.size = bytes.length;
  }

  read(start: number, length: number): Uint8Array {
    return this.bytes.subarray(start, start + length);
  }
}

/** One call reads at most this much (the system's limit is 2 GB). */
const LARGEST_READ = 2 ** 30;
/** Short reads are served from a block of this size, since headers lie close together. */
const BLOCK_BYTES = 4096;
const SHORT_READ = 512;

/**
 * A file that the caller named, read by ranges. It is open only while it is parsed and for the moment of each later
 * read; a file that was changed or replaced in between is refused.
 */
export class FileSource implements ByteSource {
  readonly size: number;
  private readonly first: Stats;
  private handle: number | null = null;
  private block: { readonly start: number; readonly bytes: Uint8Array } | null = null;

  /** @param kind what was expected, for errors. Throws FactError E_NOT_FOUND, E_READ. */
  constructor(
    private readonly path: string,
    private readonly kind = 'a checkpoint file',
  ) {
    this.first = this.opened((handle) => fstatSync(handle));
    if (!this.first.isFile())
      throw new FactError({
        code: 'E_READ',
        message: `${path} is ${this.first.isDirectory() ? 'a folder' : 'no regular file'}, expected ${kind}`,
        remedy: `Name ${kind}.`,
      });
    this.size = this.first.size;
  }

  /** Runs `work` with the file held open. */
  whileOpen<T>(work: () => T): T {
    return this.opened((handle) => {
      this.checkUnchanged(handle);
      this.handle = handle;
      try {
        return work();
      } finally {
        this.handle = null;
        this.block = null;
      }
    });
  }

  read(start: number, length: number): Uint8Array {
    if (this.handle !== null) return this.readFrom(this.handle, start, length);
    return this.opened((handle) => {
      this.checkUnchanged(handle);
      return fill(handle, this.path, start, length);
    });
  }

  private readFrom(handle: number, start: number, length: number): Uint8Array {
    if (length > SHORT_READ) return fill(handle, this.path, start, length);
    const { block } = this;
    if (block === null || start < block.start || start + length > block.start + block.bytes.length) {
      const bytes = fill(handle, this.path, start, Math.min(BLOCK_BYTES, this.size - start));
      this.block = { start, bytes };
      return bytes.slice(0, length);
    }
    return block.bytes.slice(start - block.start, start - block.start + length);
  }

  private checkUnchanged(handle: number): void {
    const now = fstatSync(handle);
    const { ino, size, mtimeMs } = this.first;
    if (now.ino !== ino || now.size !== size || now.mtimeMs !== mtimeMs)
      throw new CheckpointErrors(this.path).fault('corrupt', '', 'the file was changed while it was read');
  }

  private opened<T>(work: (handle: number) => T): T {
    try {
      const handle = openSync(this.path, 'r');
      try {
        return work(handle);
      } finally {
        closeSync(handle);
      }
    } catch (error) {
      if (systemCodeOf(error) === undefined || error instanceof FactError) throw error;
      const isMissing = systemCodeOf(error) === 'ENOENT' || systemCodeOf(error) === 'ENOTDIR';
      throw new FactError({
        code: isMissing ? 'E_NOT_FOUND' : 'E_READ',
        message: isMissing
          ? `there is no file ${this.path}`
          : `cannot read ${this.path}: ${messageOf(error)}`,
        remedy: isMissing ? 'Check the path.' : `Check the permissions of the file; expected ${this.kind}.`,
        cause: error,
      });
    }
  }
}

/** A new buffer of its own (never a slice of a pool), filled from the file. Throws E_CKPT_TRUNCATED. */
function fill(handle: number, path: string, start: number, length: number): Uint8Array {
  const bytes = new Uint8Array(Buffer.allocUnsafeSlow(length).buffer);
  let filled = 0;
  while (filled < length) {
    const count = readSync(handle, bytes, filled, Math.min(LARGEST_READ, length - filled), start + filled);
    if (count === 0)
      throw new CheckpointErrors(path).fault(
        'truncated',
        `byte ${start + filled}`,
        'the file became shorter while it was read',
      );
    filled += count;
  }
  return bytes;
}
