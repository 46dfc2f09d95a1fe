import type { Command } from 'commander';
import { loadModel } from '../models/loadModel.js';
import { imageFeatures } from '../train/sae/imageFeatures.js';
import { type CliContext, parseCount, runVerb, verb } from './context.js';
import {
  type ImageFlags,
  needDataDir,
  parsePositions,
  parseWhole,
  splitOption,
  startFor,
} from './saeOptions.js';
import { stoppable } from './signals.js';

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

/** `fact sae features` */
export function registerFeatures(sae: Command): void {
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
