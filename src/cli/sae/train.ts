import { type Command, Option } from 'commander';
import { loadModel } from '../../models/loadModel.js';
import { checkRunFolder } from '../../train/run/folder.js';
import type { SaeRunResult } from '../../train/sae/run/saeRun.js';
import { SAE_INITS } from '../../train/sae/step/inits.js';
import { type CliContext, collect, parseCount, runVerb, usageError, verb } from '../context.js';
import { stoppable } from '../signals.js';
import {
  dtypeOption,
  needDataDir,
  parseNumber,
  parsePositions,
  parseWhole,
  splitOption,
  startFor,
} from './options.js';
import { parseInits, plannedRuns } from './recipes.js';
import { type TrainFlags, trainInTurn, trainTogether } from './trainRuns.js';

function trainText(result: SaeRunResult): string {
  if (result.status === 'stopped')
    return `stopped after ${result.updates} updates; go on with --resume --out ${result.folder}`;
  const best =
    result.best === null
      ? ''
      : `; best spliced top-1 ${result.best.top1.toFixed(2)} % after epoch ${result.best.epoch}`;
  return `trained ${result.updates} updates; the autoencoder lies in ${result.sae}${best}`;
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
  for (const { out, resume } of runs) checkRunFolder(out, resume);
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
