/** The folder that `fact concepts edit` makes, of pictures or of a data set: edit.json, the page, pictures. */

import { className } from '../../../models/classes.js';
import type { ModelSpec } from '../../../models/spec.js';
import type { ExplainImage } from '../../explanation.js';
import { escapeHtml } from '../../report/page.js';
import { shortName, signed } from '../../report/words.js';
import { conceptsDocument } from '../graph/graphPage.js';
import { pictureName } from '../graph/graphReport.js';
import { imageTile } from '../graph/graphTiles.js';
import type { ResultFolder } from '../resultFolder.js';
import type { SourceContext } from '../versus/versusSchema.js';
import type { EditResult } from './edit.js';
import { drawEdit, EDIT_NOTE, editCheck, editTitle } from './editPicture.js';
import { type EditPlan, editWords } from './editPlan.js';
import type { EditDataFile, EditEntry, EditFile } from './editSchema.js';

export const EDIT_FILE = 'edit.json';
export const EDIT_FORMAT = 'fact-concept-edit';
export const EDIT_DATA_FORMAT = 'fact-concept-edit-data';

const INLINE = 50;

type Folder = Pick<ResultFolder<unknown>, 'write' | 'read'>;

/** An edit as edit.json has it. */
export function editRecord(plan: EditPlan): EditFile['edit'] {
  return { words: editWords(plan), keepOnly: plan.isKeepOnly, steps: [...plan.steps] };
}

/** Draws an edited image into a folder. @param tiles small pictures by concept */
export async function addEdit(
  folder: Pick<Folder, 'write'>,
  image: ExplainImage,
  result: EditResult,
  plan: EditPlan,
  tiles: ReadonlyMap<number, string>,
  place: number,
  spec: ModelSpec,
): Promise<EditEntry> {
  const picture = pictureName(image.name, place);
  const nameOf = (index: number): string => className(spec, index);
  const words = editWords(plan);
  folder.write(
    picture,
    drawEdit(result, {
      title: editTitle(result, `${words.charAt(0).toUpperCase()}${words.slice(1)}`, nameOf),
      subtitle: `${shortName(image.name)}, concepts at ${result.tap}`,
      tiles,
      photo: await imageTile(image, spec.preprocessing),
    }),
  );
  const { tap: _, tolerance: __, concepts, classes, ...rest } = result;
  return { ...rest, concepts: [...concepts], classes: [...classes], picture };
}

function classTable(e: EditEntry): string {
  const rows = e.classes.map(
    (c) =>
      `<tr><td>${escapeHtml(c.name)}</td><td>${signed(c.before)}</td><td>${signed(c.predicted)}</td><td>${signed(c.held)}</td><td>${signed(c.after)}</td><td>${(c.heldError ?? Number.POSITIVE_INFINITY).toExponential(1)}</td></tr>`,
  );
  return `<table><thead><tr><th>class</th><th>before</th><th>by the exact sum</th><th>recomputed, factors held</th><th>true forward pass</th><th>sum and held differ by</th></tr></thead><tbody>${rows.join('')}</tbody></table>`;
}

const lead = (context: SourceContext, words: string): string =>
  `<p class="note">${escapeHtml(`${context.model.arch}, ${context.autoencoder.latents} concepts at ${context.autoencoder.tap}. The edit: ${words}. ${EDIT_NOTE}`)}</p>`;

/** Writes edit.json and the page of what there is. */
export function writeEdits(
  folder: Folder,
  context: SourceContext,
  plan: EditPlan,
  images: readonly EditEntry[],
  skipped: readonly string[],
): EditFile {
  const edit = editRecord(plan);
  const file: EditFile = {
    format: EDIT_FORMAT,
    version: 1,
    ...context,
    edit,
    images: [...images],
    skipped: [...skipped],
  };
  const articles = images.map((e, i) => {
    const drawn =
      i < INLINE
        ? folder.read(e.picture)
        : `<a href="${escapeHtml(encodeURI(e.picture))}">${escapeHtml(e.picture)}</a>`;
    return `<article><h2>${escapeHtml(shortName(e.image))}</h2><figure class="graph">${drawn}</figure>${e.holds ? '' : '<p class="bad">The check DOES NOT HOLD</p>'}<details><summary>All numbers</summary>${classTable(e)}</details></article>`;
  });
  folder.write(EDIT_FILE, `${JSON.stringify(file, null, 1)}\n`);
  folder.write(
    'index.html',
    conceptsDocument('What if these concepts were different', lead(context, edit.words), articles, skipped),
  );
  return file;
}

/** An edit of an image as lines of text. */
export function editText(e: EditEntry, words: string, nameOf: (index: number) => string): string {
  const number = (value: number): string => value.toFixed(4).padStart(11);
  const classes = e.classes.map(
    (c) =>
      `  ${c.name.slice(0, 24).padEnd(26)}${number(c.before)}${number(c.predicted)}${number(c.held)}${number(c.after)}${number(c.after - c.predicted)}`,
  );
  const given = e.concepts
    .slice(0, 12)
    .map(
      ({ concept, factor, contribution }) => `concept ${concept} × ${factor} (gave ${signed(contribution)})`,
    );
  return [
    `${e.image}: ${editTitle(e, words, nameOf)}`,
    ...(given.length > 0 ? [`  ${given.join(', ')}${e.concepts.length > 12 ? ', ...' : ''}`] : []),
    `  ${'logits'.padEnd(26)}${['before', 'exact sum', 'held', 'forward', 'fwd - sum'].map((t) => t.padStart(11)).join('')}`,
    ...classes,
    `  ${editCheck(e)}`,
  ].join('\n');
}

/** Writes edit.json and the page of a data set. */
export function writeEditData(folder: Pick<Folder, 'write'>, file: EditDataFile): void {
  folder.write(EDIT_FILE, `${JSON.stringify(file, null, 1)}\n`);
  const rows = file.classes
    .filter((c) => c.images > 0 || c.answersBefore > 0 || c.answersAfter > 0)
    .sort(
      (a, b) =>
        Math.abs(b.correctAfter - b.correctBefore) - Math.abs(a.correctAfter - a.correctBefore) ||
        Math.abs(b.answersAfter - b.answersBefore) - Math.abs(a.answersAfter - a.answersBefore) ||
        a.index - b.index,
    )
    .map(
      (c) =>
        `<tr><td>${escapeHtml(c.name)}</td><td>${c.images}</td><td>${c.correctBefore}</td><td>${c.correctAfter}</td><td>${c.correctAfter - c.correctBefore}</td><td>${c.answersBefore}</td><td>${c.answersAfter}</td></tr>`,
    );
  const table = `<article><pre>${escapeHtml(editDataText(file))}</pre><table><thead><tr><th>class</th><th>images</th><th>right before</th><th>right after</th><th>change</th><th>answers before</th><th>answers after</th></tr></thead><tbody>${rows.join('')}</tbody></table></article>`;
  folder.write(
    'index.html',
    conceptsDocument(
      'What if these concepts were different',
      lead(file, file.edit.words),
      [table],
      file.skipped,
    ),
  );
}

/** An edit of a data set as lines of text. */
export function editDataText(f: EditDataFile): string {
  const percent = (n: number): string => `${((100 * n) / Math.max(1, f.labelled)).toFixed(2)} %`;
  const moved = [...f.classes]
    .filter((c) => c.correctAfter !== c.correctBefore)
    .sort(
      (a, b) =>
        Math.abs(b.correctAfter - b.correctBefore) - Math.abs(a.correctAfter - a.correctBefore) ||
        a.index - b.index,
    )
    .slice(0, 10);
  return [
    `${f.images} images, ${f.edit.words}`,
    f.labelled === 0
      ? 'no image has a known class: accuracies cannot be said'
      : `top-1 ${percent(f.correctBefore)} before, ${percent(f.correctAfter)} after (true forward passes of ${f.labelled} labelled images)`,
    `${f.changed} answers change`,
    `score of the answer, mean change: ${f.meanChangeBySum.toFixed(4)} by the exact sum, ${f.meanChange.toFixed(4)} by true forward passes`,
    `sum and recomputation with the factors held differ by at most ${(f.heldError ?? Number.POSITIVE_INFINITY).toExponential(1)} of the terms (${f.heldErrorImage}): ${f.holds ? 'holds' : 'DOES NOT HOLD'}`,
    ...moved.map(
      (c) => `  ${c.name.padEnd(26)} right ${c.correctBefore} -> ${c.correctAfter} of ${c.images}`,
    ),
  ].join('\n');
}
