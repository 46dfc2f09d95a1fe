/** `fact engine install tensorflow`: from the package index to libraries in the user's data folder. */
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { writeFolderAtomic } from '../../../core/atomicFile.js';
import { download } from '../../../core/download.js';
import { FactError } from '../../../core/errors.js';
import { withFileLock } from '../../../core/fileLock.js';
import { type Logger, silentLogger } from '../../../core/log.js';
import type { Progress } from '../../../core/progress.js';
import { userCacheFolder } from '../../../core/userCache.js';
import { installFolder, LIBRARY_NAMES, TENSORFLOW_VERSION, type Variant } from '../libraryPlace.js';
import { findFile } from './packageIndex.js';
import { unpackMembers } from './unpack.js';
import { type Wheel, wheelsFor } from './wheels.js';

export interface InstallOptions {
  readonly variant: Variant;
  /** Fetch and unpack again what is there. */
  readonly force?: boolean;
  readonly signal?: AbortSignal;
  readonly log?: Logger;
  /** Shows how far something has got; called once for every file to fetch and for the unpacking. */
  readonly progress?: (title: string, total: number, unit: string) => Progress;
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** What to install; default: the published files for this machine. Tests give their own. */
  readonly wheels?: readonly Wheel[];
}

export interface Installed {
  readonly folder: string;
  /** False where it was there already. */
  readonly installed: boolean;
}

const MEGABYTE = 1e6;

/** Whether a variant lies complete where it is looked for. */
export function isInstalled(variant: Variant, env?: InstallOptions['env']): boolean {
  const folder = join(installFolder(variant, env), 'tensorflow');
  return LIBRARY_NAMES.every((name) => existsSync(join(folder, name)));
}

function megabytes(bytes: number): string {
  return `${Math.ceil(bytes / MEGABYTE)} MB`;
}

/** The nearest folder above a path that exists. */
function existing(path: string): string {
  return existsSync(path) ? path : existing(dirname(path));
}

/** Throws FactError E_WRITE where the disk has no room: before anything is fetched. */
async function checkSpace(folder: string, bytes: number, what: string): Promise<void> {
  const { bavail, bsize } = await statfs(existing(folder));
  const free = bavail * bsize;
  if (free >= bytes) return;
  throw new FactError({
    code: 'E_WRITE',
    message: `engine install: ${what} needs ${megabytes(bytes)} in ${folder}, where ${megabytes(free)} are free`,
    remedy: 'Free some disk space, or name folders on another disk in FACT_HOME and FACT_CACHE.',
  });
}

async function fetchWheel(wheel: Wheel, folder: string, options: InstallOptions): Promise<string> {
  const { signal, env, log } = options;
  const shared = { ...(signal === undefined ? {} : { signal }), ...(env === undefined ? {} : { env }) };
  const { url, headers } = await findFile(wheel.project, wheel.file, shared);
  const bar = options.progress?.(wheel.project, Math.ceil(wheel.bytes / MEGABYTE), 'MB');
  try {
    const { path } = await download({
      ...shared,
      ...(log === undefined ? {} : { log }),
      url,
      headers,
      target: join(folder, wheel.file),
      sha256: wheel.sha256,
      maxBytes: wheel.bytes,
      progress: (done) => bar?.update(Math.floor(done / MEGABYTE)),
    });
    return path;
  } finally {
    bar?.stop();
  }
}

/**
 * Installs libtensorflow into `userDataFolder()`: complete or not at all. Files are fetched into `userCacheFolder()`,
 * where a stopped download goes on the next time, compared with their published SHA-256, and removed once unpacked. A
 * second installation at the same time waits and then finds it done.
 * Throws FactError E_ENGINE_UNSUPPORTED (no files for this machine), E_ENGINE_INSTALL, E_OFFLINE, E_DOWNLOAD,
 * E_DOWNLOAD_HASH, E_DOWNLOAD_REDIRECT, E_PROXY, E_WRITE; the reason of an aborted signal.
 */
export async function installTensorflow(options: InstallOptions): Promise<Installed> {
  const { variant, env, signal, log = silentLogger } = options;
  const wheels = options.wheels ?? wheelsFor(variant);
  const folder = installFolder(variant, env);
  if (isInstalled(variant, env) && options.force !== true) return { folder, installed: false };
  let waited = false;
  return withFileLock(
    `${folder}.lock`,
    async () => {
      if (isInstalled(variant, env) && (waited || options.force !== true))
        return { folder, installed: false };
      const cache = join(userCacheFolder(env), 'wheels');
      await checkSpace(cache, sum(wheels.map(({ bytes }) => bytes)), 'fetching it');
      await checkSpace(folder, sum(wheels.map(({ unpackedBytes }) => unpackedBytes)), 'unpacking it');
      const paths: string[] = [];
      for (const wheel of wheels) paths.push(await fetchWheel(wheel, cache, options));
      await unpackAll(wheels, paths, folder, options);
      for (const path of paths) rmSync(path, { force: true });
      return { folder, installed: true };
    },
    {
      ...(signal === undefined ? {} : { signal }),
      onWait: (holder) => {
        waited = true;
        log.info(`waiting for another installation (${holder})`);
      },
    },
  );
}

function sum(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0);
}

async function unpackAll(
  wheels: readonly Wheel[],
  paths: readonly string[],
  folder: string,
  options: InstallOptions,
): Promise<void> {
  const total = Math.ceil(sum(wheels.map(({ unpackedBytes }) => unpackedBytes)) / MEGABYTE);
  const bar = options.progress?.('unpacking', total, 'MB');
  let done = 0;
  try {
    await writeFolderAtomic(folder, async (temporary) => {
      for (const [i, wheel] of wheels.entries()) {
        const count = await unpackMembers(paths[i], wheel.members, temporary, {
          ...(options.signal === undefined ? {} : { signal: options.signal }),
          onBytes: (bytes) => {
            done += bytes;
            bar?.update(Math.min(total, Math.ceil(done / MEGABYTE)));
          },
        });
        if (count === 0)
          throw new FactError({
            code: 'E_ENGINE_INSTALL',
            message: `engine install: ${wheel.file} holds none of the libraries that are needed`,
            remedy: 'Report this.',
          });
      }
      const from = wheels.map(({ file, sha256 }) => ({ file, sha256 }));
      writeFileSync(
        join(temporary, 'install.json'),
        `${JSON.stringify({ version: TENSORFLOW_VERSION, from }, null, 2)}\n`,
      );
    });
  } catch (error) {
    throw options.signal?.aborted === true ? options.signal.reason : error;
  } finally {
    bar?.stop();
  }
}

/** Removes both variants, and what was fetched for them. Returns the folders that were there. */
export function removeTensorflow(env?: InstallOptions['env']): string[] {
  const cache = join(userCacheFolder(env), 'wheels');
  const folders = [...(['cpu', 'gpu'] as const).map((variant) => installFolder(variant, env)), cache].filter(
    existsSync,
  );
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
  return folders;
}
