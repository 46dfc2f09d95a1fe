import { mkdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { writeError } from './atomicFile.js';
import { systemCodeOf } from './errors.js';

/** The holder touches its lock this often; a lock that was not touched for STALE_MS has lost its holder. */
const TOUCH_MS = 2_000;
const STALE_MS = 15_000;
const POLL_MS = 200;

function ageMs(path: string): number | null {
  try {
    return Date.now() - statSync(path).mtimeMs;
  } catch (error) {
    if (systemCodeOf(error) === 'ENOENT') return null;
    throw error;
  }
}

function holderOf(path: string): string {
  try {
    return readFileSync(path, 'utf8').slice(0, 200);
  } catch (error) {
    if (systemCodeOf(error) === undefined) throw error;
    return '';
  }
}

/**
 * Runs `work` while this process holds the lock file `path`; waits as long as another process, here or on another
 * machine that shares the folder, holds it. A lock whose holder is gone (killed) is taken over after 15 s.
 * `onWait` is told once, with the holder's own words. Throws the signal's reason when aborted, FactError E_WRITE.
 */
export async function withFileLock<T>(
  path: string,
  work: () => Promise<T>,
  options: { readonly signal?: AbortSignal; readonly onWait?: (holder: string) => void } = {},
): Promise<T> {
  const mine = `process ${process.pid} on ${hostname()}`;
  let hasTold = false;
  try {
    mkdirSync(dirname(path), { recursive: true });
  } catch (error) {
    throw writeError(path, error);
  }
  for (;;) {
    options.signal?.throwIfAborted();
    try {
      writeFileSync(path, mine, { flag: 'wx' });
      break;
    } catch (error) {
      if (systemCodeOf(error) !== 'EEXIST') throw writeError(path, error);
    }
    const age = ageMs(path);
    if (age !== null && age > STALE_MS) {
      rmSync(path, { force: true });
      continue;
    }
    if (!hasTold && age !== null) options.onWait?.(holderOf(path));
    hasTold = true;
    await sleep(POLL_MS);
  }
  const touch = setInterval(() => {
    try {
      const now = new Date();
      utimesSync(path, now, now);
    } catch (error) {
      // A lock that someone removed is no reason to stop: what is guarded is checked by its hash.
      if (systemCodeOf(error) === undefined) throw error;
    }
  }, TOUCH_MS);
  touch.unref();
  try {
    return await work();
  } finally {
    clearInterval(touch);
    if (holderOf(path) === mine) rmSync(path, { force: true });
  }
}
