import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { FactError } from '../core/index.js';
import { readDatasetIndex } from './datasetIndex.js';
import { kindOf, listFolder, openImageFolder } from './imageFolder.js';
import { ImageReader, type ImageTable } from './imageTable.js';
import { openTarShards } from './tarShards.js';

export type Split = 'train' | 'val' | 'test';

const SPLITS: readonly Split[] = ['train', 'val', 'test'];

/** A labelled data set of encoded pictures, numbered from 0. */
export interface ImageSource {
  readonly size: number;
  readonly classNames: readonly string[];
  /** WordNet ids or folder names of the classes, where known. */
  readonly classIds: readonly string[] | null;
  /** One line each: empty class folders, ignored files. */
  readonly warnings: readonly string[];
  /** Where the bytes lie, for worker threads. */
  readonly table: ImageTable;
  label(i: number): number;
  /** Name of a picture within the data set: shard key or CLASS/file. */
  key(i: number): string;
  /** Encoded bytes. Throws FactError E_IMAGE_MISSING, E_IMAGE_UNREADABLE, E_IMAGE_TOO_LARGE. */
  read(i: number): Promise<Uint8Array>;
  close(): void;
}

export interface OpenOptions {
  /** Which part of the data set; may be left out where it has only one. */
  readonly split?: Split;
  /** Number of classes the data set must have, e.g. outputs of the network. */
  readonly classes?: number;
}

function isShardName(name: string): boolean {
  return /\.(tar|tar\.gz|tgz)$/i.test(name);
}

/** The split that a shard's name states, e.g. cifar10-train-003.tar.gz. */
function splitOf(name: string): Split | null {
  const words = basename(name).toLowerCase().split(/[-_.]/);
  return SPLITS.find((split) => words.includes(split)) ?? null;
}

interface Layout {
  readonly kind: 'shards' | 'folder';
  readonly splits: readonly Split[];
}

function layoutOf(path: string): Layout {
  const kind = kindOf(path);
  if (kind === null) {
    throw new FactError({
      code: 'E_DATA_MISSING',
      message: `there is no data set at ${path}`,
      remedy: 'Check the path (--data-dir): a folder of class folders or of .tar(.gz) shards.',
    });
  }
  if (kind === 'file') {
    if (isShardName(path)) return { kind: 'shards', splits: [] };
    throw new FactError({
      code: 'E_DATA_FORMAT',
      message: `${path} is neither a folder nor a .tar, .tar.gz or .tgz shard`,
      remedy: 'Give a folder of class folders, or .tar(.gz) shards.',
    });
  }
  const names = listFolder(path);
  if (names.some(isShardName)) {
    const present = new Set(names.filter(isShardName).map(splitOf));
    return { kind: 'shards', splits: SPLITS.filter((split) => present.has(split)) };
  }
  return { kind: 'folder', splits: SPLITS.filter((split) => kindOf(join(path, split)) === 'folder') };
}

/** The splits that a data set has by the names of its shards or folders; none where it is not divided. */
export function listSplits(path: string): readonly Split[] {
  return layoutOf(path).splits;
}

/** The split to measure on: `val` where it exists, else `test`, else undefined (an undivided data set). */
export function evaluationSplit(path: string): Split | undefined {
  const splits = listSplits(path);
  return splits.includes('val') ? 'val' : splits.includes('test') ? 'test' : undefined;
}

function chooseSplit(path: string, splits: readonly Split[], wanted: Split | undefined): Split | undefined {
  if (wanted === undefined ? splits.length <= 1 : splits.includes(wanted)) return wanted ?? splits[0];
  const list = splits.length > 0 ? `it has ${splits.join(', ')}` : 'it is not divided into splits';
  throw new FactError({
    code: 'E_DATA_SPLIT',
    message:
      wanted === undefined ? `${path}: which split? ${list}` : `${path} has no split "${wanted}": ${list}`,
    remedy:
      'Splits are folders train, val, test, or shards with -train-, -val-, -test- in their names; choose one that exists.',
  });
}

/** Throws FactError E_SHARD_MISSING where the index lists a shard of the split that is not there. */
function checkComplete(folder: string, names: readonly string[], belongs: (name: string) => boolean): void {
  const listed = Object.keys(readDatasetIndex(folder)?.shards ?? {}).filter(belongs);
  const missing = listed.filter((name) => !names.includes(name));
  if (missing.length === 0) return;
  throw new FactError({
    code: 'E_SHARD_MISSING',
    message: `${folder} lacks ${missing.length} of ${listed.length} shards that its index.json lists, the first is ${missing[0]}`,
    remedy: 'Fetch the missing shards.',
  });
}

async function openTable(path: string, wanted: Split | undefined): Promise<ImageTable> {
  const { kind, splits } = layoutOf(path);
  if (kind === 'shards' && kindOf(path) === 'file') return openTarShards([path]);
  const split = chooseSplit(path, splits, wanted);
  if (kind === 'shards') {
    const belongs = (name: string): boolean => isShardName(name) && splitOf(name) === (split ?? null);
    const names = listFolder(path).filter(belongs);
    checkComplete(path, names, belongs);
    return openTarShards(names.map((name) => join(path, name)));
  }
  const root = split === undefined ? path : join(path, split);
  return openImageFolder(root, split !== undefined && !existsSync(join(root, 'index.json')) ? path : root);
}

/**
 * Opens a data set: a folder of class folders (`root/CLASS/picture` or `root/train/CLASS/picture`), a folder of
 * WebDataset shards, or one shard. Pictures are numbered by sorted name; order and labels depend on the files only.
 * Throws FactError E_DATA_MISSING, E_DATA_FORMAT, E_DATA_SPLIT, E_DATA_EMPTY, E_DATA_CLASSES, E_DATA_INDEX, E_SHARD_*.
 */
export async function openImageSource(path: string, options: OpenOptions = {}): Promise<ImageSource> {
  const table = await openTable(path, options.split);
  if (options.classes !== undefined && options.classes !== table.classNames.length) {
    throw new FactError({
      code: 'E_DATA_CLASSES',
      message: `${path} has ${table.classNames.length} classes, the network ${options.classes}`,
      remedy: 'Use the data set that the network was made for, or give the network a new head.',
    });
  }
  return imageSourceOf(table);
}

/** The data set that a table describes. Caller closes. */
export function imageSourceOf(table: ImageTable): ImageSource {
  const reader = new ImageReader(table);
  return {
    size: table.labels.length,
    classNames: table.classNames,
    classIds: table.classIds,
    warnings: table.warnings,
    table,
    label: (i) => table.labels[i],
    key: (i) => table.keys[i],
    read: async (i) => reader.read(i),
    close: () => reader.close(),
  };
}
