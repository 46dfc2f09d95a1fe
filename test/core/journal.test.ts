import { appendFileSync, existsSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Journal } from '../../src/core/journal.js';
import { temporaryFolders } from '../fixtures/pictures.js';

const folder = temporaryFolders();
const HEADER = { format: 'test', version: 1, settings: { a: 1 } };
type Row = { readonly n: number };

function started(path: string, rows: number): void {
  const journal = Journal.of<Row>(path, HEADER);
  expect(journal.state()).toEqual({ kind: 'new' });
  journal.open(null);
  for (let n = 0; n < rows; n++) journal.add({ n });
  journal.close();
}

describe('a journal', () => {
  it('is on disk line by line, before it is closed', () => {
    const path = join(folder(), 'new', 'a.jsonl');
    const journal = Journal.of<Row>(path, HEADER);
    journal.open(null);
    for (let n = 0; n < 3; n++) {
      journal.add({ n });
      expect(readFileSync(path, 'utf8').split('\n')).toHaveLength(n + 3);
    }
    journal.close();
    expect(Journal.of<Row>(path, HEADER).state()).toEqual({
      kind: 'same',
      records: [{ n: 0 }, { n: 1 }, { n: 2 }],
    });
  });

  it('cut at any byte keeps its whole lines, and is gone on with after them', () => {
    const path = join(folder(), 'a.jsonl');
    started(path, 3);
    const whole = readFileSync(path);
    for (let length = 0; length < whole.length; length++) {
      writeFileSync(path, whole);
      truncateSync(path, length);
      const journal = Journal.of<Row>(path, HEADER);
      const state = journal.state();
      const lines = whole.subarray(0, length).toString().split('\n').length - 1;
      if (lines === 0) {
        expect(state.kind).toBe(length === 0 ? 'new' : 'foreign');
        continue;
      }
      expect(state).toEqual({ kind: 'same', records: [{ n: 0 }, { n: 1 }, { n: 2 }].slice(0, lines - 1) });
      journal.open(lines - 1);
      journal.add({ n: 9 });
      journal.close();
      const after = Journal.of<Row>(path, HEADER).state();
      expect(after).toMatchObject({ kind: 'same' });
      expect(after.kind === 'same' && after.records.length).toBe(lines);
    }
  });

  it('is gone on with after as many records as are wanted', () => {
    const path = join(folder(), 'a.jsonl');
    started(path, 3);
    const journal = Journal.of<Row>(path, HEADER);
    journal.open(1);
    journal.add({ n: 7 });
    journal.close();
    expect(journal.state()).toEqual({ kind: 'same', records: [{ n: 0 }, { n: 7 }] });
  });

  it('of other work is told apart, and what differs is named', () => {
    const path = join(folder(), 'a.jsonl');
    started(path, 1);
    expect(Journal.of(path, { ...HEADER, settings: { a: 2 } }).state()).toEqual({
      kind: 'foreign',
      reason: 'it was made with another settings',
    });
    expect(Journal.of(path, { ...HEADER, format: 'other' }).state()).toMatchObject({ kind: 'foreign' });
    writeFileSync(path, 'thesis\n');
    expect(Journal.of(path, HEADER).state()).toEqual({ kind: 'foreign', reason: 'it is not ours' });
  });

  it('with a damaged line in the middle is not gone on with', () => {
    const path = join(folder(), 'a.jsonl');
    started(path, 1);
    appendFileSync(path, '{"n":\n{"n":2}\n');
    expect(Journal.of(path, HEADER).state()).toMatchObject({
      kind: 'foreign',
      reason: expect.stringContaining('line 3 is damaged'),
    });
  });

  it('that cannot be written says so', () => {
    const root = folder();
    writeFileSync(join(root, 'file'), '');
    const journal = Journal.of<Row>(join(root, 'file', 'a.jsonl'), HEADER);
    expect(() => journal.open(null)).toThrow(expect.objectContaining({ code: 'E_WRITE' }));
    expect(existsSync(join(root, 'file', 'a.jsonl'))).toBe(false);
  });
});
