import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, truncateSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { writeError } from './atomicFile.js';
import { messageOf, systemCodeOf } from './errors.js';

/** What a journal held when it was opened. */
export type JournalState<R> =
  | { readonly kind: 'new' }
  /** Of other work (`reason` says how it differs), or not a journal. */
  | { readonly kind: 'foreign'; readonly reason: string }
  | { readonly kind: 'same'; readonly records: readonly R[] };

/**
 * Results of long work, one line of JSON each, on disk as soon as they are there: what a killed process leaves is whole
 * but for its last line, which is dropped when the work goes on. The first line, the header, says what the work is.
 */
export class Journal<R> {
  private handle: number | null = null;

  private constructor(
    readonly path: string,
    private readonly header: string,
  ) {}

  /** A journal for work that `header` (plain JSON) describes; nothing is touched yet. */
  static of<R>(path: string, header: unknown): Journal<R> {
    return new Journal<R>(path, JSON.stringify(header));
  }

  /** What lies there now. Throws FactError E_WRITE where it cannot be read. */
  state(): JournalState<R> {
    let text: string;
    try {
      text = readFileSync(this.path, 'utf8');
    } catch (error) {
      if (systemCodeOf(error) === 'ENOENT') return { kind: 'new' };
      throw writeError(this.path, error);
    }
    const whole = text.slice(0, text.lastIndexOf('\n') + 1);
    const [header, ...lines] = whole.split('\n').slice(0, -1);
    if (header === undefined)
      return text === '' ? { kind: 'new' } : { kind: 'foreign', reason: 'it is not ours' };
    if (header !== this.header) return { kind: 'foreign', reason: difference(header, this.header) };
    const records: R[] = [];
    for (const line of lines) {
      try {
        records.push(JSON.parse(line) as R);
      } catch (error) {
        return { kind: 'foreign', reason: `line ${records.length + 2} is damaged: ${messageOf(error)}` };
      }
    }
    return { kind: 'same', records };
  }

  /**
   * Starts writing: after the first `kept` records that lie there, or afresh (null). Throws FactError E_WRITE.
   */
  open(kept: number | null): void {
    try {
      mkdirSync(dirname(this.path), { recursive: true });
      if (kept !== null) {
        const bytes = readFileSync(this.path);
        let end = 0;
        for (let line = 0; line <= kept; line++) end = bytes.indexOf(10, end) + 1;
        truncateSync(this.path, end);
      }
      this.handle = openSync(this.path, kept === null ? 'w' : 'a');
      if (kept === null) this.line(this.header);
    } catch (error) {
      throw writeError(this.path, error);
    }
  }

  /** Adds a record. Throws FactError E_WRITE. */
  add(record: R): void {
    try {
      this.line(JSON.stringify(record));
    } catch (error) {
      throw writeError(this.path, error);
    }
  }

  /** Ends writing; what was added then survives a power cut too. */
  close(): void {
    if (this.handle === null) return;
    fsyncSync(this.handle);
    closeSync(this.handle);
    this.handle = null;
  }

  private line(text: string): void {
    if (this.handle === null) throw new Error('the journal is not open');
    const bytes = Buffer.from(`${text}\n`);
    let written = 0;
    while (written < bytes.length) written += writeSync(this.handle, bytes, written);
  }
}

/** Which fields of two headers differ, for people. */
function difference(found: string, wanted: string): string {
  try {
    const a = JSON.parse(found) as Record<string, unknown>;
    const b = JSON.parse(wanted) as Record<string, unknown>;
    if (typeof a !== 'object' || a === null || a.format !== b.format) return 'it is not ours';
    const names = Object.keys(b).filter((name) => JSON.stringify(a[name]) !== JSON.stringify(b[name]));
    return `it was made with another ${names.join(', ')}`;
  } catch {
    return 'it is not ours';
  }
}
