/*
 * The folder .writing of a store that is being written: job.json (what is made), a folder for each process that takes
 * part (its lock, its state, its buckets), and a record for each bucket that has become a shard.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { writeError, writeFileAtomic } from '../../../core/atomicFile.js';
import { FactError, messageOf, systemCodeOf } from '../../../core/errors.js';
import { lockFolder } from '../../../core/folderLock.js';
import type { SpillLengths } from './spill.js';
import { damaged } from './storeErrors.js';
import { readStoreIndex, STORE_FILE, type StoreIndex } from './storeIndex.js';
import type { StorePlan } from './storePlan.js';

export const WORK_FOLDER = '.writing';
const JOB_FILE = 'job.json';
const STATE_FILE = 'state.json';
const POLL_MS = 200;

/** Which share of the work a process takes, from 1. */
export interface Share {
  readonly index: number;
  readonly count: number;
}

/** What a process has done, as its last checkpoint says. */
export interface WriterState {
  /** Numbers of the units whose rows are in the buckets. */
  readonly done: readonly number[];
  readonly lengths: SpillLengths;
  /** Images that could not be read: number within the data set, key, code. */
  readonly broken: StoreIndex['broken'];
}

/** A process that takes part or took part. */
export interface Writer {
  readonly share: Share;
  readonly folder: string;
  readonly state: WriterState;
}

/** Name of a share, as in `--shard 1/3`. */
export function shareName({ index, count }: Share): string {
  return `${index}-of-${count}`;
}

function readJson(path: string): unknown {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (systemCodeOf(error) === 'ENOENT') return null;
    throw writeError(path, error);
  }
  try {
    return JSON.parse(text);
  } catch (error) {
    throw damaged(path, null, `not JSON: ${messageOf(error)}`, error);
  }
}

/** Names of the fields in which two records differ, with both values. */
function differences(
  found: Readonly<Record<string, unknown>>,
  wanted: Readonly<Record<string, unknown>>,
): string {
  return Object.keys(wanted)
    .filter((name) => JSON.stringify(found[name]) !== JSON.stringify(wanted[name]))
    .map((name) => `${name}: ${JSON.stringify(found[name])} -> ${JSON.stringify(wanted[name])}`)
    .join('; ');
}

function other(folder: string, what: string): FactError {
  return new FactError({
    code: 'E_STORE_EXISTS',
    message: `${folder} ${what}`,
    remedy: 'Choose another folder with --out, or remove this one.',
    exitCode: 2,
  });
}

/** The job that a finished store is the result of, in the form of `StorePlan.job`. */
function jobOf(index: StoreIndex): Record<string, unknown> {
  const { network, data, dtype, imageSize, seed, maxBytes, holdOut, taps } = index;
  return {
    network,
    data,
    dtype,
    imageSize,
    seed,
    maxBytes,
    holdOut: { perClass: holdOut.perClass, seed: holdOut.seed },
    positions: taps[0].rule,
    taps: taps.map(({ tap }) => tap),
  };
}

/** Takes the lock of a folder as soon as it is free; null: the signal came first. Throws FactError E_WRITE. */
export async function waitForLock(
  folder: string,
  signal: AbortSignal | undefined,
  onWait: (message: string) => void,
): Promise<(() => void) | null> {
  let hasTold = false;
  while (!signal?.aborted) {
    try {
      return lockFolder(folder);
    } catch (error) {
      if (!(error instanceof FactError) || error.code !== 'E_RUN_LOCKED') throw error;
      if (!hasTold) onWait(error.message);
      hasTold = true;
    }
    await sleep(POLL_MS);
  }
  return null;
}

/** The unfinished work in the folder of a store. */
export class WorkFolder {
  readonly path: string;

  constructor(
    private readonly out: string,
    private readonly plan: StorePlan,
  ) {
    this.path = join(out, WORK_FOLDER);
  }

  /** The finished store of this job; null: there is none. Throws FactError E_STORE_EXISTS (of another job, or other files). */
  finished(): StoreIndex | null {
    let names: string[];
    try {
      names = readdirSync(this.out);
    } catch (error) {
      if (systemCodeOf(error) === 'ENOENT') return null;
      throw writeError(this.out, error);
    }
    if (!names.includes(STORE_FILE)) {
      if (names.length > 0 && !names.includes(WORK_FOLDER)) throw other(this.out, 'holds other files');
      return null;
    }
    const { index } = readStoreIndex(this.out);
    const changed = differences(jobOf(index), this.plan.job);
    if (changed !== '') throw other(this.out, `holds a store of other work: ${changed}`);
    return index;
  }

  /** Begins the work, or checks that what was begun is the same. Throws FactError E_STORE_EXISTS, E_WRITE. */
  begin(): void {
    const path = join(this.path, JOB_FILE);
    const { job, division } = this.plan;
    const wanted = { ...job, ...division };
    const found = readJson(path);
    if (found === null) {
      writeFileAtomic(path, `${JSON.stringify(wanted)}\n`);
      return;
    }
    const changed = differences(found as Record<string, unknown>, wanted);
    if (changed !== '') throw other(this.out, `is being written with other options: ${changed}`);
  }

  folderOf(share: Share): string {
    return join(this.path, shareName(share));
  }

  /** All that took part so far. Throws FactError E_STORE_DAMAGED, E_WRITE. */
  writers(): Writer[] {
    const found: Writer[] = [];
    for (const name of readdirSync(this.path).sort()) {
      const match = /^(\d+)-of-(\d+)$/.exec(name);
      if (match === null) continue;
      const folder = join(this.path, name);
      const state = readJson(join(folder, STATE_FILE)) as WriterState | null;
      const share = { index: Number(match[1]), count: Number(match[2]) };
      if (state !== null) found.push({ share, folder, state });
    }
    return found;
  }

  /** Writes a process's checkpoint; its buckets must be on the disk. Throws FactError E_WRITE. */
  save(share: Share, state: WriterState): void {
    writeFileAtomic(join(this.folderOf(share), STATE_FILE), `${JSON.stringify(state)}\n`);
  }

  /**
   * Takes the lock of a share. Throws FactError E_RUN_LOCKED where another process works on it, or on a share of
   * another division of the same work.
   */
  take(share: Share): () => void {
    const unlock = lockFolder(this.folderOf(share));
    try {
      for (const name of readdirSync(this.path)) {
        const count = /^\d+-of-(\d+)$/.exec(name)?.[1];
        // Free ones are locked for a moment only to see that they are free.
        if (count !== undefined && Number(count) !== share.count) lockFolder(join(this.path, name))();
      }
    } catch (error) {
      unlock();
      throw error;
    }
    return unlock;
  }

  /** Record of a bucket that has become a shard; null: not yet. */
  recordOf<R>(tap: number, bucket: number): R | null {
    return readJson(this.recordPath(tap, bucket)) as R | null;
  }

  /** Throws FactError E_WRITE. */
  addRecord(tap: number, bucket: number, record: unknown): void {
    writeFileAtomic(this.recordPath(tap, bucket), JSON.stringify(record));
  }

  private recordPath(tap: number, bucket: number): string {
    return join(this.path, 'shards', `tap${tap}-${bucket}.json`);
  }

  /** Removes all of a finished store's. Throws FactError E_WRITE. */
  remove(): void {
    try {
      rmSync(this.path, { recursive: true, force: true });
    } catch (error) {
      // A process that waits for its turn has just put its lock there: it finds the store finished and removes the rest.
      if (systemCodeOf(error) === 'ENOTEMPTY') return;
      throw writeError(this.path, error);
    }
  }

  /** Creates the folder. Throws FactError E_WRITE. */
  create(): void {
    try {
      mkdirSync(this.path, { recursive: true });
    } catch (error) {
      throw writeError(this.path, error);
    }
  }
}
