import type { Command } from 'commander';
import { showProgress } from '../core/progress.js';
import { openImages } from '../data/openImages.js';
import { loadSae, type Sae } from '../explain/sae.js';
import { loadModel } from '../models/loadModel.js';
import { evaluateSae, type SaeEvaluation } from '../train/sae/evaluate.js';
import { type CliContext, parseCount, runVerb, verb } from './context.js';
import { type ImageFlags, needDataDir, parseWhole, splitOption, startFor } from './saeOptions.js';

function evalText(e: SaeEvaluation): string {
  const percent = (value: number) => `${value.toFixed(2)} %`;
  const explained = e.varianceExplained === null ? 'n/a' : percent(100 * e.varianceExplained);
  const { conceptsTo80, withoutPositive, alive, alwaysAlive, alwaysAliveShare } = e.contributions;
  const skipped = withoutPositive > 0 ? ` (${withoutPositive} images without any left out)` : '';
  return [
    `${e.images} images`,
    `top-1 ${percent(e.top1)}, spliced ${percent(e.splicedTop1)} (lost ${(e.top1 - e.splicedTop1).toFixed(2)} points)`,
    `top-5 ${percent(e.top5)}, spliced ${percent(e.splicedTop5)}`,
    `same predicted class: ${percent(e.agreement)}`,
    `active concepts: ${e.l0.toFixed(1)} a position, ${e.imageL0.toFixed(1)} an image`,
    `dead concepts: ${e.dead} (${percent(e.deadShare)})`,
    `variance explained: ${explained}`,
    `concepts to 80 % of the positive contribution: ${conceptsTo80 === null ? 'n/a' : conceptsTo80.toFixed(1)} an image${skipped}`,
    `contributing concepts: ${alive}; in more than 85 % of the images: ${alwaysAlive}, with ${percent(alwaysAliveShare)} of the positive contribution`,
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

/** `fact sae eval` */
export function registerEval(sae: Command): void {
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
