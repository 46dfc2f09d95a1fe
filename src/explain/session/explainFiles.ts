import { statSync } from 'node:fs';
import type { Journal } from '../../core/journal.js';
import type { ModelSpec } from '../../models/spec.js';
import type { ExplainImage } from '../explanation.js';
import type { SkippedImage } from '../report/report.js';
import { ImageFiles } from './imageFiles.js';

/** Pixels that one call computes on, at most: bounds memory and the time to the first result. */
const PIXELS_A_CALL = 8 * 64 * 64;
const LARGEST_GROUP = 8;

/** Pictures a call for a network of this input size and this many pictures in all. */
export function groupSize(height: number, width: number, total: number): number {
  return Math.max(1, Math.min(LARGEST_GROUP, total, Math.floor(PIXELS_A_CALL / (height * width))));
}

/** A group filled up to `size` with its last picture, so that every call has the shape that is compiled already. */
export function filledGroup(group: readonly ExplainImage[], size: number): ExplainImage[] {
  const last = group[group.length - 1];
  return Array.from({ length: size }, (_, i) => group[i] ?? last);
}

/** The state of a file by which a later run knows that it is the one whose result it has. */
interface FileStamp {
  readonly name: string;
  readonly bytes: number;
  readonly time: number;
}

/** A result as a journal keeps it. */
export interface FileRecord<R> extends FileStamp {
  readonly result: R;
}

/**
 * How many records an earlier run's journal is to keep: whole groups, so that the groups that follow are those of a run
 * that was never stopped, and its results the same to the last bit.
 */
export function keptRecords(count: number, size: number): number {
  return Math.floor(count / size) * size;
}

function stampOf(name: string): FileStamp | null {
  const found = statSync(name, { throwIfNoEntry: false });
  return found === undefined ? null : { name, bytes: found.size, time: Math.round(found.mtimeMs) };
}

/** What came of a run over pictures. */
export interface FileRun<R> {
  /** In the order of the paths. */
  readonly results: readonly R[];
  readonly skipped: readonly SkippedImage[];
  /** Results that an earlier run had left. */
  readonly resumed: number;
  /** Whether the run was stopped before its end. */
  readonly isStopped: boolean;
}

export interface FileRunOptions<R> {
  readonly paths: readonly string[];
  readonly spec: ModelSpec;
  /** Pictures a call. */
  readonly size: number;
  /** Where results are kept as they come; open, with what an earlier run left. */
  readonly journal: Journal<FileRecord<R>> | null;
  readonly done: readonly FileRecord<R>[];
  /** Results of pictures `images` (a group filled up to `size`) of which the first `places.length` are wanted. */
  readonly compute: (images: readonly ExplainImage[], places: readonly number[]) => Promise<readonly R[]>;
  /** Told of each result, those that an earlier run had left first; `done` counts pictures, skipped ones too. */
  readonly onResult: (result: R, done: number) => void;
  readonly signal: AbortSignal;
}

/** Results of an earlier run whose file is among `paths` and unchanged, by place. */
function stillValid<R>(paths: readonly string[], done: readonly FileRecord<R>[]): Map<number, R> {
  const byName = new Map(done.map((record) => [record.name, record]));
  const valid = new Map<number, R>();
  paths.forEach((path, place) => {
    const record = byName.get(path);
    const stamp = record === undefined ? null : stampOf(path);
    if (record !== undefined && stamp !== null && stamp.bytes === record.bytes && stamp.time === record.time)
      valid.set(place, record.result);
  });
  return valid;
}

/**
 * Computes something for each picture, group by group; each result is in the journal before the next group starts.
 * What an earlier run left there is not computed again. Pictures that cannot be read are named and skipped.
 * Throws FactError E_IMAGE_TOO_MANY_BROKEN, the first picture's error where all are broken, E_WRITE, and what `compute`
 * throws; what was in the journal stays there.
 */
export async function runFiles<R>(options: FileRunOptions<R>): Promise<FileRun<R>> {
  const { spec, size, journal, compute, onResult, signal } = options;
  const paths = [...new Set(options.paths)];
  const results = stillValid(paths, options.done);
  const resumed = results.size;
  const left = paths.flatMap((path, place) => (results.has(place) ? [] : [{ path, place }]));
  const files = new ImageFiles(
    left.map(({ path }) => path),
    spec,
    paths.length,
  );
  let done = 0;
  let isStopped = signal.aborted;
  const tell = (result: R): void => onResult(result, ++done + files.skipped.length);
  for (const result of results.values()) tell(result);
  for await (const group of isStopped ? [] : files.groups(size)) {
    isStopped = signal.aborted;
    if (isStopped) break;
    const places = group.map((image) => left[files.placeOf(image)].place);
    const found = await compute(filledGroup(group, size), places);
    places.forEach((place, i) => {
      const stamp = stampOf(paths[place]);
      if (stamp !== null) journal?.add({ ...stamp, result: found[i] });
      results.set(place, found[i]);
      tell(found[i]);
    });
  }
  return {
    results: [...results].sort(([a], [b]) => a - b).map(([, result]) => result),
    skipped: files.skipped,
    resumed,
    isStopped,
  };
}
