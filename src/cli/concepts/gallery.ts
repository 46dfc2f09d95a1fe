import { resolve } from 'node:path';
import { type Command, Option } from 'commander';
import { showProgress } from '../../core/progress.js';
import { currentEngine } from '../../engine/current.js';
import { openConceptData } from '../../explain/concepts/conceptData.js';
import { checkConcepts, type GalleryOrder } from '../../explain/concepts/gallery/gallery.js';
import { checkGalleryTarget } from '../../explain/concepts/gallery/galleryFolder.js';
import type { Gallery } from '../../explain/concepts/gallery/gallerySchema.js';
import {
  conceptHeadline,
  counted,
  galleryLedgerLine,
  galleryLine,
} from '../../explain/concepts/gallery/galleryWords.js';
import {
  type GalleryOptions,
  type GalleryRun,
  runGallery,
} from '../../explain/concepts/gallery/runGallery.js';
import { type CliContext, parseCount, runVerb, usageError, verb } from '../context.js';
import { toleranceOf } from '../explainOptions.js';
import { needDataDir } from '../sae/options.js';
import { stoppable } from '../signals.js';
import { packageVersion } from '../version.js';
import { type ConceptsFlags, openConcepts, withData, withNetwork } from './options.js';

const DEFAULT_OUT = 'concepts';
const DEFAULT_TOP = 50;
const LINES = 10;

/** Options that make a gallery, however its concepts are chosen. */
export interface GalleryFlags extends ConceptsFlags {
  readonly perConcept: number;
  readonly tolerance?: string;
  readonly from?: string;
  readonly out?: string;
}

interface GalleryVerbFlags extends GalleryFlags {
  readonly concepts?: string;
  readonly top?: number;
  readonly by: GalleryOrder;
}

/** Numbers of concepts: "12,40". Throws FactError E_USAGE. */
export function parseConcepts(texts: readonly string[]): number[] {
  return texts
    .flatMap((text) => text.split(','))
    .map((text) => {
      if (/^\s*\d+\s*$/.test(text)) return Number(text);
      throw usageError(`"${text}" is not the number of a concept`, 'Give numbers such as 12,40.');
    });
}

/** Adds the options that all galleries have. */
export function withGalleryOptions(command: Command): Command {
  return withData(
    withNetwork(
      command,
      'autoencoder (default: of those that lie with the network, the one at the latest tap)',
    ),
  )
    .option('--per-concept <n>', 'images kept for each concept and order', parseCount, 8)
    .option('--tolerance <number>', 'largest relative error of a sum (default: 1e-5)')
    .option('--from <folder>', 'earlier gallery of the same data: its pass over the images is used');
}

/** What a gallery's verb wants beside the shared options. */
export interface GalleryChoice {
  readonly concepts: GalleryOptions['concepts'];
  readonly by: GalleryOrder;
  readonly out: string;
}

/** Opens what the options name and makes the gallery; `gallery` is null where a signal stopped it, which is said. */
export async function makeGalleryFor(
  context: CliContext,
  flags: GalleryFlags,
  choice: GalleryChoice,
): Promise<{ readonly status: number; readonly gallery: Gallery | null }> {
  const dataDir = needDataDir(flags);
  const tolerance = toleranceOf(flags.tolerance);
  checkGalleryTarget(choice.out);
  const opened = await openConcepts(context, flags);
  try {
    const { model, modelFolder, concepts } = opened;
    if (!('top' in choice.concepts)) checkConcepts(choice.concepts, concepts.sae.latents);
    const data = await openConceptData(dataDir, model.spec, flags);
    for (const warning of data.source.warnings) context.log.warn(warning);
    if (!data.isLabelled) context.log.info('the images have no labels that the network knows');
    let gallery: Gallery | null = null;
    try {
      const status = await stoppable(context, async (signal, exitStatus) => {
        const run = await runGallery(
          { model, sae: concepts.sae, data, engine: engineName() },
          {
            ...choice,
            perConcept: flags.perConcept,
            tolerance,
            from: flags.from ?? null,
            names: {
              packageVersion: packageVersion(),
              model: modelFolder,
              sae: concepts.path,
              data: dataDir,
            },
            signal,
            progress: (title, total, unit) => showProgress(title, total, unit, context.quiet),
            onWait: (holder) => context.log.info(`waiting for ${holder}, which works on ${choice.out}`),
          },
        );
        const found = tell(context, run, choice, data.source.size);
        if (found !== null) gallery = run.gallery;
        return found ?? exitStatus();
      });
      return { status, gallery };
    } finally {
      await data.close();
    }
  } finally {
    opened.dispose();
  }
}

/** The engine with its threads: what decides the last bits of a pass. */
export function engineName(): string {
  const engine = currentEngine();
  return engine === null ? 'none' : engine.name;
}

/** Says how the run went; its exit status, or null where a signal stopped it. */
function tell(context: CliContext, run: GalleryRun, choice: GalleryChoice, size: number): number | null {
  const { resumed, gallery } = run;
  if (resumed.images > 0)
    context.log.info(`${counted(resumed.images)} images were counted by an earlier run`);
  if (resumed.concepts > 0) context.log.info(`${resumed.concepts} concepts were drawn by an earlier run`);
  for (const one of gallery?.skipped ?? []) context.log.warn(`skipped: ${one.message}`);
  if (!run.isStopped && gallery !== null) return gallery.summary.failed > 0 ? 1 : 0;
  const done =
    gallery === null
      ? `${counted(run.images)} of ${counted(size)} images`
      : `${gallery.concepts.length} cards`;
  context.log.warn(`stopped: ${done} so far, in ${choice.out}.partial; the same command goes on from there`);
  return null;
}

async function run(context: CliContext, flags: GalleryVerbFlags): Promise<number> {
  if (flags.concepts !== undefined && flags.top !== undefined)
    throw usageError('both --concepts and --top are given', 'Name the concepts, or say how many.');
  const out = resolve(flags.out ?? DEFAULT_OUT);
  const concepts =
    flags.concepts === undefined ? { top: flags.top ?? DEFAULT_TOP } : parseConcepts([flags.concepts]);
  const { status, gallery } = await makeGalleryFor(context, flags, { concepts, by: flags.by, out });
  if (gallery === null) return status;
  const lines = gallery.concepts
    .slice(0, LINES)
    .map((card) => `concept ${card.concept}: ${conceptHeadline(card)}`);
  const rest = gallery.concepts.length - lines.length;
  context.print(
    [
      galleryLine(gallery),
      ...lines,
      ...(rest > 0 ? [`and ${rest} more`] : []),
      galleryLedgerLine(gallery),
      `${out}/index.html`,
    ].join('\n'),
    gallery,
  );
  return status;
}

/** `fact concepts gallery` */
export function registerGallery(concepts: Command): void {
  withGalleryOptions(
    verb(
      concepts,
      'gallery',
      'what the concepts are: their best images over a data set, as pages with pictures',
    ),
  )
    .option('--concepts <numbers>', 'concepts to show, e.g. 12,40')
    .option('--top <n>', `concepts to show, those with most (default: ${DEFAULT_TOP})`, parseCount)
    .addOption(
      new Option('--by <order>', 'most of what: contribution to the answers, or activation')
        .choices(['contribution', 'activation'])
        .default('contribution'),
    )
    .option(
      '--out <folder>',
      `folder of the gallery (default: ${DEFAULT_OUT}); an unfinished one there is gone on with`,
    )
    .action((_options, command: Command) =>
      runVerb(command, (context) => run(context, command.optsWithGlobals<GalleryVerbFlags>())),
    );
}
