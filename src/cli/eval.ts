import type { Command } from 'commander';
import { FactError } from '../core/errors.js';
import { showProgress } from '../core/progress.js';
import { evaluationSplit, type Split } from '../data/imageSource.js';
import { openImages } from '../data/openImages.js';
import { startEngine } from '../engine/start.js';
import { type Evaluation, Evaluator } from '../train/evaluate.js';
import { openTrainedModel } from '../train/initialWeights.js';
import { lossFunction } from '../train/losses/losses.js';
import { type CliContext, parseCount, runVerb, usageError, verb } from './context.js';

interface EvalFlags {
  readonly dataDir?: string;
  readonly split?: Split;
  readonly batchSize: number;
  readonly workers: number;
}

function textOf(result: Evaluation): string {
  return `${result.images} images: top-1 ${result.top1.toFixed(2)} %, top-5 ${result.top5.toFixed(2)} %, loss ${result.loss.toFixed(4)}`;
}

async function run(context: CliContext, path: string, flags: EvalFlags): Promise<void> {
  if (flags.dataDir === undefined) throw usageError('no data set is given', 'Add --data-dir FOLDER.');
  const split = flags.split ?? evaluationSplit(flags.dataDir);
  const engine = await startEngine({
    engine: context.engine,
    compile: context.compile,
    ...(context.threads === undefined ? {} : { threads: context.threads }),
  });
  context.log.info(`engine ${engine.name}: ${engine.reason}`);
  const model = await openTrainedModel(path);
  if (model === null) {
    throw new FactError({
      code: 'E_MODEL_MISSING',
      message: `${path} is not a network of this program`,
      remedy: 'Convert it first: fact convert SOURCE FOLDER.',
    });
  }
  const { options, preprocessing } = model.spec;
  const { loader, batchSize } = await openImages(flags.dataDir, preprocessing, {
    batchSize: flags.batchSize,
    workers: flags.workers,
    labelsFor: model.spec,
    ...(split === undefined ? {} : { split }),
  });
  const plainBce = lossFunction({ name: 'bce', smoothing: 0, targetThreshold: null });
  const evaluator = new Evaluator(model.network, plainBce, options.numClasses, true);
  const progress = showProgress('evaluating', loader.size, 'images', context.quiet);
  try {
    for (const warning of loader.source.warnings) context.log.warn(warning);
    const result = await evaluator.run(loader.epoch(0), [batchSize, ...preprocessing.crop], {
      progress,
    });
    for (const broken of loader.broken) context.log.warn(`skipped: ${broken.message}`);
    context.print(textOf(result), { model: path, data: flags.dataDir, split: split ?? null, ...result });
  } finally {
    progress.stop();
    evaluator.dispose();
    await loader.close();
    model.dispose();
  }
}

/** `fact eval`: accuracy and loss of a network on a labelled data set. */
export function register(program: Command): void {
  verb(program, 'eval', 'accuracy and loss of a network on a labelled data set')
    .argument('<model>', 'model folder, folder of a run, or checkpoint of a run')
    .option('--data-dir <folder>', 'data set: class folders or tar shards')
    .option('--split <name>', 'train, val or test (default: val, else test)')
    .option('--batch-size <n>', 'images computed at once', parseCount, 64)
    .option('--workers <n>', 'threads that decode images', parseCount, 1)
    .action(async (model: string, _options, command: Command) => {
      await runVerb(command, async (context) => {
        await run(context, model, command.optsWithGlobals<EvalFlags>());
        return 0;
      });
    });
}
