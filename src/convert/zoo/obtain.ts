import { join } from 'node:path';
import { download } from '../../core/download.js';
import { FactError } from '../../core/errors.js';
import { sha256File } from '../../core/hash.js';
import { type Logger, silentLogger } from '../../core/log.js';
import type { CacheEnvironment } from '../../core/userCache.js';
import { mirrorOf, placesOf, torchFolders, zooCacheFolder } from './places.js';

/** A published file. */
export interface PublishedFile {
  readonly file: string;
  readonly url: string;
  /** First digits of its SHA-256; null: none were published. */
  readonly hashPrefix: string | null;
  /** Bytes of its tensors: it cannot be much longer. */
  readonly tensorBytes: number;
}

export interface ObtainOptions {
  /** Address or folder in place of the release. Default: FACT_ZOO_MIRROR. */
  readonly mirror?: string;
  /** Never ask the network. Default: FACT_OFFLINE is set and not 0. */
  readonly offline?: boolean;
  readonly progress?: (doneBytes: number, totalBytes: number | null) => void;
  readonly signal?: AbortSignal;
  readonly log?: Logger;
  readonly env?: CacheEnvironment;
  /** For tests: as `DownloadOptions`. */
  readonly timeoutMs?: number;
  readonly pauseMs?: number;
}

/** Room for running statistics, names and the file's own structure, in bytes. */
const SLACK_BYTES = 16 * 2 ** 20;

export interface Obtained {
  readonly path: string;
  /** Whether it came over the network now. */
  readonly fetched: boolean;
}

/** What a person can do where there is no network. */
function offlineError(file: PublishedFile, why: string, env: CacheEnvironment, cause?: unknown): FactError {
  const folders = [zooCacheFolder(env), ...torchFolders(env)].join(', ');
  return new FactError({
    code: 'E_OFFLINE',
    message: `${file.file} is not here and cannot be fetched: ${why} (looked into ${folders})`,
    remedy: `Fetch ${file.url} elsewhere and put it into ${zooCacheFolder(env)}, name a mirror with --mirror, or set HTTPS_PROXY.`,
    cause,
  });
}

/**
 * A published file on this machine: from this package's cache, a mirror's folder or PyTorch's cache (only read) where it
 * has the right hash, else downloaded into this package's cache.
 * Throws FactError E_OFFLINE and those of `download`; the signal's reason when aborted.
 */
export async function obtain(file: PublishedFile, options: ObtainOptions = {}): Promise<Obtained> {
  const { env = process.env, log = silentLogger, signal } = options;
  const mirror = mirrorOf(options.mirror ?? env.FACT_ZOO_MIRROR);
  for (const path of placesOf(file.file, mirror, env)) {
    signal?.throwIfAborted();
    if (file.hashPrefix === null) return { path, fetched: false };
    const found = await sha256File(path);
    if (found.startsWith(file.hashPrefix)) return { path, fetched: false };
    log.warn(
      `${path} is not the file that was published (SHA-256 ${found.slice(0, file.hashPrefix.length)}, expected ${file.hashPrefix}); it is not used`,
    );
  }
  const isOffline = options.offline ?? (env.FACT_OFFLINE ?? '0') !== '0';
  if (isOffline) throw offlineError(file, 'the network is not to be asked (--offline or FACT_OFFLINE)', env);
  if (mirror !== null && 'folder' in mirror)
    throw offlineError(file, `it is not in the mirror ${mirror.folder} either`, env);
  const url = mirror === null ? file.url : `${mirror.url}/${encodeURIComponent(file.file)}`;
  log.info(`fetching ${url}`);
  try {
    const { path, fetched } = await download({
      url,
      target: join(zooCacheFolder(env), file.file),
      maxBytes: Math.ceil(file.tensorBytes * 1.05) + SLACK_BYTES,
      log,
      env,
      ...(file.hashPrefix === null ? { unchecked: true } : { hashPrefix: file.hashPrefix }),
      ...(options.progress === undefined ? {} : { progress: options.progress }),
      ...(signal === undefined ? {} : { signal }),
      ...(options.timeoutMs === undefined ? {} : { timeoutMs: options.timeoutMs }),
      ...(options.pauseMs === undefined ? {} : { pauseMs: options.pauseMs }),
    });
    return { path, fetched };
  } catch (error) {
    if (error instanceof FactError && error.code === 'E_OFFLINE')
      throw offlineError(file, error.message, env, error);
    throw error;
  }
}
