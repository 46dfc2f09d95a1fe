import { type Command, Option } from 'commander';
import type { BcosModel } from '../models/bcosModel.js';
import { loadModel } from '../models/loadModel.js';
import { openFeatures } from '../train/sae/featureFolder.js';
import type { FeatureSource } from '../train/sae/featureSource.js';
import { openHeldOut, openSplit } from '../train/sae/heldOutImages.js';
import { holdOut } from '../train/sae/holdOut.js';
import { imageFeatures } from '../train/sae/imageFeatures.js';
import { SAE_INITS } from '../train/sae/inits.js';
import { OnTheFly } from '../train/sae/onTheFly.js';
import { trainSae } from '../train/sae/run.js';
import type { SaeRunResult } from '../train/sae/saeRun.js';
import { SplicedAccuracy } from '../train/sae/splicedAccuracy.js';
import { readStoreIndex } from '../train/sae/store/storeIndex.js';
import { trainOnTheFly } from '../train/sae/trainOnTheFly.js';
import { type CliContext, collect, parseCount, runVerb, usageError, verb } from './context.js';
import {
  dtypeOption,
  needDataDir,
  parseNumber,
  parsePositions,
  parseWhole,
  splitOption,
  startFor,
} from './saeOptions.js';
import { type PlannedRun, parseInits, plannedRuns, type RecipeFlags } from './saeRecipes.js';
import { stoppable } from './signals.js';

interface TrainFlags extends RecipeFlags {
  readonly features?: string;
  readonly onTheFly?: boolean;
}

/** What the runs of a command share. */
interface Work {
  readonly context: CliContext;
  readonly flags: TrainFlags;
  readonly model: BcosModel | null;
  readonly signal: AbortSignal;
}

function trainText(result: SaeRunResult): string {
  if (result.status === 'stopped')
    return `stopped after ${result.updates} updates; go on with --resume --out ${result.folder}`;
  const best =
    result.best === null
      ? ''
      : `; best spliced top-1 ${result.best.top1.toFixed(2)} % after epoch ${result.best.epoch}`;
  return `trained ${result.updates} updates; the autoencoder lies in ${result.sae}${best}`;
}

/** Runs `work` with what measures accuracy at taps, where images were held out; taps in the order of their runs. */
async function withAccuracy<T>(
  { context, flags, model }: Work,
  runs: readonly PlannedRun[],
  work: (accuracyAt: (tap: string) => { readonly accuracy?: SplicedAccuracy }) => Promise<T>,
): Promise<T> {
  const { holdOut: perClass, split, imageBatch, workers } = runs[0].config.features;
  const which = flags.features === undefined ? perClass : readStoreIndex(flags.features).index.holdOut.keys;
  const images =
    model === null ||
    flags.dataDir === undefined ||
    which === 0 ||
    (typeof which !== 'number' && which.length === 0)
      ? null
      : await openHeldOut(flags.dataDir, model.spec.preprocessing, { split, which, imageBatch, workers });
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

/** The features of a run, from a store or collected into memory. Caller closes. */
function sourceOf({ context, flags, model, signal }: Work, { config }: PlannedRun): Promise<FeatureSource> {
  if (flags.features !== undefined || model === null)
    return Promise.resolve(openFeatures(flags.features ?? '', config.tap));
  const request = { tap: config.tap, seed: config.seed, ...config.features };
  const { log, quiet } = context;
  return imageFeatures(model, needDataDir(flags), request, { signal, log, progress: !quiet });
}

/** Run after run; those of one tap share its features. */
async function trainInTurn(work: Work, runs: readonly PlannedRun[]): Promise<SaeRunResult[]> {
  const { context, signal } = work;
  return withAccuracy(work, runs, async (accuracyAt) => {
    const results: SaeRunResult[] = [];
    for (let next = 0; next < runs.length; ) {
      const { tap, seed, features } = runs[next].config;
      const source = await sourceOf(work, runs[next]);
      try {
        for (; next < runs.length; next++) {
          const { config, out, resume } = runs[next];
          if (
            JSON.stringify([config.tap, config.seed, config.features]) !==
            JSON.stringify([tap, seed, features])
          )
            break;
          const shared = { log: context.log, progress: !context.quiet, signal, ...accuracyAt(tap) };
          results.push(await trainSae(config, source, { ...shared, out, resume }));
          if (results.at(-1)?.status === 'stopped') return results;
        }
      } finally {
        await source.close();
      }
    }
    return results;
  });
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
async function trainTogether(work: Work, runs: readonly PlannedRun[]): Promise<SaeRunResult[]> {
  const { context, flags, model, signal } = work;
  if (model === null || flags.features !== undefined)
    throw usageError(
      '--on-the-fly trains from images',
      'Give MODEL and --data-dir FOLDER, and no --features.',
    );
  checkOnePass(runs);
  const { seed, features } = runs[0].config;
  const { split, imageBatch, blockImages } = features;
  const places = new Map<
    string,
    {
      readonly place: number;
      readonly request: { tap: string; positions: PlannedRun['config']['features']['positions'] };
    }
  >();
  const keyOf = ({ config }: PlannedRun): string => JSON.stringify([config.tap, config.features.positions]);
  for (const run of runs) {
    const { tap, features: own } = run.config;
    if (!places.has(keyOf(run)))
      places.set(keyOf(run), { place: places.size, request: { tap, positions: own.positions } });
  }
  return withAccuracy(work, runs, async (accuracyAt) => {
    const images = await openSplit(needDataDir(flags), split);
    let source: OnTheFly | undefined;
    try {
      for (const warning of images.warnings) context.log.warn(warning);
      source = new OnTheFly(
        model,
        images,
        [...places.values()].map(({ request }) => request),
        {
          seed,
          imageBatch,
          blockImages,
          workers: Math.max(...runs.map(({ config }) => config.features.workers)),
          samples: holdOut(images, features.holdOut).kept,
          signal,
        },
      );
      context.log.info(
        `${source.images} images a pass; a block of features takes ${Math.ceil(source.blockBytes / 2 ** 20)} MiB`,
      );
      const jobs = runs.map((run) => ({
        config: run.config,
        tap: places.get(keyOf(run))?.place ?? 0,
        options: {
          out: run.out,
          resume: run.resume,
          log: context.log,
          signal,
          ...accuracyAt(run.config.tap),
        },
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

async function runTrain(context: CliContext, folder: string | undefined, flags: TrainFlags): Promise<number> {
  const runs = plannedRuns(flags);
  if (flags.features === undefined && folder === undefined) {
    throw usageError(
      'no network is given',
      'Write fact sae train MODEL --data-dir FOLDER, or give --features FOLDER.',
    );
  }
  if (flags.features === undefined) needDataDir(flags);
  await startFor(context);
  const model = folder === undefined ? null : await loadModel(folder);
  return stoppable(context, async (signal, exitStatus) => {
    const train = flags.onTheFly === true ? trainTogether : trainInTurn;
    const results = await train({ context, flags, model, signal }, runs);
    context.print(results.map(trainText).join('\n'), results.length === 1 ? results[0] : results);
    return results.every(({ status }) => status === 'done') ? 0 : exitStatus();
  }).finally(() => model?.dispose());
}

/** `fact sae train` */
export function registerTrain(sae: Command): void {
  verb(sae, 'train [model]', "train autoencoders on a network's features")
    .option(
      '-c, --config <file>',
      'recipe (YAML); several, each in OUT/TAP; the options below win over it',
      collect,
    )
    .option('--data-dir <folder>', 'data set to take features from: class folders or tar shards')
    .option(
      '--features <folder>',
      'features that `fact sae features` wrote; with MODEL and --data-dir the accuracy is measured too',
    )
    .option(
      '--on-the-fly',
      'no stored features: each epoch runs the images through the network, for all recipes at once',
    )
    .option('--out <folder>', 'folder of the run', 'runs/sae')
    .option('--resume', 'go on with the run in --out')
    .option('--tap <name>', 'stage of the network')
    .option('--latents <n>', 'number of concepts', parseCount)
    .option('--k <n>', 'concepts active at a position', parseCount)
    .option('--epochs <n>', 'passes over the features', parseCount)
    .option('--batch <n>', 'rows per update', parseCount)
    .option('--lr <rate>', 'learning rate', parseNumber)
    .option('--seed <n>', 'seed', parseWhole)
    .addOption(new Option('--init <name>', 'first weights').choices(SAE_INITS))
    .option('--inits <list>', 'several of them, such as linear,normal:3,data, each in OUT/INIT', parseInits)
    .option('--aux-alpha <weight>', 'weight of the loss that revives dead concepts', parseNumber)
    .option('--positions <choice>', 'positions kept per image: all, budget or a number', parsePositions)
    .option('--hold-out <n>', 'images of each class kept apart to measure the accuracy on', parseWhole)
    .option('--evaluate-every <n>', 'epochs between two measurements', parseCount)
    .addOption(splitOption())
    .option('--image-batch <n>', 'images per batch of the network', parseCount)
    .option('--workers <n>', 'decoding threads', parseWhole)
    .addOption(dtypeOption())
    .action(async (model: string | undefined, _options, command: Command) => {
      await runVerb(command, (context) => runTrain(context, model, command.optsWithGlobals<TrainFlags>()));
    });
}
