/** The runs of `fact sae train`, one after the other or all in one pass over the images. */
import { FactError } from '../../core/errors.js';
import type { BcosModel } from '../../models/bcosModel.js';
import { openFeatures } from '../../train/sae/features/featureFolder.js';
import type { FeatureSource } from '../../train/sae/features/featureSource.js';
import { holdOut } from '../../train/sae/features/holdOut.js';
import { imageFeatures } from '../../train/sae/features/imageFeatures.js';
import { OnTheFly } from '../../train/sae/features/onTheFly.js';
import { openHeldOut, openSplit } from '../../train/sae/run/heldOutImages.js';
import { trainSae } from '../../train/sae/run/run.js';
import type { SaeRunResult } from '../../train/sae/run/saeRun.js';
import { SplicedAccuracy } from '../../train/sae/run/splicedAccuracy.js';
import { trainOnTheFly } from '../../train/sae/run/trainOnTheFly.js';
import { readStoreIndex } from '../../train/sae/store/storeIndex.js';
import { type CliContext, usageError } from '../context.js';
import { needDataDir } from './options.js';
import type { PlannedRun, RecipeFlags } from './recipes.js';

export interface TrainFlags extends RecipeFlags {
  readonly features?: string;
  readonly onTheFly?: boolean;
}

/** What the runs of a command share. */
export interface TrainWork {
  readonly context: CliContext;
  readonly flags: TrainFlags;
  readonly model: BcosModel | null;
  readonly signal: AbortSignal;
}

type AccuracyAt = (tap: string) => { readonly accuracy?: SplicedAccuracy };

/** Calls `work` with what measures accuracy at the runs' taps; they agree on the images held out. */
async function withAccuracy<T>(
  { context, flags, model }: TrainWork,
  runs: readonly PlannedRun[],
  work: (accuracyAt: AccuracyAt) => Promise<T>,
): Promise<T> {
  const { holdOut: perClass, imageBatch, workers, ...recipe } = runs[0].config.features;
  const store = flags.features === undefined ? null : readStoreIndex(flags.features).index;
  const which = store === null ? perClass : store.holdOut.keys;
  // Keys name pictures within a split: those of another may be called the same.
  const split = store?.data.split ?? recipe.split;
  const isNone = which === 0 || (typeof which !== 'number' && which.length === 0);
  const images =
    model === null || flags.dataDir === undefined || isNone
      ? null
      : await openHeldOut(flags.dataDir, model.spec, { split, which, imageBatch, workers });
  if (images === null || model === null) {
    context.log.info('no images are held out: the spliced accuracy is not measured');
    return work(() => ({}));
  }
  const meters = new Map<string, SplicedAccuracy>();
  try {
    for (const { config } of runs)
      if (!meters.has(config.tap)) meters.set(config.tap, new SplicedAccuracy(model, config.tap, images));
    context.log.info(`${images.loader.size} images are held out to measure the spliced accuracy`);
    return await work((tap) => {
      const accuracy = meters.get(tap);
      return accuracy === undefined ? {} : { accuracy };
    });
  } finally {
    for (const meter of meters.values()) meter.dispose();
    await images.close();
  }
}

/** Refuses a store of another network. Throws FactError E_SAE_MISMATCH. */
function checkNetwork(model: BcosModel, source: FeatureSource, folder: string): void {
  const { arch, weightsHash } = model.spec;
  const isOther = source.modelHash !== null && weightsHash !== null && source.modelHash !== weightsHash;
  if (!isOther && (source.arch === null || source.arch === arch)) return;
  throw new FactError({
    code: 'E_SAE_MISMATCH',
    message: `the features in ${folder} were taken from ${source.arch ?? 'a network'} with weights ${source.modelHash?.slice(0, 12)}…, the network ${arch} has weights ${weightsHash?.slice(0, 12)}…`,
    remedy: 'Give the network that the features were taken from, or leave it out.',
  });
}

/** The features of a run, from a store or collected into memory. Caller closes. */
async function sourceOf(work: TrainWork, { config }: PlannedRun): Promise<FeatureSource> {
  const { context, flags, model, signal } = work;
  if (flags.features === undefined && model !== null) {
    const request = { tap: config.tap, seed: config.seed, ...config.features };
    const { log, quiet } = context;
    return imageFeatures(model, needDataDir(flags), request, { signal, log, progress: !quiet });
  }
  const folder = flags.features ?? '';
  const source = openFeatures(folder, config.tap);
  if (model !== null) checkNetwork(model, source, folder);
  return source;
}

/** Runs that train on the same rows, in their order. */
function groupsOf(runs: readonly PlannedRun[]): PlannedRun[][] {
  const groups = new Map<string, PlannedRun[]>();
  for (const run of runs) {
    const { tap, seed, features } = run.config;
    const key = JSON.stringify([tap, seed, features]);
    groups.set(key, [...(groups.get(key) ?? []), run]);
  }
  return [...groups.values()];
}

/** Run after run; those that train on the same rows share them. */
export async function trainInTurn(work: TrainWork, runs: readonly PlannedRun[]): Promise<SaeRunResult[]> {
  const { context, signal } = work;
  const results: SaeRunResult[] = [];
  for (const group of groupsOf(runs)) {
    await withAccuracy(work, group, async (accuracyAt) => {
      const source = await sourceOf(work, group[0]);
      try {
        for (const { config, out, resume } of group) {
          const shared = { log: context.log, progress: !context.quiet, signal, ...accuracyAt(config.tap) };
          results.push(await trainSae(config, source, { ...shared, out, resume }));
          if (signal.aborted) break;
        }
      } finally {
        await source.close();
      }
    });
    if (signal.aborted) break;
  }
  return results;
}

/** Refuses recipes that cannot share a pass over the images. Throws FactError E_USAGE. */
function checkOnePass(runs: readonly PlannedRun[]): void {
  const shared = ({ config: { seed, features: f } }: PlannedRun): Record<string, unknown> => ({
    seed,
    'features.split': f.split,
    'features.holdOut': f.holdOut,
    'features.imageBatch': f.imageBatch,
    'features.blockImages': f.blockImages,
  });
  const first = shared(runs[0]);
  for (const run of runs) {
    const own = shared(run);
    const key = Object.keys(first).find((name) => first[name] !== own[name]);
    if (key === undefined) continue;
    throw usageError(
      `the recipes share one pass over the images, but "${key}" is ${first[key]} in one and ${own[key]} in another`,
      `Give all of them the same "${key}".`,
    );
  }
}

/** All runs at once, from the images. */
export async function trainTogether(work: TrainWork, runs: readonly PlannedRun[]): Promise<SaeRunResult[]> {
  const { context, flags, model, signal } = work;
  if (model === null || flags.features !== undefined)
    throw usageError('--on-the-fly trains from images', 'Give MODEL and --data-dir, and no --features.');
  checkOnePass(runs);
  const { seed, features } = runs[0].config;
  const { split, imageBatch, blockImages } = features;
  // Runs of one tap with the same positions share their rows.
  const wanted = runs.map(({ config }) => ({ tap: config.tap, positions: config.features.positions }));
  const names = wanted.map((request) => JSON.stringify(request));
  const requests = wanted.filter((_, i) => names.indexOf(names[i]) === i);
  const placeOf = (i: number): number => [...new Set(names)].indexOf(names[i]);
  return withAccuracy(work, runs, async (accuracyAt) => {
    const images = await openSplit(needDataDir(flags), split);
    let source: OnTheFly | undefined;
    try {
      for (const warning of images.warnings) context.log.warn(warning);
      const samples = holdOut(images, features.holdOut).kept;
      const workers = Math.max(...runs.map(({ config }) => config.features.workers));
      source = new OnTheFly(model, images, requests, {
        ...{ seed, imageBatch, blockImages, workers, samples, signal },
      });
      const mebibytes = Math.ceil(source.blockBytes / 2 ** 20);
      context.log.info(`${source.images} images a pass; a block of features takes ${mebibytes} MiB`);
      const jobs = runs.map(({ config, out, resume }, i) => ({
        config,
        tap: placeOf(i),
        options: { out, resume, log: context.log, signal, ...accuracyAt(config.tap) },
      }));
      const results = await trainOnTheFly(source, jobs, { signal, progress: !context.quiet });
      for (const broken of source.broken) context.log.warn(`replaced: ${broken.message}`);
      return results;
    } finally {
      await source?.close();
      images.close();
    }
  });
}
