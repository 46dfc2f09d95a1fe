import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { sha256 } from './hash.js';

/** Everything in a cache together, by default. */
const DEFAULT_LIMIT_BYTES = 2 * 1024 ** 3;
/** Files of unfinished writes older than this belong to processes that died. */
const STALE_MS = 60 * 60 * 1000;
const INDEX = '.json';
const DATA = '.bin';
const TEMPORARY = '.tmp';

/** What a cache holds under a key: plain JSON and bytes. */
export interface CacheEntry {
  readonly note: unknown;
  readonly bytes: Uint8Array;
}

interface IndexFile {
  readonly format: 'fact-cache';
  readonly sha256: string;
  readonly note: unknown;
}

/**
 * Files that can be made again, kept between processes. Data lie under the hash of their content, so that an entry is
 * either whole or found to be damaged; an index file a key names them. Several processes may use one cache. Nothing
 * here ever throws because of the disk: what cannot be read is absent, what cannot be written is not kept. The folder
 * is readable by its owner alone, and one that others may write to is not used.
 */
export class DiskCache {
  private constructor(
    private readonly folder: string,
    private readonly limitBytes: number,
    /** Told what went wrong with the disk; for --debug. */
    private readonly onTrouble: (what: string) => void,
  ) {}

  /** Opens (and makes) a cache; null where the folder cannot be used. */
  static open(
    folder: string,
    options: { limitBytes?: number; onTrouble?: (what: string) => void } = {},
  ): DiskCache | null {
    const trouble = options.onTrouble ?? (() => {});
    try {
      mkdirSync(folder, { recursive: true, mode: 0o700 });
      const { uid, mode } = statSync(folder);
      const me = process.getuid?.();
      if (me !== undefined && uid !== me) throw new Error('it belongs to somebody else');
      if (me !== undefined && (mode & 0o022) !== 0) throw new Error('others may write to it');
      return new DiskCache(folder, options.limitBytes ?? DEFAULT_LIMIT_BYTES, trouble);
    } catch (error) {
      trouble(`cache ${folder} is not used: ${(error as Error).message}`);
      return null;
    }
  }

  /** The entry of a key; a damaged one is removed. `key` is made of letters, digits and hyphens. */
  read(key: string): CacheEntry | null {
    const index = this.path(key, INDEX);
    try {
      const { format, sha256: hash, note } = JSON.parse(readFileSync(index, 'utf8')) as IndexFile;
      if (format !== 'fact-cache' || !/^[0-9a-f]{64}$/.test(hash)) throw new Error('its index is damaged');
      const data = this.path(hash, DATA);
      const bytes = readFileSync(data);
      if (sha256(bytes) !== hash) {
        rmSync(data, { force: true });
        throw new Error('its content is damaged');
      }
      this.touch(index);
      return { note, bytes };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT' && !this.has(index)) return null;
      this.onTrouble(`cache entry ${key}: ${(error as Error).message}`);
      this.remove(key);
      return null;
    }
  }

  /** Keeps an entry, replacing an earlier one; then removes the oldest where the cache has become too large. */
  write(key: string, note: unknown, bytes: Uint8Array): void {
    const hash = sha256(bytes);
    try {
      if (!this.isWhole(hash, bytes.length)) this.place(this.path(hash, DATA), bytes);
      const index: IndexFile = { format: 'fact-cache', sha256: hash, note };
      this.place(this.path(key, INDEX), Buffer.from(JSON.stringify(index)));
      this.evict(`${key}${INDEX}`);
    } catch (error) {
      this.onTrouble(`cache entry ${key} is not kept: ${(error as Error).message}`);
    }
  }

  remove(key: string): void {
    try {
      rmSync(this.path(key, INDEX), { force: true });
    } catch (error) {
      this.onTrouble(`cache entry ${key}: ${(error as Error).message}`);
    }
  }

  /** A new path in the cache for a file in the making; left over, it is removed some day. */
  temporaryPath(): string {
    return join(this.folder, `${process.pid}-${randomBytes(6).toString('hex')}${TEMPORARY}`);
  }

  /** Reads and removes a file at a path of `temporaryPath`; null where nothing was written there. */
  takeFile(path: string): Uint8Array | null {
    try {
      const bytes = readFileSync(path);
      rmSync(path, { force: true });
      return bytes;
    } catch (error) {
      this.onTrouble(`a compiled program was not written: ${(error as Error).message}`);
      return null;
    }
  }

  private path(name: string, ending: string): string {
    return join(this.folder, `${name}${ending}`);
  }

  private has(path: string): boolean {
    return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
  }

  /** Whether data of this hash are there; their content is checked when they are read. */
  private isWhole(hash: string, bytes: number): boolean {
    return lstatSync(this.path(hash, DATA), { throwIfNoEntry: false })?.size === bytes;
  }

  private place(path: string, bytes: Uint8Array): void {
    const temporary = this.temporaryPath();
    try {
      writeFileSync(temporary, bytes, { mode: 0o600 });
      chmodSync(temporary, 0o600);
      renameSync(temporary, path);
    } catch (error) {
      rmSync(temporary, { force: true });
      throw error;
    }
  }

  private touch(path: string): void {
    const now = new Date();
    try {
      utimesSync(path, now, now);
    } catch {
      // A cache on a read-only disk still serves.
    }
  }

  /**
   * Removes unfinished files of dead processes, the entries unused for longest, and data that no entry names. `newest` was
   * just written: the disk's clock may lag behind the one that reads are noted with.
   */
  private evict(newest: string): void {
    const now = Date.now();
    const files = readdirSync(this.folder).flatMap((name) => {
      const found = lstatSync(join(this.folder, name), { throwIfNoEntry: false });
      return found === undefined ? [] : [{ name, size: found.size, time: found.mtimeMs }];
    });
    const remove = (name: string): void => rmSync(join(this.folder, name), { force: true });
    for (const { name, time } of files) if (name.endsWith(TEMPORARY) && now - time > STALE_MS) remove(name);
    const sizes = new Map(files.filter((f) => f.name.endsWith(DATA)).map((f) => [f.name, f]));
    const named = new Set<string>();
    let total = 0;
    for (const { name, size } of files
      .filter((f) => f.name.endsWith(INDEX))
      .sort((a, b) => Number(b.name === newest) - Number(a.name === newest) || b.time - a.time)) {
      const data = this.dataOf(name);
      const isNew = data !== null && !named.has(data);
      const bytes = size + (isNew ? (sizes.get(data)?.size ?? 0) : 0);
      // The newest entry stays, however large.
      if (data === null || (total > 0 && total + bytes > this.limitBytes)) {
        remove(name);
        continue;
      }
      total += bytes;
      named.add(data);
    }
    // Another process may be about to write the index of fresh data.
    for (const [name, { time }] of sizes) if (!named.has(name) && now - time > STALE_MS / 60) remove(name);
  }

  private dataOf(indexName: string): string | null {
    try {
      const { sha256: hash } = JSON.parse(readFileSync(join(this.folder, indexName), 'utf8')) as IndexFile;
      return `${hash}${DATA}`;
    } catch {
      return null;
    }
  }
}
