import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { FactError, messageOf, systemCodeOf } from './errors.js';

const REMEDIES: Record<string, string> = {
  ENOSPC: 'Free some disk space and run the command again; nothing was overwritten.',
  EACCES: 'Choose a folder that you may write to.',
  EPERM: 'Choose a folder that you may write to.',
  EROFS: 'Choose a folder that you may write to.',
};

/** Turns a failed write into a `FactError` with the code E_WRITE that names the file and the remedy. */
export function writeError(path: string, error: unknown): FactError {
  return new FactError({
    code: 'E_WRITE',
    message: `cannot write ${path}: ${messageOf(error)}`,
    remedy: REMEDIES[systemCodeOf(error) ?? ''] ?? 'Check the path and its permissions.',
    cause: error,
  });
}

/** Flushes a folder's entries, so that a rename in it survives a power cut; a no-op where the system refuses. */
function flushFolder(folder: string): void {
  try {
    const handle = openSync(folder, 'r');
    try {
      fsyncSync(handle);
    } finally {
      closeSync(handle);
    }
  } catch (error) {
    if (!['EISDIR', 'EPERM', 'EACCES', 'EINVAL', 'EBADF'].includes(systemCodeOf(error) ?? '')) throw error;
  }
}

/** Removes what a failed write left; a failure of this must not hide the first one. */
function removeLeftover(path: string): void {
  try {
    rmSync(path, { recursive: true, force: true });
  } catch (error) {
    if (systemCodeOf(error) === undefined) throw error;
  }
}

/**
 * Writes a file so that a reader sees the old content or the new, never a part: written beside under a temporary
 * name, flushed, renamed. Creates the folder. Pieces may be made one at a time, while they are written. On failure the temporary file is removed.
 * Throws FactError E_WRITE.
 */
export function writeFileAtomic(path: string, content: Uint8Array | string | Iterable<Uint8Array>): void {
  const folder = dirname(path);
  const temporary = join(folder, `.${basename(path)}.${process.pid}.tmp`);
  try {
    mkdirSync(folder, { recursive: true });
    const handle = openSync(temporary, 'w');
    try {
      const whole = typeof content === 'string' ? Buffer.from(content) : content;
      for (const bytes of whole instanceof Uint8Array ? [whole] : whole) {
        let written = 0;
        while (written < bytes.length) written += writeSync(handle, bytes, written);
      }
      fsyncSync(handle);
    } finally {
      closeSync(handle);
    }
    renameSync(temporary, path);
    flushFolder(folder);
  } catch (error) {
    removeLeftover(temporary);
    throw error instanceof FactError ? error : writeError(path, error);
  }
}

/** A replacement that is older than this was not finished by its process. */
export const ABANDONED_MS = 10_000;

/** Name of the folder to which an old target is moved while the new one takes its place. */
function asideOf(target: string): string {
  return join(dirname(target), `.${basename(target)}.replaced`);
}

/**
 * Undoes a replacement that a killed process left half-way: where the target is gone and the old one still lies aside,
 * it gets its name back; an old one beside a new target is removed. Readers of folders that `writeFolderAtomic` or
 * `replaceFolder` writes call it with an age, so that they never undo what another process is doing just now.
 * @param age how long ago, in milliseconds, the old one must have been moved aside. Throws FactError E_WRITE.
 */
export function recoverFolder(target: string, age = 0): void {
  const aside = asideOf(target);
  try {
    const found = statSync(aside, { throwIfNoEntry: false });
    if (found === undefined || Date.now() - found.ctimeMs < age) return;
    if (existsSync(target)) rmSync(aside, { recursive: true, force: true });
    else renameSync(aside, target);
  } catch (error) {
    // Another process was faster.
    if (systemCodeOf(error) !== 'ENOENT') throw writeError(target, error);
  }
}

/**
 * Gives a finished folder the name of another, which is moved aside first and removed afterwards. There is no one step
 * for this on all systems: killed between the two renames, `recoverFolder` brings the old one back. On failure the old
 * target stays. Throws FactError E_WRITE.
 */
export function replaceFolder(finished: string, target: string): void {
  const aside = asideOf(target);
  recoverFolder(target);
  try {
    let hasOld = true;
    try {
      renameSync(target, aside);
    } catch (error) {
      if (systemCodeOf(error) !== 'ENOENT') throw error;
      hasOld = false;
    }
    try {
      renameSync(finished, target);
    } catch (error) {
      if (hasOld) renameSync(aside, target);
      throw error;
    }
    flushFolder(dirname(target));
    rmSync(aside, { recursive: true, force: true });
  } catch (error) {
    throw writeError(target, error);
  }
}

/**
 * Writes pieces to an open file one after the other; while one is written, the next is made. A piece must not change
 * after it was given. Rejects with the system's error.
 */
export async function writePieces(
  handle: FileHandle,
  pieces: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
): Promise<void> {
  let pending: Promise<void> = Promise.resolve();
  const write = async (piece: Uint8Array): Promise<void> => {
    for (let done = 0; done < piece.length; )
      done += (await handle.write(piece, done, Math.min(LARGEST_WRITE, piece.length - done))).bytesWritten;
  };
  try {
    for await (const piece of pieces) {
      await pending;
      pending = write(piece);
      // A failure is reported by the next `await`; until then it is not unhandled.
      pending.catch(() => {});
    }
  } finally {
    await pending;
  }
}

/** One call writes at most this much (the system's limit is 2 GB). */
const LARGEST_WRITE = 2 ** 30;

/** The same as `writeFileAtomic` for large files: pieces are made while others are written. Rejects with E_WRITE. */
export async function writePiecesAtomic(path: string, pieces: Iterable<Uint8Array>): Promise<void> {
  const folder = dirname(path);
  const temporary = join(folder, `.${basename(path)}.${process.pid}.tmp`);
  try {
    mkdirSync(folder, { recursive: true });
    const handle = await open(temporary, 'w');
    try {
      await writePieces(handle, pieces);
      await handle.sync();
    } finally {
      await handle.close();
    }
    renameSync(temporary, path);
    flushFolder(folder);
  } catch (error) {
    removeLeftover(temporary);
    throw error instanceof FactError ? error : writeError(path, error);
  }
}

/**
 * Replaces a folder as a whole: `fill` writes into a temporary sibling, which then takes the target's name (see
 * `replaceFolder`). On failure the old target stays. Throws FactError E_WRITE.
 */
export async function writeFolderAtomic(
  target: string,
  fill: (folder: string) => void | Promise<void>,
): Promise<void> {
  const temporary = join(dirname(target), `.${basename(target)}.${process.pid}.tmp`);
  try {
    rmSync(temporary, { recursive: true, force: true });
    mkdirSync(temporary, { recursive: true });
    await fill(temporary);
    flushFolder(temporary);
    replaceFolder(temporary, target);
  } catch (error) {
    removeLeftover(temporary);
    throw error instanceof FactError ? error : writeError(target, error);
  }
}
