/** The folder that `fact concepts graph` makes: graph.json, the page, pictures, and the graphs as text for other tools. */
import { basename, extname } from 'node:path';
import { argMax } from '../../../core/argMax.js';
import { className } from '../../../models/classes.js';
import type { ModelSpec } from '../../../models/spec.js';
import type { ExplainImage } from '../../explanation.js';
import { probabilityOf } from '../../modelKind.js';
import { escapeHtml } from '../../report/page.js';
import type { ResultFolder } from '../resultFolder.js';
import type { ConceptGraph } from './graph.js';
import type { ClassGraph } from './graphDataset.js';
import { worstHop } from './graphHops.js';
import type { ImageGraph } from './graphImage.js';
import { conceptsDocument, graphArticle, graphSubtitle, graphTitle, INLINE_GRAPHS } from './graphPage.js';
import { drawGraph } from './graphPicture.js';
import type { GraphEntry, GraphFile, GraphSubject } from './graphSchema.js';
import { graphsToGraphMl, graphToDot } from './graphText.js';
import { graphTiles } from './graphTiles.js';

export const GRAPH_FILE = 'graph.json';
export const GRAPH_FORMAT = 'fact-concept-graph';

/** What graph.json says besides the graphs. */
export type GraphContext = Pick<
  GraphFile,
  'packageVersion' | 'engine' | 'model' | 'autoencoders' | 'top' | 'tolerance' | 'data'
>;

/** "pictures/0003-goldfish.svg": of letters that every file system takes. */
export function pictureName(name: string, place: number): string {
  const stem = basename(name, extname(name))
    .normalize('NFKD')
    .replace(/[^\w.-]+/g, '-')
    .slice(0, 60);
  return `pictures/${String(place + 1).padStart(4, '0')}-${stem === '' ? 'graph' : stem}.svg`;
}

/** A class with its logit and probability, from scores before the bias. */
export function scoredClass(spec: ModelSpec, scores: Float32Array, index: number) {
  return {
    index,
    name: className(spec, index),
    logit: scores[index] + (spec.logitBias ?? 0),
    probability: probabilityOf(spec, scores, index),
  };
}

function draw(
  folder: Pick<ResultFolder<unknown>, 'write'>,
  subject: GraphSubject,
  graph: ConceptGraph,
  place: number,
  tiles: ReadonlyMap<string, string>,
): GraphEntry {
  const picture = pictureName(subject.name, place);
  const [title, subtitle] = [graphTitle(subject, graph), graphSubtitle(subject, graph)];
  folder.write(picture, drawGraph(graph, { title, subtitle, tiles }));
  return { subject, picture, graph: graph as GraphEntry['graph'] };
}

/** Draws the graph of an image into a folder. */
export async function addImageGraph(
  folder: Pick<ResultFolder<unknown>, 'write'>,
  image: ExplainImage,
  made: ImageGraph,
  place: number,
  spec: ModelSpec,
): Promise<GraphEntry> {
  const { graph, scores, alone, maps } = made;
  const subject: GraphSubject = {
    kind: 'image',
    name: image.name,
    predicted: scoredClass(spec, scores, argMax(scores)),
    predictedAlone: scoredClass(spec, alone, argMax(alone)),
    trueClass: image.trueClass === null ? null : scoredClass(spec, scores, image.trueClass),
  };
  return draw(folder, subject, graph, place, await graphTiles(graph, image, maps, spec.preprocessing));
}

/** Draws the graph of a class into a folder. */
export function addClassGraph(
  folder: Pick<ResultFolder<unknown>, 'write'>,
  { graph, tiles, examples }: ClassGraph,
  place: number,
): GraphEntry {
  return draw(folder, { kind: 'class', name: graph.target.name, examples }, graph, place, tiles);
}

/** Writes graph.json, the page and the texts of what there is. */
export function writeGraphs(
  folder: Pick<ResultFolder<unknown>, 'write' | 'read'>,
  context: GraphContext,
  graphs: readonly GraphEntry[],
  skipped: readonly string[],
): GraphFile {
  const hops = graphs.flatMap(({ graph }) => graph.hops as ConceptGraph['hops']);
  const worst = worstHop(hops);
  const file: GraphFile = {
    format: GRAPH_FORMAT,
    version: 1,
    ...context,
    summary: {
      graphs: graphs.length,
      images: graphs.reduce((n, { graph }) => n + graph.images, 0),
      skipped: skipped.length,
      sums: hops.reduce((n, { sums }) => n + sums, 0),
      worst: worst === undefined ? 0 : worst.worst,
      holds: hops.every(({ holds }) => holds),
    },
    graphs: [...graphs],
    skipped: [...skipped],
  };
  const articles = graphs.map(({ subject, graph, picture }, i) =>
    graphArticle(subject, graph as ConceptGraph, picture, i < INLINE_GRAPHS ? folder.read(picture) : null),
  );
  const saes = context.autoencoders.map(({ latents, tap }) => `${latents} concepts at ${tap}`).join(', ');
  const lead = `<p class="note">${escapeHtml(`${context.model.arch} with ${saes}, all spliced in. A class's logit is the sum of late concepts, each of those the sum of early ones, each of those the sum of its pixels.`)}</p>`;
  const named = graphs.map(({ subject, graph }) => ({ name: subject.name, graph: graph as ConceptGraph }));
  folder.write(GRAPH_FILE, `${JSON.stringify(file, null, 1)}\n`);
  folder.write('index.html', conceptsDocument('What the answer is made of', lead, articles, skipped));
  folder.write('graph.dot', named.map(({ name, graph }) => graphToDot(graph, name)).join('\n'));
  folder.write('graph.graphml', graphsToGraphMl(named));
  return file;
}
