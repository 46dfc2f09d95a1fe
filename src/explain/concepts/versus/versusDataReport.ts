/** The folder that `fact concepts versus --data-dir` makes: confusions.json and the page. */
import { z } from 'zod';
import { escapeHtml } from '../../report/page.js';
import { count } from '../../report/sharedSchema.js';
import { signed } from '../../report/words.js';
import { conceptsDocument } from '../graph/graphPage.js';
import type { ResultFolder } from '../resultFolder.js';
import type { ConfusionSummary } from './versusDataset.js';
import { type SourceContext, sourceSchema } from './versusSchema.js';

export const CONFUSION_FILE = 'confusions.json';
export const CONFUSION_FORMAT = 'fact-concept-confusions';

const number = z.number();
const namedSchema = z.strictObject({ index: count, name: z.string() });

/** Schema of confusions.json, version 1; docs/concept-graphs.md explains each field. */
export const confusionFileSchema = z.strictObject({
  format: z.literal(CONFUSION_FORMAT),
  version: z.literal(1),
  ...sourceSchema,
  data: z.strictObject({ path: z.string(), split: z.string().nullable() }),
  images: count,
  missed: count,
  confusions: z.array(
    z.strictObject({
      trueClass: namedSchema,
      predicted: namedSchema,
      images: count,
      difference: number,
      concepts: z.array(z.strictObject({ concept: count, difference: number, share: number })),
      examples: z.array(z.string()),
    }),
  ),
  concepts: z.array(z.strictObject({ concept: count, difference: number, images: count })),
  sums: count,
  worst: number.nullable(),
  holds: z.boolean(),
  skipped: z.array(z.string()),
});

/** Confusions shown in text, and on the page. */
const LINES = 15;
const ROWS = 300;

const conceptsOf = (c: ConfusionSummary['confusions'][number], many: number): string =>
  c.concepts
    .slice(0, many)
    .map(({ concept, difference }) => `concept ${concept} ${signed(difference)}`)
    .join(', ');

/** Confusions as lines of text. */
export function confusionText(summary: ConfusionSummary): string {
  const { images, missed, confusions, concepts, sums, worst, holds } = summary;
  return [
    `${images} images, ${missed} missed, ${confusions.length} kinds of confusion`,
    ...confusions
      .slice(0, LINES)
      .map(
        (c) =>
          `  ${String(c.images).padStart(4)} x ${c.trueClass.name} taken for ${c.predicted.name} (logits differ by ${c.difference.toFixed(2)}): ${conceptsOf(c, 4)}`,
      ),
    `concepts that added most to wrong answers: ${concepts
      .slice(0, 8)
      .map((one) => `${one.concept} (${signed(one.difference)} over ${one.images} images)`)
      .join(', ')}`,
    `${sums} sums checked, largest residual ${(worst ?? Number.POSITIVE_INFINITY).toExponential(1)} of the terms: ${holds ? 'all hold' : 'NOT ALL HOLD'}`,
  ].join('\n');
}

/** Writes confusions.json and the page. */
export function writeConfusions(
  folder: Pick<ResultFolder<unknown>, 'write'>,
  context: SourceContext,
  data: { readonly path: string; readonly split: string | null },
  summary: ConfusionSummary,
  skipped: readonly string[],
): z.infer<typeof confusionFileSchema> {
  const file = confusionFileSchema.parse({
    format: CONFUSION_FORMAT,
    version: 1,
    ...context,
    data,
    ...summary,
    skipped,
  });
  folder.write(CONFUSION_FILE, `${JSON.stringify(file, null, 1)}\n`);
  const rows = summary.confusions
    .slice(0, ROWS)
    .map(
      (c) =>
        `<tr><td>${escapeHtml(c.trueClass.name)}</td><td style="text-align:left">${escapeHtml(c.predicted.name)}</td><td>${c.images}</td><td>${signed(c.difference)}</td><td style="text-align:left">${escapeHtml(conceptsOf(c, 8))}</td><td style="text-align:left">${escapeHtml(c.examples.join(', '))}</td></tr>`,
    );
  const table = `<article><p>${summary.missed} of ${summary.images} images are missed, in ${summary.confusions.length} ways${summary.confusions.length > ROWS ? `; the ${ROWS} most frequent follow` : ''}. A positive number speaks for the wrong class, in logits, mean over the images of the row.</p>
<table><thead><tr><th>is</th><th style="text-align:left">taken for</th><th>images</th><th>logits differ by</th><th style="text-align:left">concepts</th><th style="text-align:left">examples</th></tr></thead><tbody>${rows.join('')}</tbody></table>
<h2>Concepts that added most to wrong answers</h2><p>${escapeHtml(summary.concepts.map((one) => `${one.concept} (${signed(one.difference)} over ${one.images} images)`).join(', '))}</p></article>`;
  const lead = `<p class="note">${escapeHtml(`${context.model.arch}, ${context.autoencoder.latents} concepts at ${context.autoencoder.tap}. ${summary.sums} sums checked: ${summary.holds ? 'all hold' : 'NOT ALL HOLD'}.`)}</p>`;
  folder.write(
    'index.html',
    conceptsDocument('Which concepts cause which confusions', lead, [table], skipped),
  );
  return file;
}
