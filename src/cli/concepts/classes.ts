import { dirname, relative, resolve, sep } from 'node:path';
import type { Command } from 'commander';
import { writeFileAtomic } from '../../core/atomicFile.js';
import { showProgress } from '../../core/progress.js';
import { classesPage, type PageCards } from '../../explain/concepts/classes/classesPage.js';
import {
  type ClassesOptions,
  type ClassesReport,
  makeClassesReport,
} from '../../explain/concepts/classes/classesReport.js';
import { classesText } from '../../explain/concepts/classes/classesText.js';
import { ClassTable } from '../../explain/concepts/classes/classTable.js';
import { openConceptData } from '../../explain/concepts/conceptData.js';
import { picturesOf } from '../../explain/concepts/gallery/cardPage.js';
import { checkConcepts } from '../../explain/concepts/gallery/gallery.js';
import { readGallery } from '../../explain/concepts/gallery/galleryFolder.js';
import { totalsFrom } from '../../explain/concepts/gallery/runGallery.js';
import type { ConceptTotals } from '../../explain/concepts/totals/totals.js';
import { runTotals } from '../../explain/concepts/totals/totalsRun.js';
import { resolveClass } from '../../models/classes.js';
import { type CliContext, parseCount, runVerb, usageError, verb } from '../context.js';
import { toleranceOf } from '../explainOptions.js';
import { needDataDir } from '../sae/options.js';
import { stoppable } from '../signals.js';
import { engineName, parseConcepts } from './gallery.js';
import { type ConceptsFlags, openConcepts, withData, withNetwork } from './options.js';

const DEFAULT_TOP = 8;

interface ClassesFlags extends ConceptsFlags {
  readonly class?: string;
  readonly concept?: string;
  readonly top?: number;
  readonly from?: string;
  readonly tolerance?: string;
  readonly out?: string;
}

/** The totals with what naming and checking them needs. */
interface Found {
  readonly totals: ConceptTotals;
  readonly spec: ClassesOptions['spec'] & { readonly options: { readonly numClasses: number } };
  readonly isLabelled: boolean;
}

/** From an earlier gallery: no network is loaded. */
function fromGallery(folder: string): Found {
  const { model, settings, data } = readGallery(folder);
  const { totals } = totalsFrom(folder, null);
  return {
    totals,
    spec: {
      classNames: model.classNames,
      logitBias: settings.logitBias,
      options: { numClasses: model.classes },
    },
    isLabelled: data.isLabelled,
  };
}

/** From the data set, in one pass. */
async function fromData(context: CliContext, flags: ClassesFlags, signal: AbortSignal): Promise<Found> {
  const dataDir = needDataDir(flags);
  const opened = await openConcepts(context, flags);
  try {
    const { model, concepts } = opened;
    checkWanted(flags, { spec: model.spec, latents: concepts.sae.latents });
    const data = await openConceptData(dataDir, model.spec, flags);
    const progress = showProgress('looking at images', data.source.size, 'images', context.quiet);
    try {
      const run = await runTotals(model, concepts.sae, data, {
        perConcept: 1,
        engine: engineName(),
        file: null,
        signal,
        progress,
      });
      signal.throwIfAborted();
      for (const one of run.place.skipped) context.log.warn(`skipped: ${one.message}`);
      return { totals: run.totals, spec: model.spec, isLabelled: data.isLabelled };
    } finally {
      progress.stop();
      await data.close();
    }
  } finally {
    opened.dispose();
  }
}

/** The class and the concept that are asked for. Throws FactError E_CLASS, E_CONCEPT_UNKNOWN, E_USAGE. */
function checkWanted(
  flags: ClassesFlags,
  { spec, latents }: { readonly spec: Found['spec']; readonly latents: number },
): Pick<ClassesOptions, 'onlyClass' | 'onlyConcept'> {
  const onlyClass = flags.class === undefined ? null : resolveClass(spec, flags.class);
  const [onlyConcept = null] =
    flags.concept === undefined ? [] : checkConcepts(parseConcepts([flags.concept]), latents);
  if (onlyClass !== null && onlyConcept !== null)
    throw usageError('both --class and --concept are given', 'Ask for one of them.');
  return { onlyClass, onlyConcept };
}

/** Cards of the gallery, and the way to them from the page. */
function cardsFor(page: string, folder: string | undefined): PageCards | null {
  if (folder === undefined) return null;
  const way = relative(dirname(page), resolve(folder)).split(sep).map(encodeURIComponent).join('/');
  return { pictures: picturesOf(readGallery(folder)), base: way === '' ? '' : `${way}/` };
}

async function run(context: CliContext, flags: ClassesFlags): Promise<number> {
  if (flags.from !== undefined && flags.dataDir !== undefined)
    throw usageError('both --from and --data-dir are given', 'Name a gallery, or a data set.');
  const tolerance = toleranceOf(flags.tolerance);
  return stoppable(context, async (signal) => {
    const found = flags.from === undefined ? await fromData(context, flags, signal) : fromGallery(flags.from);
    const { totals, spec, isLabelled } = found;
    const wanted = checkWanted(flags, { spec, latents: totals.shape.concepts });
    const report: ClassesReport = makeClassesReport(new ClassTable(totals, 'predicted'), {
      spec,
      isLabelled,
      tolerance,
      concepts: flags.top ?? DEFAULT_TOP,
      ...wanted,
    });
    if (flags.out !== undefined) {
      const page = resolve(flags.out);
      writeFileAtomic(page, classesPage(report, cardsFor(page, flags.from)));
      context.log.info(`page: ${page}`);
    }
    context.print(classesText(report, wanted).join('\n'), report);
    return report.classes.every(({ holds }) => holds) ? 0 : 1;
  });
}

/** `fact concepts classes` */
export function registerClasses(concepts: Command): void {
  withData(
    withNetwork(
      verb(concepts, 'classes', 'which concepts a class stands on, and which classes share a concept'),
      'autoencoder (default: of those that lie with the network, the one at the latest tap)',
    ),
  )
    .option('--class <name>', 'one class, by name or number')
    .option('--concept <number>', 'one concept: the classes that share it')
    .option('--top <n>', `concepts listed a class (default: ${DEFAULT_TOP})`, parseCount)
    .option('--from <folder>', 'gallery whose pass is used, in place of --data-dir')
    .option('--tolerance <number>', 'largest relative error of a sum (default: 1e-5)')
    .option('--out <file>', 'page (HTML) of the same')
    .action((_options, command: Command) =>
      runVerb(command, (context) => run(context, command.optsWithGlobals<ClassesFlags>())),
    );
}
