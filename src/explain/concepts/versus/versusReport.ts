/** The folder that `fact concepts versus` makes of pictures: versus.json, the page, pictures. */

import { className } from '../../../models/classes.js';
import type { ModelSpec } from '../../../models/spec.js';
import type { ExplainImage } from '../../explanation.js';
import { escapeHtml } from '../../report/page.js';
import { shortName, signed } from '../../report/words.js';
import { conceptsDocument } from '../graph/graphPage.js';
import { pictureName } from '../graph/graphReport.js';
import { imageTile } from '../graph/graphTiles.js';
import type { ResultFolder } from '../resultFolder.js';
import type { VersusResult } from './versus.js';
import { drawVersus, flipWords, versusTitle } from './versusPicture.js';
import type { SourceContext, VersusEntry, VersusFile } from './versusSchema.js';

export const VERSUS_FILE = 'versus.json';
export const VERSUS_FORMAT = 'fact-concept-versus';

/** Pictures that the page holds; the others lie beside it. */
const INLINE = 50;

type Folder = Pick<ResultFolder<unknown>, 'write' | 'read'>;

/** Draws a comparison into a folder. @param tiles small pictures by concept */
export async function addVersus(
  folder: Pick<Folder, 'write'>,
  image: ExplainImage,
  result: VersusResult,
  tiles: ReadonlyMap<number, string>,
  place: number,
  options: { readonly spec: ModelSpec; readonly top: number },
): Promise<VersusEntry> {
  const { spec, top } = options;
  const picture = pictureName(image.name, place);
  const photo = await imageTile(image, spec.preprocessing);
  const nameOf = (index: number): string => className(spec, index);
  folder.write(picture, drawVersus(result, { top, tiles, photo, className: nameOf }));
  const { tap: _, ledgers, concepts, constants, ...rest } = result;
  return {
    ...rest,
    concepts: [...concepts],
    constants: [...constants],
    ledgers: ledgers.map(({ subject, left, sum, residual, relativeError, holds }) => ({
      subject,
      left,
      sum,
      residual,
      relativeError,
      holds,
    })),
    flip: {
      ...rest.flip,
      predicted: rest.flip.predicted === null ? null : [...rest.flip.predicted],
      recomputed: rest.flip.recomputed === null ? null : [...rest.flip.recomputed],
    },
    picture,
  };
}

/** The table of a comparison: all concepts that differ. */
function table(v: VersusEntry): string {
  const row = (name: string, a: number, b: number, share: string): string =>
    `<tr><td>${escapeHtml(name)}</td><td>${signed(a)}</td><td>${signed(b)}</td><td>${signed(a - b)}</td><td>${share}</td></tr>`;
  const rows = [
    ...v.concepts.map((c) =>
      row(`concept ${c.concept}`, c.contributionFor, c.contributionVersus, `${(100 * c.share).toFixed(1)} %`),
    ),
    ...v.constants.map((c) => row(`constant of ${c.name}`, c.for, c.versus, '')),
  ];
  return `<table><thead><tr><th></th><th>${escapeHtml(v.for.name)}</th><th>${escapeHtml(v.versus.name)}</th><th>difference</th><th>share</th></tr></thead><tbody>${rows.join('')}<tr><th>sum</th><th>${signed(v.ledgers[1].sum)}</th><th>${signed(v.ledgers[2].sum)}</th><th>${signed(v.ledgers[0].sum)}</th><th></th></tr></tbody></table>`;
}

/** Writes versus.json and the page of what there is. */
export function writeVersus(
  folder: Folder,
  context: SourceContext,
  images: readonly VersusEntry[],
  skipped: readonly string[],
): VersusFile {
  const file: VersusFile = {
    format: VERSUS_FORMAT,
    version: 1,
    ...context,
    images: [...images],
    skipped: [...skipped],
  };
  const articles = images.map((v, i) => {
    const title = versusTitle(v);
    const drawn =
      i < INLINE
        ? folder.read(v.picture)
        : `<a href="${escapeHtml(encodeURI(v.picture))}">${escapeHtml(title)}</a>`;
    const failing = v.ledgers.filter(({ holds }) => !holds).length;
    const bad = failing > 0 ? `<p class="bad">${failing} sums DO NOT HOLD</p>` : '';
    return `<article><h2>${escapeHtml(shortName(v.image))}</h2><figure class="graph">${drawn}</figure>${bad}<details><summary>All concepts that differ</summary>${table(v)}</details></article>`;
  });
  const { arch } = context.model;
  const { latents, tap } = context.autoencoder;
  const lead = `<p class="note">${escapeHtml(`${arch}, ${latents} concepts at ${tap}. The difference of two logits is the sum of the concepts' differences, exactly.`)}</p>`;
  folder.write(VERSUS_FILE, `${JSON.stringify(file, null, 1)}\n`);
  folder.write('index.html', conceptsDocument('One class against another', lead, articles, skipped));
  return file;
}

/** A comparison as lines of text. @param nameOf a class by number */
export function versusText(v: VersusEntry, top: number, nameOf: (index: number) => string): string {
  const number = (value: number): string => `${value < 0 ? '' : ' '}${value.toFixed(4)}`.padStart(10);
  const line = (name: string, a: number, b: number, note = ''): string =>
    `  ${name.padEnd(26)}${number(a)}${number(b)}${number(a - b)}${note}`;
  const others = v.concepts.slice(top);
  const sum = (key: 'contributionFor' | 'contributionVersus'): number =>
    others.reduce((total, one) => total + one[key], 0);
  return [
    `${v.image}: ${versusTitle(v)}`,
    `  ${''.padEnd(26)}${v.for.name.slice(0, 9).padStart(10)}${v.versus.name.slice(0, 9).padStart(10)}${'less'.padStart(10)}`,
    ...v.concepts
      .slice(0, top)
      .map((c) =>
        line(
          `concept ${c.concept}`,
          c.contributionFor,
          c.contributionVersus,
          `  ${(100 * c.share).toFixed(1)} %`,
        ),
      ),
    ...(others.length > 0
      ? [line(`${others.length} others`, sum('contributionFor'), sum('contributionVersus'))]
      : []),
    ...v.constants.map((c) => line(`constant of ${c.name}`, c.for, c.versus)),
    line('sum', v.ledgers[1].sum, v.ledgers[2].sum),
    line('logits less bias', v.ledgers[1].left, v.ledgers[2].left),
    `  largest residual ${Math.max(...v.ledgers.map((l) => l.relativeError ?? Number.POSITIVE_INFINITY)).toExponential(1)} of the terms: ${v.ledgers.every(({ holds }) => holds) ? 'all sums hold' : 'sums DO NOT HOLD'}`,
    `  ${flipWords(v.flip, nameOf).join(' ')}`,
  ].join('\n');
}
