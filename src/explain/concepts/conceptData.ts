import { createHash } from 'node:crypto';
import { statSync } from 'node:fs';
import { basename } from 'node:path';
import { FactError } from '../../core/errors.js';
import { BatchLoader } from '../../data/batchLoader.js';
import { brokenLimitOf } from '../../data/brokenLimit.js';
import { labelledFor, NO_LABEL } from '../../data/classLabels.js';
import { kindOf } from '../../data/imageFolder.js';
import {
  evaluationSplit,
  type ImageSource,
  listSplits,
  openImageSource,
  type Split,
} from '../../data/imageSource.js';
import { ImageReader, type ImageTable } from '../../data/imageTable.js';
import { listImages } from '../../data/listImages.js';
import type { ModelSpec } from '../../models/spec.js';

export interface ConceptDataOptions {
  /** Default: the split to measure on. Ignored where the data set is not divided. */
  readonly split?: Split;
  readonly imageBatch: number;
  readonly workers: number;
}

/** A data set as the network sees it, in its own order. Holds threads and files: close it. */
export interface ConceptData {
  readonly loader: BatchLoader;
  readonly source: ImageSource;
  readonly imageSize: readonly [number, number];
  readonly batchSize: number;
  /** Null where the data set is not divided. */
  readonly split: Split | null;
  /** Whether any image's class is one of the network's. */
  readonly isLabelled: boolean;
  /** Broken pictures that are borne: a hundredth of all, at least 10. */
  readonly brokenLimit: number;
  /** SHA-256 over names, labels and sizes of the images. */
  readonly fingerprint: string;
  close(): Promise<void>;
}

/** Pictures of a folder without class folders, all without a label. */
function unlabelled(path: string): ImageSource {
  const files = listImages([path]);
  const table: ImageTable = {
    containers: files.map((file) => ({ path: file, memory: null })),
    container: Uint32Array.from(files, (_, i) => i),
    offset: new Float64Array(files.length),
    length: new Float64Array(files.length).fill(-1),
    keys: files.map((file) => basename(file)),
    labels: new Int32Array(files.length).fill(NO_LABEL),
    classNames: [],
    classIds: null,
    warnings: [],
  };
  const reader = new ImageReader(table);
  return {
    size: files.length,
    classNames: [],
    classIds: null,
    warnings: [],
    table,
    label: () => NO_LABEL,
    key: (i) => table.keys[i],
    read: async (i) => reader.read(i),
    close: () => reader.close(),
  };
}

async function openSource(path: string, split: Split | undefined): Promise<ImageSource> {
  try {
    return await openImageSource(path, split === undefined ? {} : { split });
  } catch (error) {
    const isFlat = error instanceof FactError && error.code === 'E_DATA_EMPTY' && kindOf(path) === 'folder';
    if (!isFlat || split !== undefined) throw error;
    return unlabelled(path);
  }
}

function fingerprintOf({ table, size }: ImageSource): string {
  const hash = createHash('sha256');
  for (let i = 0; i < size; i++) {
    const { path } = table.containers[table.container[i]];
    const found = table.length[i] < 0 ? statSync(path, { throwIfNoEntry: false }) : undefined;
    const state =
      table.length[i] < 0 ? `${found?.size} ${Math.round(found?.mtimeMs ?? 0)}` : `${table.length[i]}`;
    hash.update(`${table.keys[i]}\0${table.labels[i]}\0${state}\n`);
  }
  return hash.digest('hex');
}

/**
 * Opens a data set for a network: labelled (class folders, tar shards), with other classes than the network's (labels are
 * then found by name), or a folder of pictures without any labels. Caller closes. Throws FactError E_DATA_*.
 */
export async function openConceptData(
  path: string,
  spec: ModelSpec,
  options: ConceptDataOptions,
): Promise<ConceptData> {
  const split = listSplits(path).length === 0 ? undefined : (options.split ?? evaluationSplit(path));
  const source = labelledFor(await openSource(path, split), spec);
  const { resize, crop } = spec.preprocessing;
  const batchSize = Math.min(options.imageBatch, source.size);
  const brokenLimit = brokenLimitOf(source.size);
  const loader = new BatchLoader(source, {
    batchSize,
    seed: 0,
    imageSize: crop,
    augmentation: { kind: 'evaluation', resize },
    shuffle: false,
    workers: options.workers,
    cacheBytes: 0,
    brokenLimit,
  });
  return {
    loader,
    source,
    imageSize: crop,
    batchSize,
    split: split ?? null,
    isLabelled: source.table.labels.some((label) => label !== NO_LABEL),
    brokenLimit,
    fingerprint: fingerprintOf(source),
    close: () => loader.close(),
  };
}
