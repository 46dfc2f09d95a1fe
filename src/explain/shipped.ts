/** Which network and which autoencoders an explanation uses where the user names none. */
import { existsSync, readdirSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { FactError } from '../core/errors.js';
import type { BcosModel } from '../models/bcosModel.js';
import { loadSae, matchSae, SAE_CONFIG_FILE, type Sae } from './sae.js';

const MODEL_FILE = 'fact.json';

/** Folder of the networks that come with this package. */
export function shippedFolder(): string {
  return resolve(dirname(fileURLToPath(import.meta.url)), '..', '..', 'checkpoints');
}

function subfolders(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && !entry.name.startsWith('.'))
    .map((entry) => join(folder, entry.name))
    .sort();
}

/** Folders with an autoencoder in a folder or one level below it, sorted. */
function saeFoldersIn(folder: string): string[] {
  return subfolders(folder)
    .flatMap((child) => [child, ...subfolders(child)])
    .filter((child) => existsSync(join(child, SAE_CONFIG_FILE)));
}

/**
 * The network to use where none is named: the first of the shipped folders that has autoencoders, else the first.
 * Throws FactError E_MODEL_MISSING where none is shipped.
 */
export function defaultModelFolder(root = shippedFolder()): string {
  const models = subfolders(root).filter((folder) => existsSync(join(folder, MODEL_FILE)));
  const found = models.find((folder) => saeFoldersIn(folder).length > 0) ?? models[0];
  if (found !== undefined) return found;
  throw new FactError({
    code: 'E_MODEL_MISSING',
    message: `no network is given, and none is in ${root}`,
    remedy: 'Name one with --model FOLDER: the folder that `fact train` or `fact convert` wrote.',
    exitCode: 2,
  });
}

/** A loaded autoencoder and its folder. */
export interface FoundSae {
  readonly path: string;
  readonly sae: Sae;
}

/** The autoencoder whose concepts are explained, and an earlier one for traces. */
export interface ChosenSaes {
  readonly concepts: FoundSae | null;
  readonly traces: FoundSae | null;
}

function choose(model: BcosModel, found: readonly FoundSae[]): ChosenSaes {
  const depth = ({ sae }: FoundSae): number => model.stageNames.indexOf(sae.tap);
  const byDepth = [...found].sort((a, b) => depth(b) - depth(a));
  const concepts = byDepth[0] ?? null;
  const traces = byDepth.find((one) => concepts !== null && depth(one) < depth(concepts)) ?? null;
  for (const one of found) if (one !== concepts && one !== traces) one.sae.dispose();
  return { concepts, traces };
}

/**
 * Loads the autoencoders named, or those that lie with the network (in its folder, or in folders below that).
 * Of several, the one at the latest tap gives the concepts and the next earlier one the traces.
 * Throws FactError E_SAE_MISSING, E_SAE_CONFIG, E_SAE_WEIGHTS, E_SAE_MISMATCH, E_USAGE (more than two, or two at one tap).
 */
export async function openSaes(
  model: BcosModel,
  modelFolder: string,
  named: readonly string[],
): Promise<ChosenSaes> {
  const paths = named.length > 0 ? named : saeFoldersIn(modelFolder);
  const found: FoundSae[] = [];
  try {
    for (const path of paths) {
      const sae = await loadSae(path);
      found.push({ path, sae });
      matchSae(model, sae);
    }
    const taps = found.map(({ sae }) => sae.tap);
    if (named.length > 2 || (named.length > 0 && new Set(taps).size < taps.length)) {
      throw new FactError({
        code: 'E_USAGE',
        message: `${named.length} autoencoders are given, at ${taps.join(' and ')}`,
        remedy:
          'Give one, or two at different taps: the later gives the concepts, the earlier what they are made of.',
        exitCode: 2,
      });
    }
    return choose(model, found);
  } catch (error) {
    for (const { sae } of found) sae.dispose();
    throw error;
  }
}
