import { join, resolve } from 'node:path';
import { type Command, Option } from 'commander';
import { sha256 } from '../../core/hash.js';
import { showProgress } from '../../core/progress.js';
import type { ImageSource } from '../../data/imageSource.js';
import { openImages } from '../../data/openImages.js';
import { currentEngine } from '../../engine/current.js';
import { loadSae, matchSae, type Sae } from '../../explain/sae.js';
import type { BcosModel } from '../../models/bcosModel.js';
import { loadModel } from '../../models/loadModel.js';
import { evaluateSae, hashSae, PIXEL_CONCEPTS, PIXEL_IMAGES } from '../../train/sae/eval/evaluate.js';
import { EVALUATION_PAGE, EvaluationFolder } from '../../train/sae/eval/evaluationFolder.js';
import {
  EVALUATION_FORMAT,
  EVALUATION_VERSION,
  type SaeEvaluation,
  saeEvaluationSchema,
} from '../../train/sae/eval/evaluationSchema.js';
import { evaluationText } from '../../train/sae/eval/evaluationText.js';
import { compareSaes } from '../../train/sae/eval/stability.js';
import { type CliContext, parseCount, runVerb, verb } from '../context.js';
import { withSignals } from '../signals.js';
import { packageVersion } from '../version.js';
import { type ImageFlags, needDataDir, parseWhole, splitOption, startFor } from './options.js';

interface EvalFlags extends ImageFlags {
  readonly imageBatch: number;
  readonly workers: number;
  readonly out?: string;
  readonly against?: readonly string[];
  readonly pixelImages: number;
}

/** An autoencoder with where it lies and the hash of its weights. */
interface NamedSae {
  readonly sae: Sae;
  readonly path: string;
  readonly hash: string;
}

/** Hash of names and labels: which images, in which order. */
function hashImages(source: ImageSource): string {
  const lines = Array.from({ length: source.size }, (_, i) => `${source.label(i)} ${source.key(i)}`);
  return sha256(lines.join('\n'));
}

interface Subject {
  readonly modelFolder: string;
  readonly model: BcosModel;
  readonly saes: readonly NamedSae[];
}

/** Measures and compares. Rejects with the signal's reason where it stops the work. */
async function measure(
  context: CliContext,
  { model, modelFolder, saes: [own, ...others] }: Subject,
  flags: EvalFlags,
  folder: EvaluationFolder | null,
  signal: AbortSignal,
): Promise<SaeEvaluation> {
  const dataDir = needDataDir(flags);
  const { spec } = model;
  const { loader, imageSize, batchSize } = await openImages(dataDir, spec.preprocessing, {
    ...(flags.split === undefined ? {} : { split: flags.split }),
    batchSize: flags.imageBatch,
    workers: flags.workers,
    labelsFor: spec,
  });
  const progress = showProgress('evaluating', loader.size, 'images', context.quiet);
  try {
    for (const warning of loader.source.warnings) context.log.warn(warning);
    context.log.info(
      `network ${spec.arch} of ${modelFolder}, ${own.sae.latents} concepts at ${own.sae.tap}, ${loader.size} images`,
    );
    const engine = currentEngine()?.name ?? 'none';
    const identity = JSON.stringify({
      model: spec.weightsHash ?? resolve(modelFolder),
      saes: [own, ...others].map(({ hash }) => hash),
      images: hashImages(loader.source),
      imageSize,
      batchSize,
      pixelImages: flags.pixelImages,
      engine,
    });
    const resume = folder?.read(identity) ?? null;
    if (resume !== null)
      context.log.info(`an earlier run measured ${resume.sums.accuracy[0]} images; going on`);
    const { measured, data, use, otherUses } = await evaluateSae(model, own.sae, loader, {
      imageSize,
      batchSize,
      beside: others.map(({ sae }) => sae),
      pixelImages: flags.pixelImages,
      pixelConcepts: PIXEL_CONCEPTS,
      resume,
      ...(folder === null ? {} : { save: (state) => folder.save(identity, state) }),
      progress,
      signal,
    });
    progress.stop();
    for (const { message } of data.broken) context.log.warn(`skipped: ${message}`);
    const comparing = showProgress(
      'comparing',
      others.length,
      'autoencoders',
      context.quiet || others.length === 0,
    );
    const { stability, matchedCosine } = await compareSaes(
      { sae: own.sae, use },
      others.map((other, i) => ({ ...other, use: otherUses[i] })),
      { progress: comparing, signal },
    ).finally(() => comparing.stop());
    const { architecture, channels, latents, k, tap } = own.sae;
    return saeEvaluationSchema.parse({
      format: EVALUATION_FORMAT,
      version: EVALUATION_VERSION,
      packageVersion: packageVersion(),
      engine,
      model: {
        path: modelFolder,
        arch: spec.arch,
        weightsHash: spec.weightsHash,
        classes: spec.options.numClasses,
      },
      autoencoder: { path: own.path, hash: own.hash, architecture, tap, channels, latents, k },
      data: { path: dataDir, split: flags.split ?? null, ...data },
      ...measured,
      concepts: { ...measured.concepts, matchedCosine },
      stability,
    } satisfies SaeEvaluation);
  } finally {
    progress.stop();
    await loader.close();
  }
}

async function runEval(
  context: CliContext,
  modelFolder: string,
  saeFolder: string,
  flags: EvalFlags,
): Promise<number> {
  needDataDir(flags);
  const folder = flags.out === undefined ? null : new EvaluationFolder(resolve(flags.out));
  await startFor(context);
  const model = await loadModel(modelFolder);
  const saes: NamedSae[] = [];
  try {
    for (const path of [saeFolder, ...(flags.against ?? [])]) {
      const sae = await loadSae(path);
      saes.push({ sae, path, hash: await hashSae(sae) });
      matchSae(model, sae);
    }
    return await withSignals(async (signal, exitStatus) => {
      try {
        const evaluation = await measure(context, { modelFolder, model, saes }, flags, folder, signal);
        await folder?.finish(evaluation);
        const place = folder === null ? '' : `\n${join(flags.out ?? '', EVALUATION_PAGE)}`;
        context.print(`${evaluationText(evaluation)}${place}`, evaluation);
        return 0;
      } catch (error) {
        if (!signal.aborted || error !== signal.reason) throw error;
        context.log.warn(
          folder === null
            ? 'stopped; nothing was kept (--out FOLDER keeps what was measured)'
            : `stopped; what was measured is in ${folder.partial}, and the same command goes on from there`,
        );
        return exitStatus();
      }
    });
  } finally {
    for (const { sae } of saes) sae.dispose();
    model.dispose();
  }
}

/** `fact sae eval` */
export function registerEval(sae: Command): void {
  verb(
    sae,
    'eval <model> <sae>',
    'measure an autoencoder: what it keeps, how its concepts behave, how stable they are',
  )
    .option('--data-dir <folder>', 'labelled data set')
    .addOption(splitOption())
    .option('--out <folder>', 'write evaluation.json and a page of plots; an unfinished one is gone on with')
    .option(
      '--against <saes...>',
      'autoencoders of the same tap that were trained from other beginnings: how much of this one comes again in them',
    )
    .addOption(
      new Option('--pixel-images <n>', 'images of which the spatial size in pixels is taken; 0 = none')
        .argParser(parseWhole)
        .default(PIXEL_IMAGES),
    )
    .option('--image-batch <n>', 'images per batch', parseCount, 50)
    .option('--workers <n>', 'decoding threads', parseWhole, 1)
    .action(async (model: string, folder: string, _options, command: Command) => {
      await runVerb(command, (context) =>
        runEval(context, model, folder, command.optsWithGlobals<EvalFlags>()),
      );
    });
}
