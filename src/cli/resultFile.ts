import { resolve } from 'node:path';
import { Journal } from '../core/journal.js';
import { type FileRecord, keptRecords } from '../explain/session/explainFiles.js';
import { usageError } from './context.js';

/** A journal that a user named, and what an earlier run left in it. */
export interface ResultFile<R> {
  readonly journal: Journal<FileRecord<R>> | null;
  readonly done: readonly FileRecord<R>[];
}

/**
 * Opens the file of --out, one line of JSON a picture: an unfinished or finished one of the same work is gone on with.
 * @param header plain JSON with `format`: what the results depend on @param size pictures a call. Throws FactError E_OUT_EXISTS, E_WRITE.
 */
export function openResultFile<R>(
  path: string | undefined,
  header: { readonly format: string },
  size: number,
): ResultFile<R> {
  if (path === undefined) return { journal: null, done: [] };
  const journal = Journal.of<FileRecord<R>>(resolve(path), header);
  const state = journal.state();
  if (state.kind === 'foreign') {
    throw usageError(
      `${path} exists and cannot be gone on with: ${state.reason}`,
      'Choose another file with --out, or remove it.',
    );
  }
  const done = state.kind === 'same' ? state.records.slice(0, keptRecords(state.records.length, size)) : [];
  journal.open(state.kind === 'same' ? done.length : null);
  return { journal, done };
}

/** What a stopped run says. */
export function stoppedLine(done: number, all: number, path: string | undefined): string {
  const rest = path === undefined ? '' : `, in ${path}; the same command goes on from there`;
  return `stopped: ${done} of ${all} pictures done so far${rest}`;
}
