/*
 * The first half of writing a store: images through the network, rows into buckets. Images go in units of one batch
 * whose make-up never changes, so that the bytes are the same however the units are shared or interrupted. While the
 * network computes one batch, the rows of the one before are stored.
 */

import { toFloat16 } from '../../../core/float16.js';
import type { Progress } from '../../../core/progress.js';
import { Random } from '../../../core/random.js';
import { type Batch, BatchLoader } from '../../../data/batchLoader.js';
import { brokenLimitOf } from '../../../data/brokenLimit.js';
import type { ImageSource } from '../../../data/imageSource.js';
import { subset } from '../../../data/subset.js';
import type { TappedModel } from '../../../explain/sae.js';
import { TapReader, type TapRows } from '../features/tapReader.js';
import { type StoreDtype, TAG_BYTES } from './shardFile.js';
import { Spill } from './spill.js';
import { rowBytes } from './storeBytes.js';
import { unusableFeature } from './storeErrors.js';
import type { StorePlan } from './storePlan.js';
import type { Share, WorkFolder, WriterState } from './workFolder.js';

const BUCKET_STREAM = 0xb0c;
/** Time between two checkpoints. */
const CHECKPOINT_MS = 60_000;
/** From here on a number becomes infinite in half precision. */
const HALF_LIMIT = 65520;

export interface ImagePhaseOptions {
  readonly share: Share;
  /** Shorter side that images are scaled to before the crop. */
  readonly resize: number | undefined;
  readonly workers: number;
  readonly progress: Progress;
  readonly signal?: AbortSignal;
  readonly spillMemory?: number;
  readonly checkpointMs?: number;
}

/**
 * Images that may be broken before the work is given up: a share of the data set, those held out among them (all that are
 * broken may lie in what is left), in proportion where a budget leaves fewer.
 */
export function brokenLimit({ data, images, wanted }: StorePlan): number {
  return brokenLimitOf((data.images * images.length) / wanted);
}

/** The units that no checkpoint has, for one share. */
function unitsLeft(plan: StorePlan, done: ReadonlySet<number>, { index, count }: Share): number[] {
  const units: number[] = [];
  for (let unit = index - 1; unit < plan.units; unit += count) if (!done.has(unit)) units.push(unit);
  return units;
}

function emptyState(plan: StorePlan): WriterState {
  return {
    done: [],
    lengths: plan.taps.map(({ buckets }) => new Array<number>(buckets).fill(0)),
    broken: [],
  };
}

/** Throws FactError E_FEATURE_NAN, E_FEATURE_OVERFLOW (f16) for the first image that has such a value. */
function checkValues(dtype: StoreDtype, tap: string, batch: StoredBatch, values: Float32Array): void {
  const limit = dtype === 'f16' ? HALF_LIMIT : Number.POSITIVE_INFINITY;
  let at = 0;
  while (at < values.length && Math.abs(values[at]) < limit) at++;
  if (at === values.length) return;
  const image = batch.keys[Math.floor((at * batch.size) / values.length)];
  const code = Number.isFinite(values[at]) ? 'E_FEATURE_OVERFLOW' : 'E_FEATURE_NAN';
  throw unusableFeature(code, tap, image, values[at]);
}

/** A batch as far as its rows need it; `samples` are numbers within the data set. */
export type StoredBatch = Pick<Batch, 'samples' | 'keys' | 'size'>;

/** Puts the rows of a batch at one tap into random buckets. Throws FactError E_FEATURE_*, E_WRITE. */
export async function storeRows(
  spill: Spill,
  plan: Pick<StorePlan, 'taps' | 'request'>,
  place: number,
  batch: StoredBatch,
  rows: TapRows,
): Promise<void> {
  const { tap, kept, buckets, channels } = plan.taps[place];
  const { dtype, seed } = plan.request;
  checkValues(dtype, tap, batch, rows.values);
  const { buffer, byteOffset, byteLength } = rows.values;
  const bytes = dtype === 'f16' ? toFloat16(rows.values) : new Uint8Array(buffer, byteOffset, byteLength);
  const size = rowBytes(channels, dtype) - TAG_BYTES;
  for (let i = 0; i < batch.size; i++) {
    const random = new Random(seed, BUCKET_STREAM, place, batch.samples[i]);
    for (let j = i * kept; j < (i + 1) * kept; j++) {
      const bucket = random.integer(buckets);
      let target = spill.row(place, bucket);
      while (target === null) {
        await spill.write();
        target = spill.row(place, bucket);
      }
      target.writeInt32LE(batch.samples[i], 0);
      target.writeInt32LE(rows.positions[j], 4);
      target.set(bytes.subarray(j * size, (j + 1) * size), TAG_BYTES);
    }
  }
}

/**
 * Does the units of one share that are left. With an aborted signal it ends after the batches in progress. True: all
 * of the share is done.
 * Throws FactError E_FEATURE_*, E_DATA_TOO_MANY_BROKEN, E_WRITE, E_STORE_DAMAGED (the buckets are not what the
 * checkpoint says); what was checkpointed stays.
 */
export async function writeImages(
  model: TappedModel,
  source: ImageSource,
  plan: StorePlan,
  work: WorkFolder,
  options: ImagePhaseOptions,
): Promise<boolean> {
  const { share, signal, progress, checkpointMs = CHECKPOINT_MS } = options;
  const { request } = plan;
  const writers = work.writers();
  const own = writers.find(({ folder }) => folder === work.folderOf(share))?.state ?? emptyState(plan);
  const done = new Set(writers.flatMap(({ state }) => state.done));
  const units = unitsLeft(plan, done, share);
  if (units.length === 0) return true;
  const numbers = Uint32Array.from(
    units.flatMap((unit) =>
      Array.from(plan.images.subarray(unit * request.imageBatch, (unit + 1) * request.imageBatch)),
    ),
  );
  const known = writers.reduce((sum, { state }) => sum + state.broken.length, 0);
  const spill = new Spill(
    work.folderOf(share),
    plan.taps.map(({ buckets, channels }) => ({ buckets, rowBytes: rowBytes(channels, request.dtype) })),
    own.lengths,
    options.spillMemory,
  );
  const loader = new BatchLoader(subset(source, numbers), {
    batchSize: request.imageBatch,
    seed: 0,
    imageSize: request.imageSize,
    augmentation: { kind: 'evaluation', ...(options.resize === undefined ? {} : { resize: options.resize }) },
    workers: options.workers,
    cacheBytes: 0,
    broken: 'drop',
    brokenLimit: Math.max(0, brokenLimit(plan) - known),
  });
  const reader = new TapReader(
    model,
    plan.taps.map(({ tap }) => ({ tap, positions: request.positions })),
    {
      imageSize: request.imageSize,
      batchSize: Math.min(request.imageBatch, plan.images.length),
      seed: request.seed,
    },
  );
  let stored = 0;
  let saved = performance.now();
  const checkpoint = async (): Promise<void> => {
    await spill.settle();
    const broken = loader.broken
      .filter(({ sample }) => sample < stored * request.imageBatch)
      .map(({ sample, code }) => ({ image: numbers[sample], key: source.key(numbers[sample]), code }));
    work.save(share, {
      done: [...own.done, ...units.slice(0, stored)],
      lengths: spill.lengths,
      broken: [...own.broken, ...broken],
    });
    saved = performance.now();
  };
  type Reading = { readonly batch: Batch; readonly rows: Promise<readonly TapRows[]> };
  const finish = async ({ batch, rows }: Reading): Promise<void> => {
    for (const [place, found] of (await rows).entries()) await storeRows(spill, plan, place, batch, found);
    stored = batch.index + 1;
    progress.update(Math.min(stored * request.imageBatch, numbers.length));
    if (performance.now() - saved > checkpointMs) await checkpoint();
  };
  let reading: Reading | null = null;
  try {
    for await (const batch of loader.epoch(0)) {
      if (signal?.aborted) break;
      const renumbered = { ...batch, samples: batch.samples.map((sample) => numbers[sample]) };
      const next: Reading = { batch: renumbered, rows: reader.read(renumbered) };
      next.rows.catch(() => {}); // Awaited in its turn.
      if (reading !== null) await finish(reading);
      reading = next;
    }
    if (reading !== null) await finish(reading);
    // Units at the end may have held broken images only: they gave no batch.
    if (!signal?.aborted) stored = units.length;
    await checkpoint();
  } finally {
    await reading?.rows.catch(() => {});
    reader.dispose();
    await loader.close();
  }
  return stored === units.length;
}
