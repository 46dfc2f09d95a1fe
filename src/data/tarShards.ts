import { statSync } from 'node:fs';
import { basename, dirname, extname } from 'node:path';
import { FactError } from '../core/index.js';
import { type DatasetIndex, readDatasetIndex } from './datasetIndex.js';
import { IMAGE_EXTENSIONS } from './imageFormat.js';
import type { Container, ImageTable } from './imageTable.js';
import { MAX_IMAGE_BYTES } from './imageTable.js';
import { isGzipName, scanTar } from './tarMembers.js';

/** Most bytes of encoded pictures from compressed shards that are held in memory. */
export const MAX_SHARD_MEMORY_BYTES = 4 * 2 ** 30;

/** Most bytes of a `.cls` member: a class number as text. */
const MAX_LABEL_BYTES = 64;

interface Sample {
  imageName: string | null;
  offset: number;
  length: number;
  content: Uint8Array | null;
  label: number | null;
}

interface Shard {
  readonly container: Container;
  readonly keys: string[];
  readonly samples: Sample[];
  readonly ignored: number;
}

function memberError(code: string, path: string, message: string): FactError {
  return new FactError({
    code,
    message: `${path}: ${message}`,
    remedy: 'Write the shard again without this fault.',
  });
}

/** Class number in a `.cls` member. Throws FactError E_SHARD_LABEL. */
function parseLabel(path: string, name: string, content: Uint8Array): number {
  const text = Buffer.from(content).toString('utf8').trim();
  if (!/^\d{1,9}$/.test(text)) {
    throw memberError(
      'E_SHARD_LABEL',
      path,
      `${name} holds ${JSON.stringify(text.slice(0, 20))}, not a class number`,
    );
  }
  return Number(text);
}

/** Reads one shard of WebDataset form: `key.jpg` (or another picture format) + `key.cls`; other members are ignored. */
async function readShard(path: string, memoryLeft: number): Promise<Shard> {
  const inMemory = isGzipName(path);
  const samples = new Map<string, Sample>();
  let ignored = 0;
  let heldBytes = 0;
  const extension = (name: string): string => extname(name).slice(1).toLowerCase();
  const isImage = (name: string): boolean => IMAGE_EXTENSIONS.includes(extension(name));
  await scanTar(
    path,
    (name, size) => {
      if (extension(name) === 'cls') {
        if (size > MAX_LABEL_BYTES)
          throw memberError('E_SHARD_LABEL', path, `${name} has ${size} bytes, not a class number`);
        return true;
      }
      if (!isImage(name)) return false;
      if (size > MAX_IMAGE_BYTES)
        throw memberError(
          'E_SHARD_MEMBER',
          path,
          `${name} has ${size} bytes, the limit is ${MAX_IMAGE_BYTES}`,
        );
      if (!inMemory) return false;
      heldBytes += size;
      if (heldBytes > memoryLeft) {
        throw new FactError({
          code: 'E_DATA_TOO_LARGE',
          message: `${path}: the pictures of the compressed shards exceed ${MAX_SHARD_MEMORY_BYTES} bytes of memory`,
          remedy: 'Unpack the shards with gunzip: plain .tar files are read in place.',
        });
      }
      return true;
    },
    ({ name, offset, size, content }) => {
      if (extension(name) !== 'cls' && !isImage(name)) {
        ignored++;
        return;
      }
      const key = name.slice(0, -extname(name).length);
      const sample = samples.get(key) ?? {
        imageName: null,
        offset: 0,
        length: 0,
        content: null,
        label: null,
      };
      samples.set(key, sample);
      if (extension(name) === 'cls') {
        if (sample.label !== null) throw memberError('E_SHARD_DUPLICATE', path, `${name} occurs twice`);
        sample.label = parseLabel(path, name, content ?? new Uint8Array());
        return;
      }
      if (sample.imageName !== null)
        throw memberError('E_SHARD_DUPLICATE', path, `${name} and ${sample.imageName} are the same sample`);
      Object.assign(sample, { imageName: name, offset, length: size, content });
    },
  );
  for (const [key, sample] of samples) {
    if (sample.label === null)
      throw memberError('E_SHARD_LABEL', path, `${sample.imageName} has no label: ${key}.cls is missing`);
    if (sample.imageName === null)
      throw memberError('E_SHARD_IMAGE', path, `${key}.cls has no picture beside it`);
  }
  return {
    container: { path, memory: inMemory ? packImages([...samples.values()], heldBytes) : null },
    keys: [...samples.keys()],
    samples: [...samples.values()],
    ignored,
  };
}

/** Copies the pictures into one shared block and sets their offsets in it. */
function packImages(samples: readonly Sample[], bytes: number): SharedArrayBuffer {
  const memory = new SharedArrayBuffer(bytes);
  const target = new Uint8Array(memory);
  let offset = 0;
  for (const sample of samples) {
    if (sample.content !== null) target.set(sample.content, offset);
    sample.content = null;
    sample.offset = offset;
    offset += sample.length;
  }
  return memory;
}

/** Compares a shard with what the index says of it. Throws FactError E_SHARD_SIZE, E_SHARD_COUNT. */
function checkAgainstIndex(index: DatasetIndex | null, path: string, images: number): void {
  const entry = index?.shards[basename(path)];
  if (index === null || entry === undefined) return;
  if (entry.images !== images) {
    throw new FactError({
      code: 'E_SHARD_COUNT',
      message: `${path} holds ${images} pictures, ${index.path} says ${entry.images}`,
      remedy: 'Fetch the shard and the index again.',
    });
  }
}

function checkSize(index: DatasetIndex | null, path: string): void {
  const entry = index?.shards[basename(path)];
  const size = statSync(path, { throwIfNoEntry: false })?.size;
  if (index === null || entry === undefined || size === undefined || size === entry.bytes) return;
  throw new FactError({
    code: 'E_SHARD_SIZE',
    message: `${path} has ${size} bytes, ${index.path} says ${entry.bytes}`,
    remedy: 'The shard is damaged or cut short: fetch it again.',
  });
}

/**
 * Opens WebDataset shards. Compressed shards are decompressed once and their pictures kept, still encoded, in shared
 * memory (at most MAX_SHARD_MEMORY_BYTES); uncompressed ones are read in place. `index.json` beside them gives the
 * class names and what each shard must hold; without it classes are named by their number.
 * @param paths the shards, in the order of the pictures
 * Throws FactError E_SHARD_* (damaged shard), E_LABEL_RANGE, E_DATA_INDEX, E_DATA_TOO_LARGE, E_DATA_EMPTY.
 */
export async function openTarShards(paths: readonly string[]): Promise<ImageTable> {
  const index = readDatasetIndex(dirname(paths[0]));
  for (const path of paths) checkSize(index, path);
  const shards: Shard[] = [];
  let memoryLeft = MAX_SHARD_MEMORY_BYTES;
  for (const path of paths) {
    const shard = await readShard(path, memoryLeft);
    checkAgainstIndex(index, path, shard.keys.length);
    memoryLeft -= shard.container.memory?.byteLength ?? 0;
    shards.push(shard);
  }
  const samples = shards.flatMap((shard) => shard.samples);
  if (samples.length === 0) {
    throw new FactError({
      code: 'E_DATA_EMPTY',
      message: `${paths[0]}${paths.length > 1 ? ` and ${paths.length - 1} more shards hold` : ' holds'} no pictures`,
      remedy: 'A shard holds pairs of members such as key.jpg and key.cls.',
    });
  }
  const labels = Int32Array.from(samples, (sample) => sample.label ?? -1);
  const classNames =
    index?.classNames ??
    Array.from({ length: labels.reduce((a, b) => Math.max(a, b), 0) + 1 }, (_, i) => String(i));
  checkLabels(shards, classNames.length, index);
  const ignored = shards.reduce((sum, shard) => sum + shard.ignored, 0);
  return {
    containers: shards.map((shard) => shard.container),
    container: Uint32Array.from(shards.flatMap((shard, s) => shard.samples.map(() => s))),
    offset: Float64Array.from(samples, (sample) => sample.offset),
    length: Float64Array.from(samples, (sample) => sample.length),
    keys: shards.flatMap((shard) => shard.keys),
    labels,
    classNames,
    classIds: index?.classIds ?? null,
    warnings: ignored > 0 ? [`${ignored} members that are neither pictures nor .cls labels are ignored`] : [],
  };
}

function checkLabels(shards: readonly Shard[], classes: number, index: DatasetIndex | null): void {
  if (index === null) return;
  for (const { container, samples, keys } of shards) {
    const bad = samples.findIndex((sample) => (sample.label ?? -1) >= classes);
    if (bad >= 0) {
      throw new FactError({
        code: 'E_LABEL_RANGE',
        message: `${container.path}: ${keys[bad]}.cls holds class ${samples[bad].label}, ${index.path} names ${classes} classes (0 to ${classes - 1})`,
        remedy: 'Fetch shards and index.json of the same data set.',
      });
    }
  }
}
