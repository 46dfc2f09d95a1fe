import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { loadModel } from '../models/loadModel.js';
import { loadSaeConfig, mergeChanges, resolveSaeConfig, type SaeTrainConfig } from '../train/sae/config.js';
import { openFeatures } from '../train/sae/featureFolder.js';
import { imageFeatures } from '../train/sae/imageFeatures.js';
import { trainSae } from '../train/sae/run.js';
import type { SaeRunResult } from '../train/sae/saeRun.js';
import { type CliContext, parseCount, runVerb, usageError, verb } from './context.js';
import {
  dtypeOption,
  type ImageFlags,
  needDataDir,
  parseNumber,
  parsePositions,
  parseWhole,
  splitOption,
  startFor,
} from './saeOptions.js';
import { stoppable } from './signals.js';

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

/** `fact sae train` */
export function registerTrain(sae: Command): void {
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
