/*
 * Writes a store of features: one process or several, interrupted and gone on with as often as one likes, with the same
 * bytes in the end. What is there already is found in the folder itself (workFolder.ts).
 */
import { statfsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { writeFileAtomic } from '../../../core/atomicFile.js';
import { FactError } from '../../../core/errors.js';
import { type Logger, silentLogger } from '../../../core/log.js';
import { showProgress } from '../../../core/progress.js';
import type { ImageSource } from '../../../data/imageSource.js';
import type { TappedModel } from '../../../explain/sae.js';
import { HOLD_OUT_SEED } from '../features/holdOut.js';
import { finishShards } from './finishStore.js';
import { STORE_FILE, STORE_FORMAT, STORE_VERSION, type StoreIndex } from './storeIndex.js';
import { planStore, type StorePlan, type StoreRequest } from './storePlan.js';
import { type Share, shareName, WorkFolder, waitForLock } from './workFolder.js';
import { brokenLimit, writeImages } from './writeImages.js';

export interface StoreRunOptions {
  /** Folder of the store. */
  readonly out: string;
  /** This process's share of the images. Default: all. */
  readonly share?: Share;
  /** Decoding threads. */
  readonly workers: number;
  readonly signal?: AbortSignal;
  readonly log?: Logger;
  readonly progress?: boolean;
  /** Bytes of rows held back before they are written. Default: SPILL_MEMORY. */
  readonly spillMemory?: number;
  /** Time between two checkpoints. Default: a minute. */
  readonly checkpointMs?: number;
}

export interface StoreRun {
  /** `waiting`: this share is done, others are not. */
  readonly status: 'done' | 'stopped' | 'waiting';
  /** Images whose features are safe, and all. */
  readonly imagesDone: number;
  readonly images: number;
  /** Of a finished store. */
  readonly index: StoreIndex | null;
}

const GB = 1e9;

function announce(plan: StorePlan, out: string, log: Logger): void {
  const { images, wanted, heldOutKeys, bytes, peakBytes, request } = plan;
  if (heldOutKeys.length > 0) log.info(`${heldOutKeys.length} images are held out, ${wanted} are left`);
  if (images.length < wanted) {
    log.info(
      `the budget of ${((request.maxBytes ?? 0) / GB).toFixed(3)} GB holds ${images.length} of ${wanted} images, drawn uniformly with seed ${request.seed}`,
    );
  }
  const rows = plan.taps.map(({ tap, kept, positions, channels, buckets }) => {
    const shards = `${buckets} shard${buckets === 1 ? '' : 's'}`;
    return `${tap}: ${kept} of ${positions} positions an image, ${kept * images.length} rows of ${channels}, ${shards}`;
  });
  for (const row of rows) log.info(row);
  log.info(`disk: ${(bytes / GB).toFixed(3)} GB, ${(peakBytes / GB).toFixed(3)} GB while it is written`);
  const disk = statfsSync(existing(out));
  const free = disk.bavail * disk.bsize;
  if (free < peakBytes)
    log.warn(`only ${(free / GB).toFixed(3)} GB are free at ${out}; consider --max-gb or --dtype f16`);
}

/** The nearest folder above that exists. */
function existing(path: string): string {
  for (let folder = resolve(path); ; folder = dirname(folder)) {
    if (statfsSafe(folder) || folder === dirname(folder)) return folder;
  }
}

function statfsSafe(folder: string): boolean {
  try {
    statfsSync(folder);
    return true;
  } catch {
    return false; // not there yet: its parent is asked
  }
}

/** Images in the units that checkpoints have. */
function imagesDone(plan: StorePlan, work: WorkFolder): number {
  const { imageBatch } = plan.request;
  const units = work.writers().flatMap(({ state }) => state.done);
  return units.reduce((sum, unit) => sum + Math.min(imageBatch, plan.images.length - unit * imageBatch), 0);
}

function indexOf(plan: StorePlan, work: WorkFolder, taps: StoreIndex['taps']): StoreIndex {
  const { request, network, data } = plan;
  const broken = work
    .writers()
    .flatMap(({ state }) => state.broken)
    .sort((a, b) => a.image - b.image);
  return {
    format: STORE_FORMAT,
    version: STORE_VERSION,
    dtype: request.dtype,
    network,
    data,
    imageSize: [...request.imageSize],
    seed: request.seed,
    images: plan.images.length - broken.length,
    maxBytes: request.maxBytes,
    holdOut: { perClass: request.holdOut, seed: HOLD_OUT_SEED, keys: [...plan.heldOutKeys] },
    broken,
    taps,
  };
}

/** Throws FactError E_DATA_TOO_MANY_BROKEN where all processes together met more broken images than is borne. */
function checkBroken(plan: StorePlan, work: WorkFolder): void {
  const broken = work.writers().flatMap(({ state }) => state.broken);
  const limit = brokenLimit(plan);
  if (broken.length <= limit && broken.length < plan.images.length) return;
  throw new FactError({
    code: 'E_DATA_TOO_MANY_BROKEN',
    message: `${broken.length} of ${plan.images.length} pictures are broken, the limit is ${limit}; the first: ${broken[0].key}`,
    remedy: 'Check the data set: fetch it again or remove the damaged files.',
  });
}

/**
 * Writes the features of a network's taps over a data set to a folder, or goes on with what lies there. A process that
 * finds all images done makes the shards and the index; the bytes do not depend on the number of processes, nor on
 * interruptions. With an aborted signal it saves and returns `stopped`.
 * Throws FactError E_TAP_UNKNOWN, E_STORE_TAP, E_STORE_BUDGET, E_STORE_EXISTS, E_RUN_LOCKED (another process works on
 * this share), E_FEATURE_NAN, E_FEATURE_OVERFLOW, E_DATA_*, E_WRITE, E_STORE_DAMAGED.
 */
export async function writeStore(
  model: TappedModel,
  source: ImageSource,
  request: StoreRequest,
  options: StoreRunOptions,
): Promise<StoreRun> {
  const { out, signal, log = silentLogger, share = { index: 1, count: 1 } } = options;
  const quiet = options.progress !== true;
  const plan = planStore(model, source, request);
  const images = plan.images.length;
  const work = new WorkFolder(out, plan);
  const ended = (): StoreRun | null => {
    const index = work.finished();
    if (index === null) return null;
    work.remove();
    return { status: 'done', imagesDone: images, images, index };
  };
  const stopped = (): StoreRun => ({
    status: 'stopped',
    imagesDone: imagesDone(plan, work),
    images,
    index: null,
  });
  const before = ended();
  if (before !== null) return before;
  announce(plan, out, log);
  work.create();
  const lock = (name: string): Promise<(() => void) | null> =>
    waitForLock(join(work.path, name), signal, (message) => log.info(`waiting: ${message}`));
  const began = await lock('begin');
  if (began === null) return stopped();
  let unlock: () => void;
  try {
    // Another process may have ended while this one waited.
    const meanwhile = ended();
    if (meanwhile !== null) return meanwhile;
    work.begin();
    unlock = work.take(share);
  } finally {
    began();
  }
  try {
    const already = imagesDone(plan, work);
    if (already > 0) log.info(`going on: ${already} of ${images} images are done`);
    const part = share.count === 1 ? '' : ` (share ${shareName(share)})`;
    const progress = showProgress(`features${part}`, images - already, 'images', quiet);
    const { resize } = model.spec.preprocessing;
    const isDone = await writeImages(model, source, plan, work, {
      share,
      resize,
      workers: options.workers,
      progress,
      ...(signal === undefined ? {} : { signal }),
      ...(options.spillMemory === undefined ? {} : { spillMemory: options.spillMemory }),
      ...(options.checkpointMs === undefined ? {} : { checkpointMs: options.checkpointMs }),
    }).finally(() => progress.stop());
    if (!isDone) return stopped();
  } finally {
    unlock();
  }
  const release = await lock('finish');
  if (release === null) return ended() ?? stopped();
  try {
    const meanwhile = ended();
    if (meanwhile !== null) return meanwhile;
    const done = imagesDone(plan, work);
    if (done < images) return { status: 'waiting', imagesDone: done, images, index: null };
    checkBroken(plan, work);
    const buckets = plan.taps.reduce((sum, tap) => sum + tap.buckets, 0);
    const progress = showProgress('shuffling', buckets, 'shards', quiet);
    const taps = await finishShards(out, plan, work, progress, signal).finally(() => progress.stop());
    if (taps === null) return stopped();
    const index = indexOf(plan, work, taps);
    writeFileAtomic(join(out, STORE_FILE), `${JSON.stringify(index, null, 2)}\n`);
    return { status: 'done', imagesDone: images, images, index };
  } finally {
    release();
    if (work.finished() !== null) work.remove();
  }
}
