import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type Command, Option } from 'commander';
import { showProgress } from '../core/progress.js';
import { saeFromFactCheckpoint } from '../explain/factSae.js';
import { loadSae, matchSae, type Sae, saveSae } from '../explain/sae.js';
import { loadModel } from '../models/loadModel.js';
import { loadSaeConfig, mergeChanges, resolveSaeConfig, type SaeTrainConfig } from '../train/sae/config.js';
import { evaluateSae, type SaeEvaluation } from '../train/sae/evaluate.js';
import { openFeatures } from '../train/sae/featureFolder.js';
import { imageFeatures, openImages } from '../train/sae/imageFeatures.js';
import { type SaeRunResult, trainSae } from '../train/sae/run.js';
import { type CliContext, parseCount, runVerb, usageError, verb } from './context.js';
import {
  type ImageFlags,
  needDataDir,
  parseNumber,
  parsePositions,
  parseWhole,
  splitOption,
  startFor,
} from './saeOptions.js';
import { withSignals } from './signals.js';

/** Work that an interrupt ends early: what it throws then becomes one line and the signal's exit status. */
async function stoppable(
  context: CliContext,
  work: (signal: AbortSignal, exitStatus: () => number) => Promise<number>,
): Promise<number> {
  return withSignals(async (signal, exitStatus) => {
    try {
      return await work(signal, exitStatus);
    } catch (error) {
      if (!signal.aborted || error !== signal.reason) throw error;
      context.log.warn('stopped; nothing was finished');
      return exitStatus();
    }
  });
}

interface FeatureFlags extends ImageFlags {
  readonly tap: string;
  readonly out: string;
  readonly positions: 'all' | 'budget' | number;
  readonly seed: number;
  readonly imageBatch: number;
  readonly workers: number;
}

async function runFeatures(context: CliContext, folder: string, flags: FeatureFlags): Promise<number> {
  const dataDir = needDataDir(flags);
  await startFor(context);
  const model = await loadModel(folder);
  return stoppable(context, async (signal) => {
    const request = { ...flags, split: flags.split ?? 'train' } as const;
    const { out } = flags;
    const source = await imageFeatures(model, dataDir, request, {
      out,
      signal,
      log: context.log,
      progress: !context.quiet,
    });
    await source.close();
    const { rows, channels, tap } = source;
    context.print(`${rows} rows of ${channels} channels at ${tap} lie in ${out}`, {
      rows,
      channels,
      tap,
      out,
    });
    return 0;
  }).finally(() => model.dispose());
}

interface TrainFlags extends ImageFlags {
  readonly config?: string;
  readonly features?: string;
  readonly out: string;
  readonly resume?: boolean;
  readonly tap?: string;
  readonly latents?: number;
  readonly k?: number;
  readonly epochs?: number;
  readonly batch?: number;
  readonly lr?: number;
  readonly seed?: number;
  readonly auxAlpha?: number;
  readonly positions?: 'all' | 'budget' | number;
  readonly dtype?: 'float32' | 'float16';
}

/** The recipe: a file with the options on top, the options alone, or on resumption the run's own. */
function recipeOf(flags: TrainFlags): SaeTrainConfig {
  const changes = {
    tap: flags.tap,
    latents: flags.latents,
    k: flags.k,
    epochs: flags.epochs,
    batchRows: flags.batch,
    learningRate: flags.lr,
    seed: flags.seed,
    dtype: flags.dtype,
    'aux.alpha': flags.auxAlpha,
    'features.positions': flags.positions,
    'features.split': flags.split,
    'features.imageBatch': flags.imageBatch,
    'features.workers': flags.workers,
  };
  if (flags.config !== undefined) return loadSaeConfig(flags.config, changes);
  const kept = join(flags.out, 'config.yaml');
  if (flags.resume === true && existsSync(kept)) return loadSaeConfig(kept, changes);
  for (const name of ['tap', 'latents', 'k'] as const) {
    if (flags[name] === undefined)
      throw usageError(`no --${name} is given`, 'Give -c CONFIG.yaml, or --tap, --latents and --k.');
  }
  return resolveSaeConfig(mergeChanges({}, changes), 'command line');
}

function trainText(result: SaeRunResult): string {
  return result.status === 'done'
    ? `trained ${result.updates} updates; the autoencoder lies in ${result.sae}`
    : `stopped after ${result.updates} updates; go on with --resume --out ${result.folder}`;
}

async function runTrain(context: CliContext, folder: string | undefined, flags: TrainFlags): Promise<number> {
  const config = recipeOf(flags);
  if (flags.features === undefined && folder === undefined) {
    throw usageError(
      'no network is given',
      'Write fact sae train MODEL --data-dir FOLDER, or give --features FOLDER.',
    );
  }
  const dataDir = flags.features === undefined ? needDataDir(flags) : '';
  await startFor(context);
  const model = folder === undefined ? null : await loadModel(folder);
  return stoppable(context, async (signal, exitStatus) => {
    const { log, quiet } = context;
    const shared = { signal, log, progress: !quiet };
    const source =
      flags.features !== undefined || model === null
        ? openFeatures(flags.features ?? '')
        : await imageFeatures(
            model,
            dataDir,
            { tap: config.tap, seed: config.seed, ...config.features },
            shared,
          );
    try {
      const { out } = flags;
      const result = await trainSae(config, source, { ...shared, out, resume: flags.resume === true });
      context.print(trainText(result), result);
      return result.status === 'done' ? 0 : exitStatus();
    } finally {
      await source.close();
    }
  }).finally(() => model?.dispose());
}

function evalText(e: SaeEvaluation): string {
  const percent = (value: number) => `${value.toFixed(2)} %`;
  const explained = e.varianceExplained === null ? 'n/a' : percent(100 * e.varianceExplained);
  return [
    `${e.images} images`,
    `top-1 ${percent(e.top1)}, spliced ${percent(e.splicedTop1)} (lost ${(e.top1 - e.splicedTop1).toFixed(2)} points)`,
    `top-5 ${percent(e.top5)}, spliced ${percent(e.splicedTop5)}`,
    `same predicted class: ${percent(e.agreement)}`,
    `active concepts: ${e.l0.toFixed(1)} a position, ${e.imageL0.toFixed(1)} an image`,
    `dead concepts: ${e.dead} (${percent(e.deadShare)})`,
    `variance explained: ${explained}`,
  ].join('\n');
}

interface EvalFlags extends ImageFlags {
  readonly imageBatch: number;
  readonly workers: number;
}

async function runEval(
  context: CliContext,
  folder: string,
  saeFolder: string,
  flags: EvalFlags,
): Promise<number> {
  const dataDir = needDataDir(flags);
  await startFor(context);
  const model = await loadModel(folder);
  let sae: Sae | undefined;
  try {
    sae = await loadSae(saeFolder);
    const { loader, imageSize, batchSize } = await openImages(dataDir, model.spec.preprocessing, {
      ...(flags.split === undefined ? {} : { split: flags.split }),
      batchSize: flags.imageBatch,
      workers: flags.workers,
      classes: model.spec.options.numClasses,
    });
    const progress = showProgress('evaluating', loader.size, 'images', context.quiet);
    try {
      const result = await evaluateSae(model, sae, loader, { imageSize, batchSize, progress });
      for (const broken of loader.broken) context.log.warn(`skipped: ${broken.message}`);
      context.print(evalText(result), {
        model: folder,
        sae: saeFolder,
        tap: sae.tap,
        data: dataDir,
        ...result,
      });
    } finally {
      progress.stop();
      await loader.close();
    }
  } finally {
    sae?.dispose();
    model.dispose();
  }
  return 0;
}

interface ImportFlags {
  readonly tap: string;
  readonly model?: string;
  readonly dtype: 'float32' | 'float16';
}

async function runImport(
  context: CliContext,
  source: string,
  target: string,
  flags: ImportFlags,
): Promise<number> {
  await startFor(context);
  const model = flags.model === undefined ? null : await loadModel(flags.model);
  const sae = await saeFromFactCheckpoint(source, {
    tap: flags.tap,
    arch: model?.spec.arch ?? null,
    modelHash: model?.spec.weightsHash ?? null,
  });
  try {
    if (model !== null) matchSae(model, sae);
    await saveSae(target, sae, { dtype: flags.dtype });
    const { latents, channels, k, tap } = sae;
    context.print(`${latents} concepts of ${channels} channels, k = ${k}, lie in ${target}`, {
      latents,
      channels,
      k,
      tap,
      target,
    });
  } finally {
    sae.dispose();
    model?.dispose();
  }
  return 0;
}

const dtypeOption = (): Option =>
  new Option('--dtype <type>', 'storage of the weights').choices(['float32', 'float16']);

function registerFeatures(sae: Command): void {
  verb(sae, 'features <model>', "write a network's features at a tap to a folder")
    .requiredOption('--tap <name>', 'stage of the network')
    .requiredOption('--out <folder>', 'folder for the features')
    .option('--data-dir <folder>', 'data set: class folders or tar shards')
    .addOption(splitOption().default('train'))
    .option(
      '--positions <choice>',
      'positions kept per image: all, budget or a number',
      parsePositions,
      'budget',
    )
    .option('--seed <n>', 'seed of the draw of positions', parseWhole, 0)
    .option('--image-batch <n>', 'images per batch', parseCount, 64)
    .option('--workers <n>', 'decoding threads', parseWhole, 1)
    .action(async (model: string, _options, command: Command) => {
      await runVerb(command, (context) =>
        runFeatures(context, model, command.optsWithGlobals<FeatureFlags>()),
      );
    });
}

function registerTrain(sae: Command): void {
  verb(sae, 'train [model]', "train an autoencoder on a network's features")
    .option('-c, --config <file>', 'recipe (YAML); the options below win over it')
    .option('--data-dir <folder>', 'data set to take features from: class folders or tar shards')
    .option(
      '--features <folder>',
      'features that `fact sae features` wrote, in place of a network and images',
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
    .option('--aux-alpha <weight>', 'weight of the loss that revives dead concepts', parseNumber)
    .option('--positions <choice>', 'positions kept per image: all, budget or a number', parsePositions)
    .addOption(splitOption())
    .option('--image-batch <n>', 'images per batch of the network', parseCount)
    .option('--workers <n>', 'decoding threads', parseWhole)
    .addOption(dtypeOption())
    .action(async (model: string | undefined, _options, command: Command) => {
      await runVerb(command, (context) => runTrain(context, model, command.optsWithGlobals<TrainFlags>()));
    });
}

function registerEval(sae: Command): void {
  verb(sae, 'eval <model> <sae>', 'measure a network with the autoencoder spliced in, and without')
    .option('--data-dir <folder>', 'labelled data set')
    .addOption(splitOption())
    .option('--image-batch <n>', 'images per batch', parseCount, 50)
    .option('--workers <n>', 'decoding threads', parseWhole, 1)
    .action(async (model: string, folder: string, _options, command: Command) => {
      await runVerb(command, (context) =>
        runEval(context, model, folder, command.optsWithGlobals<EvalFlags>()),
      );
    });
}

function registerImport(sae: Command): void {
  verb(sae, 'import <checkpoint> <folder>', "convert an autoencoder from FaCT's released layout (.pt)")
    .requiredOption('--tap <name>', 'stage of the network that it belongs to')
    .option('--model <folder>', 'network that it belongs to: checked and recorded')
    .addOption(dtypeOption().default('float32'))
    .action(async (source: string, target: string, _options, command: Command) => {
      await runVerb(command, (context) =>
        runImport(context, source, target, command.optsWithGlobals<ImportFlags>()),
      );
    });
}

/** `fact sae`: features, training, evaluation and import of sparse autoencoders. */
export function register(program: Command): void {
  const sae = program.command('sae').description('sparse autoencoders: features, train, eval, import');
  registerFeatures(sae);
  registerTrain(sae);
  registerEval(sae);
  registerImport(sae);
}
