import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import type { CacheEnvironment } from './userCache.js';

/**
 * The folder for what a user installed through this package: FACT_HOME where it is set, else `fact-tfjs` in the
 * system's place for such data (XDG_DATA_HOME or ~/.local/share; ~/Library/Application Support on macOS; LOCALAPPDATA
 * on Windows). Nothing is created here.
 */
export function userDataFolder(env: CacheEnvironment = process.env, platform = process.platform): string {
  const named = env.FACT_HOME;
  if (named !== undefined && named !== '') return resolve(named);
  const xdg = env.XDG_DATA_HOME;
  if (xdg !== undefined && xdg !== '') return join(resolve(xdg), 'fact-tfjs');
  const local = env.LOCALAPPDATA;
  if (platform === 'win32' && local !== undefined && local !== '') return join(local, 'fact-tfjs', 'data');
  if (platform === 'darwin') return join(homedir(), 'Library', 'Application Support', 'fact-tfjs');
  return join(homedir(), '.local', 'share', 'fact-tfjs');
}
