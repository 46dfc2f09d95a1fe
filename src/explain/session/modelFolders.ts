/** Where networks and autoencoders lie on disk; loads neither. */
import { existsSync, readdirSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { FactError } from '../../core/errors.js';

/** Files of a network's folder (as models/modelFile.ts names them) and of an autoencoder's. */
export const MODEL_FILES = ['fact.json', 'model.json', 'weights.bin'] as const;
export const SAE_CONFIG_FILE = 'cfg.json';
export const SAE_WEIGHTS_FILE = 'sae_weights.safetensors';

/** Folder of the networks that come with this package. */
export function shippedFolder(): string {
  return resolve(dirname(fileURLToPath(import.meta.url)), '..', '..', '..', 'checkpoints');
}

function subfolders(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && !entry.name.startsWith('.'))
    .map((entry) => join(folder, entry.name))
    .sort();
}

/** Folders with an autoencoder in a folder or one level below it, sorted. */
export function saeFoldersIn(folder: string): string[] {
  return subfolders(folder)
    .flatMap((child) => [child, ...subfolders(child)])
    .filter((child) => existsSync(join(child, SAE_CONFIG_FILE)));
}

/**
 * The network to use where none is named: the first of the shipped folders that has autoencoders, else the first.
 * Throws FactError E_MODEL_MISSING where none is shipped.
 */
export function defaultModelFolder(root = shippedFolder()): string {
  const models = subfolders(root).filter((folder) => existsSync(join(folder, MODEL_FILES[0])));
  const found = models.find((folder) => saeFoldersIn(folder).length > 0) ?? models[0];
  if (found !== undefined) return found;
  throw new FactError({
    code: 'E_MODEL_MISSING',
    message: `no network is given, and none is in ${root}`,
    remedy: 'Name one with --model FOLDER: the folder that `fact train` or `fact convert` wrote.',
    exitCode: 2,
  });
}
