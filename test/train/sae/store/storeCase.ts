import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { readSafetensors } from '../../../../src/convert/safetensors.js';
import { fromFloat16 } from '../../../../src/core/float16.js';
import { openImageSource } from '../../../../src/data/imageSource.js';
import type { BcosModel } from '../../../../src/models/bcosModel.js';
import { readStoreIndex } from '../../../../src/train/sae/store/storeIndex.js';
import type { StoreRequest } from '../../../../src/train/sae/store/storePlan.js';
import {
  type StoreRun,
  type StoreRunOptions,
  writeStore,
} from '../../../../src/train/sae/store/writeStore.js';
import { SIZE } from '../../../explain/fixtures.js';
import { jpegOf, randomPicture } from '../../../fixtures/pictures.js';

/** A data set of `count` pictures in two classes; those in `broken` are cut off. */
export async function writePictures(
  root: string,
  count: number,
  broken: readonly number[] = [],
): Promise<void> {
  for (let i = 0; i < count; i++) {
    const place = join(root, `class${i % 2}`);
    mkdirSync(place, { recursive: true });
    const jpeg = await jpegOf(randomPicture(SIZE, SIZE, i, true));
    const content = broken.includes(i) ? jpeg.subarray(0, 60) : jpeg;
    writeFileSync(join(place, `p${String(i).padStart(4, '0')}.jpg`), content);
  }
}

export const REQUEST: StoreRequest = {
  taps: ['layer2', 'layer3'],
  positions: 10,
  dtype: 'f32',
  seed: 3,
  split: null,
  imageSize: [SIZE, SIZE],
  imageBatch: 4,
  holdOut: 0,
  maxBytes: null,
};

/** Writes a store in this process. */
export async function write(
  model: BcosModel,
  data: string,
  out: string,
  changes: Partial<StoreRequest> = {},
  options: Partial<StoreRunOptions> = {},
): Promise<StoreRun> {
  const source = await openImageSource(data);
  try {
    return await writeStore(model, source, { ...REQUEST, ...changes }, { out, workers: 0, ...options });
  } finally {
    source.close();
  }
}

/** SHA-256 of every file below a folder. */
export function hashes(folder: string): Record<string, string> {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) =>
    entry.isFile(),
  );
  const paths = files.map((entry) => join(entry.parentPath, entry.name)).sort();
  return Object.fromEntries(
    paths.map((path) => [
      relative(folder, path),
      createHash('sha256').update(readFileSync(path)).digest('hex'),
    ]),
  );
}

export interface StoredRow {
  readonly image: number;
  readonly position: number;
  readonly values: Float32Array;
}

/** The rows of a tap in the store's order, read by the general safetensors reader. */
export function storedRows(folder: string, tap: string): StoredRow[] {
  const { index } = readStoreIndex(folder);
  const entry = index.taps.find((found) => found.tap === tap)!;
  return entry.shards.flatMap(({ file, rows }) => {
    const { tensors } = readSafetensors(readFileSync(join(folder, entry.folder, file)), file);
    const find = (name: string) => tensors.find((tensor) => tensor.name === name)!;
    const whole = (name: string) => new Int32Array(Uint8Array.from(find(name).bytes).buffer);
    const { bytes, dtype, shape } = find('features');
    const values = dtype === 'float16' ? fromFloat16(bytes) : new Float32Array(Uint8Array.from(bytes).buffer);
    if (shape[0] !== rows || shape[1] !== entry.channels) throw new Error(`${file} has shape ${shape}`);
    const [images, positions] = [whole('image'), whole('position')];
    return Array.from({ length: rows }, (_, i) => ({
      image: images[i],
      position: positions[i],
      values: values.subarray(i * entry.channels, (i + 1) * entry.channels),
    }));
  });
}

/** A signal that is aborted from the n-th question on. */
export function abortingAfter(questions: number): AbortSignal {
  const controller = new AbortController();
  let left = questions;
  return new Proxy(controller.signal, {
    get: (signal, name) => {
      if (name === 'aborted' && left-- === 0) controller.abort();
      const value = Reflect.get(signal, name, signal);
      return typeof value === 'function' ? value.bind(signal) : value;
    },
  });
}
