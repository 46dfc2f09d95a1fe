import { type ConvertOptions, type ConvertReport, convertCheckpoint } from '../convertCheckpoint.js';
import { type ZooEntry, type ZooSae, zooEntry } from './catalogue.js';
import { IMAGENET_CLASSES } from './imagenetClasses.js';
import { type Obtained, type ObtainOptions, obtain } from './obtain.js';

/** The weight file of a published network on this machine. Throws as `obtain`. */
export function obtainNetwork(entry: ZooEntry, options: ObtainOptions = {}): Promise<Obtained> {
  const { hashPrefix, url, parameterBytes } = entry;
  return obtain({ file: entry.published.file, url, hashPrefix, tensorBytes: parameterBytes }, options);
}

/** The file of a published autoencoder on this machine. Throws as `obtain`. */
export function obtainSae(sae: ZooSae, options: ObtainOptions = {}): Promise<Obtained> {
  return obtain({ ...sae, hashPrefix: null }, options);
}

/** Converts a published network's weight file into a network's folder, with ImageNet's class names. */
export function convertZooNetwork(
  entry: ZooEntry,
  path: string,
  folder: string,
  options: Pick<ConvertOptions, 'dtype' | 'check' | 'force' | 'log'> = {},
): Promise<ConvertReport> {
  return convertCheckpoint(path, folder, {
    ...options,
    arch: entry.name,
    ...(entry.entry.defaults.numClasses === IMAGENET_CLASSES.length
      ? { set: { classNames: [...IMAGENET_CLASSES] } }
      : {}),
  });
}

/**
 * A published network by its name, as a folder that `loadModel` reads. An engine must have been started.
 * Throws FactError E_ZOO_UNKNOWN, those of `obtain` and of `convertCheckpoint`.
 */
export async function downloadNetwork(
  name: string,
  folder: string,
  options: ObtainOptions & Pick<ConvertOptions, 'dtype' | 'check' | 'force'> = {},
): Promise<ConvertReport> {
  const entry = zooEntry(name);
  const { path } = await obtainNetwork(entry, options);
  return convertZooNetwork(entry, path, folder, options);
}
