import { readdirSync, realpathSync, statSync } from 'node:fs';
import { basename, extname, join } from 'node:path';
import { FactError, messageOf, systemCodeOf } from '../core/errors.js';
import { readDatasetIndex } from './datasetIndex.js';
import { IMAGE_EXTENSIONS } from './imageFormat.js';
import type { ImageTable } from './imageTable.js';

function byName(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Names in a folder, sorted by code unit; hidden ones left out. Throws FactError E_DATA_UNREADABLE. */
export function listFolder(folder: string): string[] {
  try {
    return readdirSync(folder)
      .filter((name) => !name.startsWith('.'))
      .sort(byName);
  } catch (error) {
    throw new FactError({
      code: 'E_DATA_UNREADABLE',
      message: `cannot list the folder ${folder}: ${messageOf(error)}`,
      remedy: 'Check the path and its permissions.',
      cause: error,
    });
  }
}

/** 'file', 'folder' or, for a broken or circular link and a device, null. */
export function kindOf(path: string): 'file' | 'folder' | null {
  try {
    const stat = statSync(path);
    return stat.isDirectory() ? 'folder' : stat.isFile() ? 'file' : null;
  } catch (error) {
    if (['ENOENT', 'ELOOP', 'EACCES', 'ENOTDIR'].includes(systemCodeOf(error) ?? '')) return null;
    throw error;
  }
}

export interface FoundFiles {
  /** Paths of pictures, by extension; sorted folder by folder. */
  readonly images: string[];
  /** Other things met: no picture's extension, broken link, loop of links. */
  readonly ignored: string[];
}

/** All pictures below a folder; links are followed, each real folder is entered once (so loops of links end). */
export function findImages(folder: string): FoundFiles {
  const found: FoundFiles = { images: [], ignored: [] };
  const entered = new Set<string>();
  const walk = (current: string): void => {
    const real = realpathSync(current);
    if (entered.has(real)) {
      found.ignored.push(current);
      return;
    }
    entered.add(real);
    for (const name of listFolder(current)) {
      const path = join(current, name);
      const kind = kindOf(path);
      if (kind === 'folder') walk(path);
      else if (kind === 'file' && IMAGE_EXTENSIONS.includes(extname(name).slice(1).toLowerCase()))
        found.images.push(path);
      else found.ignored.push(path);
    }
  };
  walk(folder);
  return found;
}

/**
 * Opens a folder of class folders: `root/class/picture.jpg`, classes and pictures sorted by name. An `index.json` that
 * lists the class folders (as WordNet ids or names) gives the classes their order and names.
 * Throws FactError E_DATA_EMPTY, E_DATA_UNREADABLE, E_DATA_INDEX, E_DATA_CLASS_FOLDER.
 * @param root folder with the class folders
 * @param indexFolder folder that may hold `index.json`
 */
export function openImageFolder(root: string, indexFolder = root): ImageTable {
  const index = readDatasetIndex(indexFolder);
  const folders = listFolder(root).filter((name) => kindOf(join(root, name)) === 'folder');
  const order = index === null ? folders : [...(index.classIds ?? index.classNames)];
  const unknown = folders.find((name) => !order.includes(name));
  if (unknown !== undefined) {
    throw new FactError({
      code: 'E_DATA_CLASS_FOLDER',
      message: `${join(root, unknown)} is not a class of ${index?.path}`,
      remedy: 'Remove the folder or correct index.json.',
    });
  }
  const files: string[] = [];
  const labels: number[] = [];
  const warnings: string[] = [];
  order.forEach((name, label) => {
    const { images, ignored } = folders.includes(name)
      ? findImages(join(root, name))
      : { images: [], ignored: [] };
    if (images.length === 0) warnings.push(`class ${label} (${name}) has no pictures`);
    if (ignored.length > 0)
      warnings.push(`class ${name}: ${ignored.length} files ignored, the first is ${ignored[0]}`);
    for (const image of images) {
      files.push(image);
      labels.push(label);
    }
  });
  if (files.length === 0) {
    throw new FactError({
      code: 'E_DATA_EMPTY',
      message: `${root} holds no pictures in class folders`,
      remedy: 'Expected root/CLASS/picture.jpg, root/train/CLASS/picture.jpg, or .tar(.gz) shards.',
    });
  }
  return {
    containers: files.map((path) => ({ path, memory: null })),
    container: Uint32Array.from(files, (_, i) => i),
    offset: new Float64Array(files.length),
    length: new Float64Array(files.length).fill(-1),
    keys: files.map((path, i) => `${order[labels[i]]}/${basename(path)}`),
    labels: Int32Array.from(labels),
    classNames: index?.classNames ?? order,
    classIds: order,
    warnings,
  };
}
