import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { writeError, writeFileAtomic } from '../../core/atomicFile.js';

/** Significant digits of the numbers in a table. */
const DIGITS = 7;

function linesOf(path: string): string[] {
  return existsSync(path)
    ? readFileSync(path, 'utf8')
        .split('\n')
        .filter((line) => line.length > 0)
    : [];
}

function append(path: string, line: string): void {
  try {
    appendFileSync(path, `${line}\n`);
  } catch (error) {
    throw writeError(path, error);
  }
}

function significant(value: number | null): string {
  return value === null ? '' : String(Number(value.toPrecision(DIGITS)));
}

/** A table that grows by rows, as CSV; null is an empty cell. */
export class CsvLog<Column extends string> {
  /**
   * Rows whose `key` is above `last` are those of an interrupted run and are removed on opening.
   * Throws FactError E_WRITE.
   */
  constructor(
    private readonly path: string,
    private readonly columns: readonly Column[],
    key: Column,
    last: number,
  ) {
    const at = columns.indexOf(key);
    const rows = linesOf(path).slice(1);
    const kept = rows.filter((line) => Number(line.split(',')[at]) <= last);
    writeFileAtomic(path, `${[columns.join(','), ...kept].join('\n')}\n`);
  }

  /** Throws FactError E_WRITE. */
  append(row: Readonly<Record<Column, number | null>>): void {
    append(this.path, this.columns.map((column) => significant(row[column])).join(','));
  }
}

/** Records that grow by one JSON object a line. */
export class JsonLinesLog<Key extends string> {
  /** As in `CsvLog`. Throws FactError E_WRITE. */
  constructor(
    private readonly path: string,
    key: Key,
    last: number,
  ) {
    const kept = linesOf(path).filter((line) => {
      try {
        return (JSON.parse(line) as Record<Key, number>)[key] <= last;
      } catch {
        return false; // the last line of a killed run may be cut
      }
    });
    writeFileAtomic(path, kept.map((line) => `${line}\n`).join(''));
  }

  /** Throws FactError E_WRITE. */
  append(row: Readonly<Record<Key, number>>): void {
    append(this.path, JSON.stringify(row));
  }
}
