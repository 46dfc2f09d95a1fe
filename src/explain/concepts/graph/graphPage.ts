/** The page of concept graphs: pictures, and every number as tables. Nothing is fetched but what lies in the folder. */
import { escapeHtml } from '../../report/page.js';
import { percent, shortName, signed } from '../../report/words.js';
import { GALLERY_STYLE } from '../pageStyle.js';
import type { ConceptGraph, GraphNode } from './graph.js';
import { hopSize } from './graphHops.js';
import { graphSumsLine } from './graphPicture.js';
import type { GraphSubject } from './graphSchema.js';

/** Graphs whose pictures are part of the page; those of the others lie beside it. */
export const INLINE_GRAPHS = 12;

/** "Why beacon?" */
export function graphTitle(subject: GraphSubject, graph: ConceptGraph): string {
  return subject.kind === 'class' ? `What ${subject.name} is made of` : `Why ${graph.target.name}?`;
}

/** What the graph is of, in one line. */
export function graphSubtitle(subject: GraphSubject, graph: ConceptGraph): string {
  if (subject.kind === 'class')
    return `Mean over ${graph.images} ${graph.images === 1 ? 'image' : 'images'} of this class. Each concept is shown in the image that has most of it.`;
  const { predicted, predictedAlone, trueClass, name } = subject;
  const says = `${predicted.name} (${percent(predicted.probability)})`;
  const truth =
    trueClass === null
      ? ''
      : trueClass.index === predicted.index
        ? ', which is right'
        : `; in truth it is ${trueClass.name}`;
  const alone =
    predictedAlone.index === predicted.index
      ? ''
      : ` Without autoencoders the network says ${predictedAlone.name} (${percent(predictedAlone.probability)}).`;
  const many = graph.taps.length === 1 ? 'its concepts' : 'the concepts of all these levels';
  return `${shortName(name)}: seen through ${many} the network says ${says}${truth}.${alone}`;
}

function sumTable(graph: ConceptGraph): string {
  const rows = graph.hops.map(
    ({ to, from, unit, sums, worst, ofMeans, worstImage, holds }) =>
      `<tr><td>${escapeHtml(to)} from ${escapeHtml(from)}, ${unit}</td><td>${sums}</td><td>${hopSize(worst).toExponential(1)}</td><td>${hopSize(ofMeans).toExponential(1)}</td><td>${holds ? 'holds' : '<b class="bad">does not hold</b>'}</td><td>${escapeHtml(graph.images > 1 ? (worstImage ?? '') : '')}</td></tr>`,
  );
  return `<table><thead><tr><th>hop</th><th>sums</th><th>largest residual / terms</th><th>of the means</th><th>at ${graph.hops[0].tolerance.toExponential(0)}</th><th></th></tr></thead><tbody>${rows.join('')}</tbody></table>`;
}

function nodeTable(graph: ConceptGraph): string {
  const madeOf = (node: GraphNode): string =>
    graph.edges
      .filter(({ to, from }) => to === node.id && !from.startsWith('region'))
      .sort((a, b) => b.share - a.share)
      .slice(0, 4)
      .map(({ from, share, contribution }) => {
        const name = graph.nodes.find(({ id }) => id === from)?.name ?? from;
        return `${name} ${percent(share)} (${signed(contribution)})`;
      })
      .join(', ');
  const rows = graph.nodes
    .filter(({ kind }) => kind !== 'region')
    .map(
      (node) =>
        `<tr><td>${escapeHtml(node.name)}</td><td>${escapeHtml(node.tap ?? '')}</td><td>${(100 * node.share).toFixed(1)} %</td><td>${signed(node.contribution)}</td><td>${node.presence === null ? '' : node.presence.toFixed(1)}</td><td style="text-align:left">${escapeHtml(madeOf(node))}</td></tr>`,
    );
  return `<table><thead><tr><th>node</th><th>tap</th><th>share</th><th>logits</th><th>presence</th><th style="text-align:left">made of, mostly</th></tr></thead><tbody>${rows.join('')}</tbody></table>`;
}

/** One graph as an article. @param picture the SVG document; null: it lies at `path` */
export function graphArticle(
  subject: GraphSubject,
  graph: ConceptGraph,
  path: string,
  picture: string | null,
): string {
  const title = graphTitle(subject, graph);
  const drawn =
    picture ??
    `<a href="${escapeHtml(encodeURI(path))}"><img loading="lazy" alt="${escapeHtml(title)}" src="${escapeHtml(encodeURI(path))}"></a>`;
  const isHolding = graph.hops.every(({ holds }) => holds);
  const heading = subject.kind === 'class' ? subject.name : shortName(subject.name);
  return `<article><h2>${escapeHtml(heading)}</h2><figure class="graph">${drawn}</figure>
<p class="note${isHolding ? '' : ' bad'}">${escapeHtml(graphSumsLine(graph))}</p>
<details><summary>The sums, hop by hop</summary>${sumTable(graph)}</details>
<details><summary>All numbers</summary>${nodeTable(graph)}</details></article>`;
}

/** A page of `fact concepts graph`, `versus` or `edit`. `lead` and `articles` are HTML. */
export function conceptsDocument(
  title: string,
  lead: string,
  articles: readonly string[],
  skipped: readonly string[],
): string {
  const bad = skipped.map((message) => `<li>${escapeHtml(message)}</li>`).join('');
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data: 'self' file:; style-src 'unsafe-inline'">
<title>${escapeHtml(title)}</title><style>${GALLERY_STYLE}
body{max-width:1460px}article{border-top:2px solid var(--ink);padding:1rem 0 2rem}.graph{overflow-x:auto}
.graph svg,.graph img{display:block;max-width:100%;height:auto;background:#fff}td,th{font-variant-numeric:tabular-nums}
</style></head><body><header><h1>${escapeHtml(title)}</h1>${lead}</header>
<main>${articles.join('\n')}</main>${bad === '' ? '' : `<section><h2>Skipped</h2><ul>${bad}</ul></section>`}</body></html>
`;
}
