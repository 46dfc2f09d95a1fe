import { createHash, type Hash } from 'node:crypto';
import { createReadStream, readFileSync, renameSync, rmSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { writeError, writeFileAtomic } from './atomicFile.js';
import { systemCodeOf } from './errors.js';

/** What the server said about the file of which a part is kept: the same again means that the part may be continued. */
export interface PartFacts {
  readonly url: string;
  /** A strong ETag, else the date of the last change, else null. */
  readonly validator: string | null;
  /** Bytes of the whole file, where the server said so. */
  readonly total: number | null;
}

/**
 * A file that is being fetched, `TARGET.part`, with what was known about it beside it (`TARGET.part.json`), and the
 * SHA-256 of the bytes that are there. Writes throw FactError E_WRITE; what was written before stays.
 */
export class PartFile {
  readonly path: string;
  private readonly factsPath: string;
  private handle: FileHandle | null = null;
  private hash: Hash = createHash('sha256');
  private length = 0;

  constructor(readonly target: string) {
    this.path = `${target}.part`;
    this.factsPath = `${this.path}.json`;
  }

  /** Bytes that are there. */
  get bytes(): number {
    return this.length;
  }

  /** Opens what an earlier attempt left and hashes it. */
  async open(): Promise<void> {
    try {
      this.handle = await open(this.path, 'a');
      this.length = (await this.handle.stat()).size;
    } catch (error) {
      throw writeError(this.path, error);
    }
    this.hash = createHash('sha256');
    if (this.length === 0) return;
    for await (const piece of createReadStream(this.path)) this.hash.update(piece);
  }

  /** What was noted about the file, or null. */
  facts(): PartFacts | null {
    try {
      const value = JSON.parse(readFileSync(this.factsPath, 'utf8')) as Partial<PartFacts>;
      if (typeof value.url !== 'string') return null;
      return {
        url: value.url,
        validator: typeof value.validator === 'string' ? value.validator : null,
        total: typeof value.total === 'number' ? value.total : null,
      };
    } catch (error) {
      if (error instanceof SyntaxError || systemCodeOf(error) !== undefined) return null;
      throw error;
    }
  }

  note(facts: PartFacts): void {
    writeFileAtomic(this.factsPath, JSON.stringify(facts));
  }

  async append(bytes: Uint8Array): Promise<void> {
    try {
      let written = 0;
      while (written < bytes.length) {
        const result = await this.handle?.write(bytes, written, bytes.length - written);
        written += result?.bytesWritten ?? 0;
      }
    } catch (error) {
      throw writeError(this.path, error);
    }
    this.hash.update(bytes);
    this.length += bytes.length;
  }

  /** Forgets all bytes. */
  async restart(): Promise<void> {
    try {
      await this.handle?.truncate(0);
    } catch (error) {
      throw writeError(this.path, error);
    }
    this.hash = createHash('sha256');
    this.length = 0;
  }

  /** SHA-256 of the bytes that are there. */
  digest(): string {
    return this.hash.copy().digest('hex');
  }

  /** The first bytes as text, to tell a web page from a file. */
  beginning(): string {
    try {
      return readFileSync(this.path).subarray(0, 64).toString('latin1');
    } catch (error) {
      if (systemCodeOf(error) === undefined) throw error;
      return '';
    }
  }

  /** Flushes and closes; the bytes stay for a later attempt, an empty part does not. */
  async close(): Promise<void> {
    const handle = this.handle;
    this.handle = null;
    if (handle === null) return;
    try {
      await handle.sync();
      await handle.close();
      if (this.length === 0) this.remove();
    } catch (error) {
      throw writeError(this.path, error);
    }
  }

  /** Gives the file its name. */
  finish(): void {
    try {
      renameSync(this.path, this.target);
      rmSync(this.factsPath, { force: true });
    } catch (error) {
      throw writeError(this.target, error);
    }
  }

  /** Removes the part and what was noted. */
  remove(): void {
    rmSync(this.path, { force: true });
    rmSync(this.factsPath, { force: true });
  }
}
