/** What `fact concepts graph`, `versus` and `edit` share: options, and going over pictures or a data set. */
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { showProgress } from '../../core/progress.js';
import type { Batch } from '../../data/batchLoader.js';
import { listImages } from '../../data/listImages.js';
import { currentEngine } from '../../engine/current.js';
import { type ConceptData, openConceptData } from '../../explain/concepts/conceptData.js';
import { type BatchRecord, overBatches } from '../../explain/concepts/edit/editDataset.js';
import { EditPass } from '../../explain/concepts/edit/editPass.js';
import { graphImages } from '../../explain/concepts/graph/graphImage.js';
import { GraphPass } from '../../explain/concepts/graph/graphPass.js';
import { conceptTile } from '../../explain/concepts/graph/graphTiles.js';
import { ResultFolder } from '../../explain/concepts/resultFolder.js';
import type { SourceContext } from '../../explain/concepts/versus/versusSchema.js';
import type { ExplainImage } from '../../explain/explanation.js';
import { saeHash } from '../../explain/sae.js';
import { type FileRecord, type FileRun, runFiles } from '../../explain/session/explainFiles.js';
import type { BcosModel } from '../../models/bcosModel.js';
import { type CliContext, usageError } from '../context.js';
import { toleranceOf, warnSkipped } from '../explainOptions.js';
import { withSignals } from '../signals.js';
import { packageVersion } from '../version.js';
import { type ConceptsFlags, type OpenedConcepts, openConcepts } from './options.js';

/** Options of these verbs. */
export interface WorkFlags extends ConceptsFlags {
  readonly tolerance?: string;
  readonly out?: string;
}

/** Adds the options of `WorkFlags` that options.ts lacks. */
export function withWork(command: Command, out: string): Command {
  return command
    .option('--tolerance <number>', 'largest relative error of a sum (default: 0.00001)')
    .option('--out <folder>', `folder of the results (default: ${out}); an unfinished one is gone on with`);
}

/** Pictures or a data set: exactly one of them. Throws FactError E_USAGE. */
export function checkInput(verb: string, paths: readonly string[], flags: WorkFlags): void {
  const isData = flags.dataDir !== undefined;
  if (isData !== paths.length > 0) return;
  throw usageError(
    isData ? 'both pictures and --data-dir are given' : 'no picture is given',
    `Name pictures (fact concepts ${verb} photo.jpg), or a data set with --data-dir FOLDER.`,
  );
}

/** A verb's work with one autoencoder. */
export interface ConceptWork {
  readonly context: CliContext;
  readonly model: BcosModel;
  readonly opened: OpenedConcepts;
  readonly flags: WorkFlags;
  readonly out: string;
  readonly about: SourceContext;
  /** `saeHash` of the autoencoder: its path alone does not say whether results of an earlier run are of it. */
  readonly weights: string;
}

/** Opens network and autoencoder, does the work, closes them. */
export async function withConcepts(
  context: CliContext,
  flags: WorkFlags,
  defaultOut: string,
  work: (work: ConceptWork) => Promise<number>,
): Promise<number> {
  const tolerance = toleranceOf(flags.tolerance);
  const opened = await openConcepts(context, flags);
  try {
    const { model, modelFolder, concepts } = opened;
    const { tap, latents, k } = concepts.sae;
    return await work({
      context,
      model,
      opened,
      flags,
      out: resolve(flags.out ?? defaultOut),
      weights: await saeHash(concepts.sae),
      about: {
        packageVersion: packageVersion(),
        engine: currentEngine()?.name ?? 'none',
        model: {
          path: modelFolder,
          arch: model.spec.arch,
          weightsHash: model.spec.weightsHash,
          classes: model.spec.options.numClasses,
        },
        autoencoder: { path: concepts.path, tap, latents, k },
        tolerance,
      },
    });
  } finally {
    opened.dispose();
  }
}

/** What is made of one picture. */
export interface PictureTools {
  readonly pass: EditPass;
  /** Small pictures of concepts where they lie in the image. */
  readonly tiles: (image: ExplainImage, concepts: readonly number[]) => Promise<Map<number, string>>;
}

/** What a kind of results is called. */
export interface ResultKind {
  readonly file: string;
  readonly format: string;
  /** What else the results depend on, plain JSON. */
  readonly settings: object;
}

/** Work on pictures one by one, resumable; `finish` writes what there is and says the exit status. */
export async function overPictures<R>(
  { context, model, opened, out, about, weights }: ConceptWork,
  paths: readonly string[],
  kind: ResultKind,
  compute: (
    tools: PictureTools,
    folder: ResultFolder<FileRecord<R>>,
    image: ExplainImage,
    place: number,
  ) => Promise<R>,
  finish: (folder: ResultFolder<FileRecord<R>>, run: FileRun<R>) => number,
): Promise<number> {
  const { spec } = model;
  const listed = listImages(paths);
  const options = { imageSize: spec.preprocessing.crop, batchSize: 1 };
  return withSignals(async (signal, exitStatus) => {
    const folder = new ResultFolder<FileRecord<R>>(out, kind.file, kind.format, {
      about,
      weights,
      ...kind.settings,
    });
    const pass = new EditPass(model, opened.concepts.sae, options);
    const maps = new GraphPass(model, [opened.concepts.sae], options);
    const tools: PictureTools = {
      pass,
      tiles: async (image, concepts) => {
        if (concepts.length === 0) return new Map();
        const [[found]] = await maps.map(graphImages(image), [concepts]);
        const length = image.height * image.width;
        const tiles = new Map<number, string>();
        for (const [j, concept] of concepts.entries()) {
          const map = found.slice(j * length, (j + 1) * length);
          tiles.set(concept, await conceptTile(image, map, spec.preprocessing));
        }
        return tiles;
      },
    };
    const progress = showProgress('pictures', listed.length, 'images', context.quiet);
    try {
      const run = await runFiles<R>({
        paths: listed,
        spec,
        size: 1,
        journal: folder.journal,
        done: folder.done,
        compute: async ([image], [place]) => [await compute(tools, folder, image, place)],
        onResult: (_, done) => progress.update(done),
        signal,
      });
      progress.stop();
      warnSkipped(context, run.skipped);
      const status = finish(folder, run);
      if (run.isStopped) {
        context.log.warn(
          `stopped: ${run.results.length} of ${listed.length} pictures so far, in ${folder.partial}; the same command goes on from there`,
        );
        return exitStatus();
      }
      folder.finish();
      return run.skipped.length > 0 ? 1 : status;
    } finally {
      progress.stop();
      folder.close();
      pass.dispose();
      maps.dispose();
    }
  });
}

/** Work on a data set batch by batch, resumable; `finish` writes what there is and says the exit status. */
export async function overData<R>(
  { context, model, opened, flags, out, about, weights }: ConceptWork,
  kind: ResultKind,
  compute: (pass: EditPass, batch: Batch, labelOf: (sample: number) => number) => Promise<readonly R[]>,
  onRow: (row: R) => void,
  finish: (
    folder: ResultFolder<BatchRecord<R>>,
    source: { readonly path: string; readonly split: string | null },
    run: { readonly broken: readonly string[]; readonly isStopped: boolean },
  ) => number,
): Promise<number> {
  const path = flags.dataDir ?? '';
  const data: ConceptData = await openConceptData(path, model.spec, flags);
  try {
    return await withSignals(async (signal, exitStatus) => {
      const source = { path, split: data.split };
      const folder = new ResultFolder<BatchRecord<R>>(out, kind.file, kind.format, {
        about,
        weights,
        data: source,
        images: data.fingerprint,
        batchSize: data.batchSize,
        ...kind.settings,
      });
      const pass = new EditPass(model, opened.concepts.sae, {
        imageSize: data.imageSize,
        batchSize: data.batchSize,
      });
      const progress = showProgress('data set', data.source.size, 'images', context.quiet);
      let seen = 0;
      try {
        if (folder.done.length > 0)
          context.log.info(
            `${folder.done.reduce((n, one) => n + one.images, 0)} images were done by an earlier run`,
          );
        const run = await overBatches<R>(
          data,
          folder,
          (batch) => compute(pass, batch, (sample) => data.source.label(sample)),
          ({ rows, images }) => {
            for (const row of rows) onRow(row);
            seen += images;
            progress.update(seen);
          },
          signal,
        );
        progress.stop();
        for (const message of run.broken) context.log.warn(`skipped: ${message}`);
        const status = finish(folder, source, run);
        if (run.isStopped) {
          context.log.warn(
            `stopped: ${seen} of ${data.source.size} images so far, in ${folder.partial}; the same command goes on from there`,
          );
          return exitStatus();
        }
        folder.finish();
        return run.broken.length > 0 ? 1 : status;
      } finally {
        progress.stop();
        folder.close();
        pass.dispose();
      }
    });
  } finally {
    await data.close();
  }
}
