import { homedir } from 'node:os';
import { join, resolve } from 'node:path';

/** The parts of the environment that say where a user's caches lie. */
export type CacheEnvironment = Readonly<Record<string, string | undefined>>;

/** Whether FACT_CACHE=off asks that nothing that can be computed again is kept. */
export function isCacheOff(env: CacheEnvironment = process.env): boolean {
  return env.FACT_CACHE === 'off';
}

/**
 * The folder for files that this package fetched and may fetch again: FACT_CACHE where it is set, else `fact-tfjs` in
 * the system's place for caches (XDG_CACHE_HOME or ~/.cache; ~/Library/Caches on macOS; LOCALAPPDATA on Windows).
 * Nothing is created here.
 */
export function userCacheFolder(env: CacheEnvironment = process.env, platform = process.platform): string {
  const named = env.FACT_CACHE;
  if (named !== undefined && named !== '' && !isCacheOff(env)) return resolve(named);
  const xdg = env.XDG_CACHE_HOME;
  if (xdg !== undefined && xdg !== '') return join(resolve(xdg), 'fact-tfjs');
  const local = env.LOCALAPPDATA;
  if (platform === 'win32' && local !== undefined && local !== '') return join(local, 'fact-tfjs', 'cache');
  if (platform === 'darwin') return join(homedir(), 'Library', 'Caches', 'fact-tfjs');
  return join(homedir(), '.cache', 'fact-tfjs');
}
