import { join } from 'node:path';
import type { Command } from 'commander';
import { editImage } from '../../explain/concepts/edit/edit.js';
import { type EditRow, EditTotals, editBatch } from '../../explain/concepts/edit/editDataset.js';
import { type EditPlan, editWords, planEdit } from '../../explain/concepts/edit/editPlan.js';
import {
  addEdit,
  EDIT_DATA_FORMAT,
  EDIT_FILE,
  EDIT_FORMAT,
  editDataText,
  editRecord,
  editText,
  writeEditData,
  writeEdits,
} from '../../explain/concepts/edit/editReport.js';
import type { EditDataFile, EditEntry } from '../../explain/concepts/edit/editSchema.js';
import { className, resolveClass } from '../../models/classes.js';
import { type CliContext, collect, runVerb, usageError, verb } from '../context.js';
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

const DEFAULT_OUT = 'concept-edit';
const DEFAULT_TOP = 3;
/** Edited concepts that are drawn. */
const DRAWN = 5;

interface EditFlags extends WorkFlags {
  readonly remove?: readonly string[];
  readonly scale?: readonly string[];
  readonly keepOnly?: readonly string[];
  readonly class?: readonly string[];
  readonly top?: string;
}

async function runPictures(
  work: ConceptWork,
  paths: readonly string[],
  plan: EditPlan,
  flags: EditFlags,
): Promise<number> {
  const { context, model, about, out } = work;
  const { spec } = model;
  const top = countOf('top', flags.top, DEFAULT_TOP);
  const wanted = (flags.class ?? []).map((name) => resolveClass(spec, name));
  const options = { spec, top, wanted, tolerance: about.tolerance };
  return overPictures<EditEntry>(
    work,
    paths,
    {
      file: EDIT_FILE,
      format: EDIT_FORMAT,
      settings: { steps: plan.steps, keepOnly: plan.isKeepOnly, top, wanted },
    },
    async ({ pass, tiles }, folder, image, place) => {
      const result = await editImage(pass, image, plan, options);
      const drawn = plan.steps.slice(0, DRAWN).map(({ concept }) => concept);
      return addEdit(folder, image, result, plan, await tiles(image, drawn), place, spec);
    },
    (folder, run) => {
      const skipped = run.skipped.map(({ message }) => message);
      const file = writeEdits(folder, about, plan, run.results, skipped);
      const lines = run.results.map((e) => editText(e, editWords(plan), (index) => className(spec, index)));
      if (!run.isStopped) context.print([...lines, join(out, 'index.html')].join('\n'), file);
      return run.results.every(({ holds }) => holds) ? 0 : 1;
    },
  );
}

async function runDataSet(work: ConceptWork, plan: EditPlan, flags: EditFlags): Promise<number> {
  const { context, model, about, out } = work;
  if (flags.class !== undefined)
    throw usageError('--class is for pictures', 'With --data-dir every class is counted.');
  if (flags.top !== undefined)
    throw usageError('--top is for pictures', 'With --data-dir every class is counted.');
  const totals = new EditTotals(model.spec, about.tolerance);
  return overData<EditRow>(
    work,
    { file: EDIT_FILE, format: EDIT_DATA_FORMAT, settings: { steps: plan.steps, keepOnly: plan.isKeepOnly } },
    (pass, batch, labelOf) => editBatch(pass, batch, plan.factors, model.spec, labelOf),
    (row) => totals.add(row),
    (folder, data, run) => {
      const file: EditDataFile = {
        format: EDIT_DATA_FORMAT,
        version: 1,
        ...about,
        data,
        edit: editRecord(plan),
        ...totals.result(),
        skipped: [...run.broken],
      };
      writeEditData(folder, file);
      if (!run.isStopped) context.print([editDataText(file), join(out, 'index.html')].join('\n'), file);
      return file.holds ? 0 : 1;
    },
  );
}

async function run(context: CliContext, paths: readonly string[], flags: EditFlags): Promise<number> {
  checkInput('edit', paths, flags);
  if (flags.remove === undefined && flags.scale === undefined && flags.keepOnly === undefined)
    throw usageError(
      'nothing is to be edited',
      'Name concepts: --remove 12,40, --scale 7=0.5, or --keep-only 3,5.',
    );
  return withConcepts(context, flags, DEFAULT_OUT, (work) => {
    const plan = planEdit(flags, work.opened.concepts.sae.latents);
    return flags.dataDir === undefined
      ? runPictures(work, paths, plan, flags)
      : runDataSet(work, plan, flags);
  });
}

/** `fact concepts edit IMAGE... | --data-dir DIR` */
export function registerEdit(concepts: Command): void {
  const command = verb(
    concepts,
    'edit',
    'what if concepts were gone or weaker: the logits by the exact sum, beside those of a true forward pass',
  ).argument('[images...]', 'picture files, or folders of pictures');
  withWork(
    withData(
      withNetwork(
        command,
        'autoencoder whose concepts are edited (default: the latest that lies with the network)',
      ),
    ),
    DEFAULT_OUT,
  )
    .option('--remove <numbers>', 'concepts whose activations become 0, such as 12,40', collect)
    .option('--scale <number=factor>', 'concept and factor of at least 0, such as 7=0.5', collect)
    .option('--keep-only <numbers>', 'the only concepts that stay; all others become 0', collect)
    .option(
      '--class <name>',
      'class to show beside the highest ones, by name or number; may be repeated',
      collect,
    )
    .option('--top <n>', `highest classes shown (default: ${DEFAULT_TOP})`)
    .action((images: string[], _flags, self: Command) =>
      runVerb(self, (context) => run(context, images, self.optsWithGlobals<EditFlags>())),
    );
}
