import { performance } from 'node:perf_hooks';
import { FactError } from '../../../core/errors.js';
import { type Progress, silentProgress } from '../../../core/progress.js';
import { refuseTooManyBroken } from '../../../data/brokenLimit.js';
import type { SkippedImage } from '../../report/report.js';
import { type Sae, saeHash, type TappedModel } from '../../sae.js';
import type { ConceptData } from '../conceptData.js';
import { ConceptPass } from '../pass.js';
import { ConceptTotals } from './totals.js';
import { type PassKey, type PassPlace, readTotals, type StoredTotals, writeTotals } from './totalsFile.js';

export interface TotalsRunOptions {
  /** Images kept per concept and ranking. */
  readonly perConcept: number;
  /** Name of the engine: another one changes the last bits. */
  readonly engine: string;
  /** Where the totals so far are kept; null: nowhere. */
  readonly file: string | null;
  readonly signal?: AbortSignal;
  readonly progress?: Progress;
  /** Least time between two snapshots. Default: 5 s. */
  readonly saveEveryMs?: number;
}

export interface TotalsRun extends StoredTotals {
  /** Images that an earlier run had counted. */
  readonly resumed: number;
}

const SAVE_EVERY_MS = 5000;
/** A snapshot takes at most this part of the time. */
const SAVE_SHARE = 1 / 20;

/** What a pass over a data set depends on. */
export async function passKey(
  model: TappedModel,
  sae: Sae,
  data: ConceptData,
  { perConcept, engine }: Pick<TotalsRunOptions, 'perConcept' | 'engine'>,
): Promise<PassKey> {
  return {
    format: 'fact-concept-totals',
    version: 1,
    model: model.spec.weightsHash ?? 'never saved',
    autoencoder: await saeHash(sae),
    tap: sae.tap,
    data: data.fingerprint,
    imageSize: data.imageSize,
    resize: model.spec.preprocessing.resize,
    perConcept,
    imageBatch: data.batchSize,
    engine,
  };
}

/** What of a key decides the numbers, but for their last bits. */
function subjectOf({ engine, imageBatch, ...subject }: PassKey): string {
  return JSON.stringify(subject);
}

/** Whether two passes are of the same network, autoencoder, data and number of images kept. */
export function isSameSubject(a: PassKey, b: PassKey): boolean {
  return subjectOf(a) === subjectOf(b);
}

function startOf(file: string | null, key: PassKey, shape: ConceptTotals['shape'], k: number): StoredTotals {
  const found = file === null ? null : readTotals(file);
  if (found !== null && JSON.stringify(found.key) === JSON.stringify(key)) return found;
  return {
    key,
    place: { nextBatch: 0, isDone: false, skipped: [] },
    totals: new ConceptTotals(shape, k),
  };
}

/**
 * One pass over a data set. With a `file` it goes on where an earlier run of the same key stopped; a snapshot is written
 * every few seconds and where `signal` stops the run (`place.isDone` is then false). The totals are those of one
 * undisturbed run, to the last bit.
 * Throws FactError E_DATA_TOO_MANY_BROKEN, E_DATA_EMPTY (no picture can be read), E_NOT_FINITE, E_WRITE, E_CONCEPTS_STATE.
 */
export async function runTotals(
  model: TappedModel,
  sae: Sae,
  data: ConceptData,
  options: TotalsRunOptions,
): Promise<TotalsRun> {
  const { perConcept, file, signal, progress = silentProgress, saveEveryMs = SAVE_EVERY_MS } = options;
  const key = await passKey(model, sae, data, options);
  const shape = { concepts: sae.latents, classes: model.spec.options.numClasses, places: perConcept };
  const start = startOf(file, key, shape, sae.k);
  const { totals } = start;
  const resumed = totals.images;
  if (start.place.isDone) return { ...start, resumed };
  const earlier = start.place.skipped;
  let place: PassPlace = start.place;
  const save = (): number => {
    const began = performance.now();
    if (file !== null) writeTotals(file, { key, place, totals }, sae.k);
    return performance.now() - began;
  };
  const skippedSoFar = (): SkippedImage[] => {
    const known = new Set(earlier.map(({ name }) => name));
    const found = data.loader.broken.filter(({ name }) => !known.has(name));
    return [...earlier, ...found.map(({ name, code, message }) => ({ name, code, message }))];
  };
  const { imageSize, batchSize } = data;
  const pass = new ConceptPass(model, sae, { imageSize, batchSize });
  try {
    let saved = performance.now();
    let wait = saveEveryMs;
    for await (const batch of data.loader.epoch(0, place.nextBatch)) {
      if (signal?.aborted === true) {
        save();
        return { key, place, totals, resumed };
      }
      for (const image of await pass.run(batch)) totals.add(image);
      const skipped = skippedSoFar();
      refuseTooManyBroken(
        skipped.map(({ message }) => message),
        data.brokenLimit,
      );
      place = { nextBatch: batch.index + 1, isDone: false, skipped };
      progress.update(totals.images + skipped.length);
      if (performance.now() - saved < wait) continue;
      wait = Math.max(saveEveryMs, save() / SAVE_SHARE);
      saved = performance.now();
    }
    const skipped = skippedSoFar();
    refuseTooManyBroken(
      skipped.map(({ message }) => message),
      data.brokenLimit,
    );
    if (totals.images === 0)
      throw new FactError({
        code: 'E_DATA_EMPTY',
        message: `none of the ${skipped.length} pictures can be read; the first: ${skipped[0]?.message}`,
        remedy: 'Check the data set.',
      });
    place = { nextBatch: data.loader.batchesPerEpoch, isDone: true, skipped };
    save();
    return { key, place, totals, resumed };
  } finally {
    pass.dispose();
  }
}
