/** Where a published file may lie already: this package's cache, a folder that the user names, PyTorch's hub cache. */
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { type CacheEnvironment, userCacheFolder } from '../../core/userCache.js';

/** Folder of the zoo in the user's cache: downloads go here. */
export function zooCacheFolder(env: CacheEnvironment = process.env): string {
  return join(userCacheFolder(env), 'zoo');
}

/** Folders in which PyTorch keeps weights that it downloaded; they are only read. */
export function torchFolders(env: CacheEnvironment = process.env): string[] {
  const set = (value: string | undefined): value is string => value !== undefined && value !== '';
  const homes: string[] = [];
  if (set(env.TORCH_HOME)) homes.push(resolve(env.TORCH_HOME));
  if (set(env.XDG_CACHE_HOME)) homes.push(join(resolve(env.XDG_CACHE_HOME), 'torch'));
  homes.push(join(homedir(), '.cache', 'torch'));
  return [...new Set(homes)].map((home) => join(home, 'hub', 'checkpoints'));
}

/** The mirror that a user named: an address, or a folder of files. */
export type Mirror = { readonly url: string } | { readonly folder: string };

/** Takes `--mirror` or FACT_ZOO_MIRROR apart; null where none is set. */
export function mirrorOf(text: string | undefined): Mirror | null {
  if (text === undefined || text.trim() === '') return null;
  const trimmed = text.trim();
  return /^https?:\/\//i.test(trimmed) ? { url: trimmed.replace(/\/+$/, '') } : { folder: resolve(trimmed) };
}

/** Paths at which a file of that name may lie, the surest first; those that exist. */
export function placesOf(file: string, mirror: Mirror | null, env: CacheEnvironment = process.env): string[] {
  const folders = [
    zooCacheFolder(env),
    ...(mirror !== null && 'folder' in mirror ? [mirror.folder] : []),
    ...torchFolders(env),
  ];
  return folders.map((folder) => join(folder, file)).filter((path) => existsSync(path));
}
