import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { FactError } from '../../../core/errors.js';
import { withFileLock } from '../../../core/fileLock.js';
import { type Progress, silentProgress } from '../../../core/progress.js';
import type { BcosModel } from '../../../models/bcosModel.js';
import type { Sae } from '../../sae.js';
import { groupSize } from '../../session/explainFiles.js';
import { type ClassesReport, makeClassesReport } from '../classes/classesReport.js';
import type { ConceptData } from '../conceptData.js';
import type { ConceptTotals } from '../totals/totals.js';
import { type PassKey, readTotals, type StoredTotals, writeTotals } from '../totals/totalsFile.js';
import { isSameSubject, passKey, runTotals, type TotalsRun } from '../totals/totalsRun.js';
import { drawCardImages, drawThumbnail } from './cardImages.js';
import {
  checkConcepts,
  type GalleryContext,
  type GalleryOrder,
  makeCard,
  makeGallery,
  rankConcepts,
  tablesOf,
} from './gallery.js';
import { checkGalleryTarget, type DrawnConcept, GalleryFolder, TOTALS_FILE } from './galleryFolder.js';
import type { Gallery, Neighbour } from './gallerySchema.js';
import { classNeighbours, decoderNeighbours } from './neighbours.js';
import { PresenceMaps } from './presenceMaps.js';

/** Neighbours of either kind on a card, and concepts a class on the page of classes. */
const NEIGHBOURS = 5;
const CONCEPTS_A_CLASS = 8;
/** Concepts without a card that get a small picture. */
const MOST_THUMBNAILS = 2000;
/** Images a call of the pixel maps at most. */
const MAPS_A_CALL = 8;

/** The network, the autoencoder and the data set that a gallery is of. */
export interface GallerySubject {
  readonly model: BcosModel;
  readonly sae: Sae;
  readonly data: ConceptData;
  /** Name of the engine. */
  readonly engine: string;
}

export interface GalleryOptions {
  readonly out: string;
  readonly perConcept: number;
  /** Concepts to show, by number, or the first so many in the order of `by`. */
  readonly concepts: readonly number[] | { readonly top: number };
  readonly by: GalleryOrder;
  readonly tolerance: number;
  /** Folder of an earlier gallery whose pass is used; null: none. */
  readonly from: string | null;
  /** Paths and names, as they are told in concepts.json. */
  readonly names: {
    readonly packageVersion: string;
    readonly model: string;
    readonly sae: string;
    readonly data: string;
  };
  readonly signal: AbortSignal;
  readonly progress?: (title: string, total: number, unit: string) => Progress;
  readonly saveEveryMs?: number;
  /** Told once where another process works on the same folder. */
  readonly onWait?: (holder: string) => void;
}

export interface GalleryRun {
  /** Null where the run was stopped before the pass was done. */
  readonly gallery: Gallery | null;
  readonly isStopped: boolean;
  /** Images counted and concepts drawn by an earlier run. */
  readonly resumed: { readonly images: number; readonly concepts: number };
  /** Images counted so far. */
  readonly images: number;
}

/** Totals of an earlier gallery, if they are of the same subject. Throws FactError E_CONCEPTS_FROM, E_CONCEPTS_STATE. */
export function totalsFrom(folder: string, key: PassKey | null): StoredTotals {
  const path = join(folder, TOTALS_FILE);
  const found = existsSync(path) ? readTotals(path) : null;
  const fault =
    found === null || !found.place.isDone
      ? 'holds no finished pass over a data set'
      : key !== null && !isSameSubject(found.key, key)
        ? 'is of another network, autoencoder or data set, or keeps another number of images a concept'
        : null;
  if (found !== null && fault === null) return found;
  throw new FactError({
    code: 'E_CONCEPTS_FROM',
    message: `${folder} ${fault}`,
    remedy: 'Name the folder that `fact concepts gallery` wrote for the same data, or leave --from out.',
    exitCode: 2,
  });
}

/** Finished totals of the gallery that lies in the target's place, if they are of exactly this work. */
function earlierTotals(path: string, key: PassKey): StoredTotals | null {
  try {
    const found = readTotals(path);
    return found?.place.isDone === true && JSON.stringify(found.key) === JSON.stringify(key) ? found : null;
  } catch (error) {
    // What is damaged there is about to be replaced.
    if (error instanceof FactError && error.code === 'E_CONCEPTS_STATE') return null;
    throw error;
  }
}

async function totalsOf(
  subject: GallerySubject,
  folder: GalleryFolder,
  options: GalleryOptions,
): Promise<TotalsRun> {
  const { model, sae, data, engine } = subject;
  const { perConcept, from, signal, saveEveryMs } = options;
  const key = await passKey(model, sae, data, { perConcept, engine });
  const found = from === null ? earlierTotals(folder.earlierTotals, key) : totalsFrom(from, key);
  if (found !== null) {
    writeTotals(folder.totalsFile, found, sae.k);
    return { ...found, resumed: found.totals.images };
  }
  const progress = options.progress?.('looking at images', data.source.size, 'images') ?? silentProgress;
  try {
    return await runTotals(model, sae, data, {
      perConcept,
      engine,
      file: folder.totalsFile,
      signal,
      progress,
      ...(saveEveryMs === undefined ? {} : { saveEveryMs }),
    });
  } finally {
    progress.stop();
  }
}

interface Drawing {
  readonly totals: ConceptTotals;
  readonly subject: GallerySubject;
  readonly folder: GalleryFolder;
  readonly options: GalleryOptions;
}

/**
 * Draws the cards of `chosen` and small pictures of `mentioned`, but for what an earlier run has drawn; each is kept as
 * soon as it is there. Ends early where the signal stops it.
 */
async function drawConcepts(
  chosen: readonly number[],
  mentioned: readonly number[],
  done: readonly DrawnConcept[],
  { totals, subject, folder, options }: Drawing,
): Promise<Map<number, DrawnConcept>> {
  const { model, sae, data } = subject;
  const drawn = new Map(done.map((one) => [one.concept, one]));
  const work = [
    ...chosen.map((concept) => ({ concept, kind: 'card' as const })),
    ...mentioned.map((concept) => ({ concept, kind: 'thumbnail' as const })),
  ];
  const left = work.filter(({ concept }) => !drawn.has(concept));
  if (left.length === 0) return drawn;
  const progress = options.progress?.('drawing', work.length, 'concepts') ?? silentProgress;
  const [height, width] = data.imageSize;
  const maps = new PresenceMaps(model, sae, {
    imageSize: data.imageSize,
    batchSize: groupSize(height, width, MAPS_A_CALL),
  });
  const photos = new Set(
    done.flatMap((one) => (one.kind === 'card' ? one.shown.map(({ photo }) => photo) : [])),
  );
  const { source } = data;
  const shared = { source, spec: model.spec, maps, totals, folder: folder.partial };
  try {
    for (const { concept, kind } of left) {
      if (options.signal.aborted) break;
      const one: DrawnConcept =
        kind === 'card'
          ? {
              kind,
              concept,
              shown: await drawCardImages(concept, { ...shared, tolerance: options.tolerance, photos }),
            }
          : { kind, concept, cutOut: await drawThumbnail(concept, shared) };
      folder.add(one);
      drawn.set(concept, one);
      progress.update(drawn.size);
    }
  } finally {
    progress.stop();
    maps.dispose();
  }
  return drawn;
}

/** What the pages tell of the chosen concepts and of classes, beside the pictures. */
interface Told {
  readonly chosen: readonly number[];
  readonly decoder: readonly (readonly Neighbour[])[];
  readonly classes: readonly (readonly Neighbour[])[];
  readonly report: ClassesReport;
  readonly tables: ReturnType<typeof tablesOf>;
}

async function tellOf(
  chosen: readonly number[],
  { totals }: StoredTotals,
  { model, sae, data }: GallerySubject,
  tolerance: number,
): Promise<Told> {
  const tables = tablesOf(totals);
  return {
    chosen,
    decoder: await decoderNeighbours(sae, totals, chosen, NEIGHBOURS),
    classes: classNeighbours(totals, chosen, NEIGHBOURS),
    report: makeClassesReport(tables.predicted, {
      spec: model.spec,
      isLabelled: data.isLabelled,
      tolerance,
      concepts: CONCEPTS_A_CLASS,
      onlyClass: null,
      onlyConcept: null,
    }),
    tables,
  };
}

/**
 * Concepts that pages mention and that have no card: neighbours first, then, in a gallery that is not of single named
 * concepts, those of classes by rank.
 */
function mentionedIn({ chosen, decoder, classes, report }: Told, isNamed: boolean): number[] {
  const cards = new Set(chosen);
  const near = chosen.flatMap((_, i) => [...decoder[i], ...classes[i]].map(({ concept }) => concept));
  const ofClasses = Array.from({ length: CONCEPTS_A_CLASS }, (_, rank) =>
    report.classes.flatMap(({ concepts }) => concepts[rank]?.concept ?? []),
  ).flat();
  const all = isNamed ? near : [...near, ...ofClasses];
  const mentioned = new Set(all.filter((concept) => !cards.has(concept)));
  return [...mentioned].slice(0, MOST_THUMBNAILS);
}

function contextOf(
  subject: GallerySubject,
  { key }: StoredTotals,
  { names, perConcept, by, tolerance }: GalleryOptions,
): GalleryContext {
  const { arch, weightsHash, options, logitBias, classNames } = subject.model.spec;
  const { tap, latents, k } = subject.sae;
  const { split, isLabelled, fingerprint } = subject.data;
  return {
    packageVersion: names.packageVersion,
    engine: subject.engine,
    model: { path: names.model, arch, weightsHash, classes: options.numClasses, classNames },
    autoencoder: { path: names.sae, tap, latents, k, sha256: key.autoencoder },
    data: { path: names.data, split, fingerprint, isLabelled },
    settings: { perConcept, by, tolerance, logitBias: logitBias ?? 0 },
  };
}

/** JSON and pages of what is drawn. */
function writeGallery(
  run: StoredTotals,
  drawn: ReadonlyMap<number, DrawnConcept>,
  told: Told,
  context: GalleryContext,
  { subject, folder }: Drawing,
): Gallery {
  const { spec } = subject.model;
  const { totals } = run;
  const cards = told.chosen.flatMap((concept, i) => {
    const one = drawn.get(concept);
    if (one?.kind !== 'card') return [];
    const near = { decoder: told.decoder[i], classes: told.classes[i] };
    return [makeCard(concept, one.shown, near, { totals, spec, tables: told.tables })];
  });
  const thumbnails = [...drawn.values()]
    .flatMap((one) =>
      one.kind === 'thumbnail' && one.cutOut !== null ? [{ concept: one.concept, cutOut: one.cutOut }] : [],
    )
    .sort((a, b) => a.concept - b.concept);
  const gallery = makeGallery(context, totals, spec, cards, thumbnails, run.place.skipped);
  folder.write(gallery, told.report);
  return gallery;
}

async function makeIn(
  folder: GalleryFolder,
  wanted: readonly number[] | null,
  subject: GallerySubject,
  options: GalleryOptions,
): Promise<GalleryRun> {
  const run = await totalsOf(subject, folder, options);
  const images = run.totals.images;
  if (!run.place.isDone)
    return { gallery: null, isStopped: true, resumed: { images: run.resumed, concepts: 0 }, images };
  const top = 'top' in options.concepts ? options.concepts.top : 0;
  const chosen = wanted ?? rankConcepts(run.totals, options.by, top);
  const told = await tellOf(chosen, run, subject, options.tolerance);
  const mentioned = mentionedIn(told, wanted !== null);
  const context = contextOf(subject, run, options);
  const done = folder.begin({ key: run.key, context, chosen, mentioned });
  const drawing = { totals: run.totals, subject, folder, options };
  const drawn = await drawConcepts(chosen, mentioned, done, drawing);
  const gallery = writeGallery(run, drawn, told, context, drawing);
  const isStopped = options.signal.aborted && drawn.size < chosen.length + mentioned.length;
  if (!isStopped) folder.finish();
  return { gallery, isStopped, resumed: { images: run.resumed, concepts: done.length }, images };
}

/**
 * Makes a gallery: one pass over the data set, then the cards of the chosen concepts. The folder of `out` appears when
 * all is done; what a stopped or killed run did is gone on with by the next of the same settings, with the same bytes as
 * an undisturbed one in the end. A second process for the same folder waits for the first.
 * Throws FactError E_CONCEPT_UNKNOWN, E_OUT_EXISTS, E_CONCEPTS_FROM and what `runTotals` throws.
 */
export async function runGallery(subject: GallerySubject, options: GalleryOptions): Promise<GalleryRun> {
  const { out, signal, onWait } = options;
  const wanted = 'top' in options.concepts ? null : checkConcepts(options.concepts, subject.sae.latents);
  checkGalleryTarget(out);
  const work = async (): Promise<GalleryRun> => {
    const folder = new GalleryFolder(out);
    try {
      return await makeIn(folder, wanted, subject, options);
    } finally {
      folder.close();
    }
  };
  return withFileLock(`${out}.lock`, work, { signal, ...(onWait === undefined ? {} : { onWait }) });
}
