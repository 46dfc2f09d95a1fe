import { join } from 'node:path';
import type { Command } from 'commander';
import { compareClasses, type VersusChoice } from '../../explain/concepts/versus/versus.js';
import {
  CONFUSION_FILE,
  CONFUSION_FORMAT,
  confusionText,
  writeConfusions,
} from '../../explain/concepts/versus/versusDataReport.js';
import { type ConfusionRow, Confusions, compareBatch } from '../../explain/concepts/versus/versusDataset.js';
import {
  addVersus,
  VERSUS_FILE,
  VERSUS_FORMAT,
  versusText,
  writeVersus,
} from '../../explain/concepts/versus/versusReport.js';
import type { VersusEntry } from '../../explain/concepts/versus/versusSchema.js';
import { className, resolveClass } from '../../models/classes.js';
import type { ModelSpec } from '../../models/spec.js';
import { type CliContext, runVerb, usageError, verb } from '../context.js';
import { countOf } from '../explainOptions.js';
import { withData, withNetwork } from './options.js';
import {
  type ConceptWork,
  checkInput,
  overData,
  overPictures,
  type WorkFlags,
  withConcepts,
  withWork,
} from './work.js';

const DEFAULT_OUT = 'concept-versus';
const DEFAULT_TOP = 8;

interface VersusFlags extends WorkFlags {
  readonly class?: string;
  readonly versus?: string;
  readonly top?: string;
}

function choiceOf(spec: ModelSpec, flags: VersusFlags): VersusChoice {
  const wanted = flags.class === undefined ? undefined : resolveClass(spec, flags.class);
  const versus = flags.versus === undefined ? undefined : resolveClass(spec, flags.versus);
  if (wanted !== undefined && wanted === versus)
    throw usageError(
      '--class and --versus name the same class',
      'Name two classes, or leave one out: the answer or the runner-up takes its place.',
    );
  if (spec.options.numClasses < 2)
    throw usageError('the network has one class only', 'A comparison needs a network with two or more.');
  return { ...(wanted === undefined ? {} : { for: wanted }), ...(versus === undefined ? {} : { versus }) };
}

async function runPictures(work: ConceptWork, paths: readonly string[], flags: VersusFlags): Promise<number> {
  const { context, model, about, out } = work;
  const { spec } = model;
  const top = countOf('top', flags.top, DEFAULT_TOP);
  const choice = choiceOf(spec, flags);
  return overPictures<VersusEntry>(
    work,
    paths,
    { file: VERSUS_FILE, format: VERSUS_FORMAT, settings: { choice, top } },
    async ({ pass, tiles }, folder, image, place) => {
      const result = await compareClasses(pass, image, choice, { spec, tolerance: about.tolerance });
      // Always as many, so that one graph draws all pictures.
      const shown = result.concepts.slice(0, top).map(({ concept }) => concept);
      for (let c = 0; shown.length < Math.min(top, pass.latents); c++) if (!shown.includes(c)) shown.push(c);
      return addVersus(folder, image, result, await tiles(image, shown), place, { spec, top });
    },
    (folder, run) => {
      const skipped = run.skipped.map(({ message }) => message);
      const file = writeVersus(folder, about, run.results, skipped);
      const isHolding = run.results.every(({ ledgers }) => ledgers.every(({ holds }) => holds));
      const lines = run.results.map((v) => versusText(v, top, (index) => className(spec, index)));
      if (!run.isStopped) context.print([...lines, join(out, 'index.html')].join('\n'), file);
      return isHolding ? 0 : 1;
    },
  );
}

async function runDataSet(work: ConceptWork, flags: VersusFlags): Promise<number> {
  const { context, model, about, out } = work;
  if (flags.class !== undefined || flags.versus !== undefined)
    throw usageError(
      '--class and --versus are for pictures',
      'With --data-dir every missed image is compared: its answer against its true class.',
    );
  if (flags.top !== undefined)
    throw usageError(
      '--top is for pictures',
      'With --data-dir the kinds of confusion are listed, most frequent first.',
    );
  const confusions = new Confusions(model.spec, about.tolerance);
  return overData<ConfusionRow>(
    work,
    { file: CONFUSION_FILE, format: CONFUSION_FORMAT, settings: {} },
    (pass, batch, labelOf) => compareBatch(pass, batch, model.spec, labelOf),
    (row) => confusions.add(row),
    (folder, source, run) => {
      const summary = confusions.result();
      const file = writeConfusions(folder, about, source, summary, run.broken);
      if (!run.isStopped) context.print([confusionText(summary), join(out, 'index.html')].join('\n'), file);
      return summary.holds ? 0 : 1;
    },
  );
}

async function run(context: CliContext, paths: readonly string[], flags: VersusFlags): Promise<number> {
  checkInput('versus', paths, flags);
  return withConcepts(context, flags, DEFAULT_OUT, (work) =>
    flags.dataDir === undefined ? runPictures(work, paths, flags) : runDataSet(work, flags),
  );
}

/** `fact concepts versus IMAGE... | --data-dir DIR` */
export function registerVersus(concepts: Command): void {
  const command = verb(
    concepts,
    'versus',
    'one class against another: what each concept adds to either, and which would have to go for the answer to change',
  ).argument('[images...]', 'picture files, or folders of pictures');
  withWork(
    withData(withNetwork(command, 'autoencoder (default: the latest that lies with the network)')),
    DEFAULT_OUT,
  )
    .option('--class <name>', 'class, by name or number (default: the answer)')
    .option(
      '--versus <name>',
      'class to compare with (default: the true class of a wrong answer, else the runner-up)',
    )
    .option('--top <n>', `concepts shown one by one (default: ${DEFAULT_TOP})`)
    .action((images: string[], _flags, self: Command) =>
      runVerb(self, (context) => run(context, images, self.optsWithGlobals<VersusFlags>())),
    );
}
