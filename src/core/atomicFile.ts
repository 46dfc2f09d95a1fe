import { closeSync, fsyncSync, mkdirSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
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

/**
 * Replaces a folder as a whole: `fill` writes into a temporary sibling, which then takes the target's name; an old
 * target is moved aside first and removed afterwards. On failure the old target stays. Throws FactError E_WRITE.
 */
export async function writeFolderAtomic(
  target: string,
  fill: (folder: string) => void | Promise<void>,
): Promise<void> {
  const parent = dirname(target);
  const temporary = join(parent, `.${basename(target)}.${process.pid}.tmp`);
  const old = join(parent, `.${basename(target)}.${process.pid}.old`);
  try {
    rmSync(temporary, { recursive: true, force: true });
    mkdirSync(temporary, { recursive: true });
    await fill(temporary);
    flushFolder(temporary);
    rmSync(old, { recursive: true, force: true });
    let hasOld = true;
    try {
      renameSync(target, old);
    } catch (error) {
      if (systemCodeOf(error) !== 'ENOENT') throw error;
      hasOld = false;
    }
    try {
      renameSync(temporary, target);
    } catch (error) {
      if (hasOld) renameSync(old, target);
      throw error;
    }
    flushFolder(parent);
    rmSync(old, { recursive: true, force: true });
  } catch (error) {
    removeLeftover(temporary);
    throw error instanceof FactError ? error : writeError(target, error);
  }
}
