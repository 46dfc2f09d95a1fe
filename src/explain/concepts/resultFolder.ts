/** Folders of results that grow: a journal while the work goes on, then the whole folder under its name. */
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { recoverFolder, replaceFolder, writeError, writeFileAtomic } from '../../core/atomicFile.js';
import { lockFolder } from '../../core/folderLock.js';
import { Journal } from '../../core/journal.js';
import { namesIn, outExists } from '../../core/outFolder.js';

const JOURNAL_FILE = 'work.jsonl';
const PARTIAL_ENDING = '.partial';

/**
 * A folder of results in the making, `<target>.partial`, whose journal a later run of the same work goes on from;
 * `finish` gives it the target's name. Until then earlier results of the same kind stay; anything else is never replaced.
 */
export class ResultFolder<R> {
  readonly partial: string;
  readonly journal: Journal<R>;
  /** What an earlier run left. */
  readonly done: readonly R[];
  private readonly unlock: () => void;

  /**
   * @param file name of its JSON file @param format `format` in that file @param work what the results depend on.
   * Throws FactError E_OUT_EXISTS, E_RUN_LOCKED, E_WRITE.
   */
  constructor(
    private readonly target: string,
    file: string,
    format: string,
    work: object,
  ) {
    this.partial = `${target}${PARTIAL_ENDING}`;
    this.journal = Journal.of<R>(join(this.partial, JOURNAL_FILE), { format: `${format}-work`, ...work });
    this.unlock = lockFolder(target, `${target}.lock`);
    try {
      recoverFolder(target);
      this.checkTarget(file, format);
      const state = this.journal.state();
      if (state.kind === 'new' && existsSync(this.partial) && namesIn(this.partial)?.length !== 0)
        throw outExists(this.partial, 'unfinished work of this program');
      if (state.kind === 'foreign') this.remove();
      this.done = state.kind === 'same' ? state.records : [];
      this.journal.open(state.kind === 'same' ? this.done.length : null);
    } catch (error) {
      this.unlock();
      throw error;
    }
  }

  private checkTarget(file: string, format: string): void {
    if (!existsSync(this.target)) return;
    const names = namesIn(this.target);
    if (names !== null && names.length === 0) return;
    try {
      if (JSON.parse(readFileSync(join(this.target, file), 'utf8')).format === format) return;
    } catch {
      // Not JSON, or no such file: not results of this kind.
    }
    throw outExists(this.target, 'a folder of such results');
  }

  private remove(): void {
    try {
      rmSync(this.partial, { recursive: true, force: true });
    } catch (error) {
      throw writeError(this.partial, error);
    }
  }

  /** Writes a file of the folder. Throws FactError E_WRITE. */
  write(name: string, content: string | Uint8Array): void {
    writeFileAtomic(join(this.partial, name), content);
  }

  /** Reads a text file of the folder. */
  read(name: string): string {
    return readFileSync(join(this.partial, name), 'utf8');
  }

  /** Gives the folder its name, without its journal. Throws FactError E_WRITE. */
  finish(): void {
    this.journal.close();
    replaceFolder(this.partial, this.target);
    try {
      rmSync(join(this.target, JOURNAL_FILE), { force: true });
    } catch (error) {
      throw writeError(this.target, error);
    }
  }

  /** Ends without finishing: what was written stays for the next run, a folder without results does not. */
  close(): void {
    this.journal.close();
    const names = namesIn(this.partial);
    const state = this.journal.state();
    const isEmpty = state.kind !== 'same' || state.records.length === 0;
    if (names?.every((name) => name === JOURNAL_FILE) && isEmpty) this.remove();
    this.unlock();
  }
}
