import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
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

/** Name of the folder to which an old target is moved while the new one takes its place. */
function asideOf(target: string): string {
  return join(dirname(target), `.${basename(target)}.replaced`);
}

/**
 * Undoes a replacement that a killed process left half-way: where the target is gone and the old one still lies aside,
 * it gets its name back; an old one beside a new target is removed. Call before reading a folder that
 * `writeFolderAtomic` or `replaceFolder` writes. Throws FactError E_WRITE.
 */
export function recoverFolder(target: string): void {
  const aside = asideOf(target);
  try {
    if (!existsSync(aside)) return;
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
