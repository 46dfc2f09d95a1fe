/** A concept graph as text for other tools: DOT (Graphviz) and GraphML (Gephi, yEd, NetworkX). */
import { AGAINST_COLOUR, FOR_COLOUR } from '../../picture/colours.js';
import type { ConceptGraph, GraphNode } from './graph.js';
import { escapeXml } from './graphSvg.js';

/** Text as a quoted DOT string. */
function quoted(...lines: readonly string[]): string {
  const escaped = lines.map((line) => line.replace(/[\\"]/g, (c) => `\\${c}`).replace(/\s+/g, ' '));
  return `"${escaped.join('\\n')}"`;
}

/** One graph in Graphviz's language, left to right; `penwidth` is the share. */
export function graphToDot(graph: ConceptGraph, name: string): string {
  const shares = new Map(graph.nodes.map(({ id, share }) => [id, share]));
  const nodes = graph.nodes.map(
    ({ id, name: title, contribution }) =>
      `  ${quoted(id)} [label=${quoted(title, contribution.toFixed(3))}];`,
  );
  const edges = graph.edges.map(({ from, to, contribution, share }) => {
    const width = Math.max(0.2, 12 * share * (shares.get(to) ?? 0)).toFixed(2);
    const colour = contribution < 0 ? AGAINST_COLOUR : FOR_COLOUR;
    return `  ${quoted(from)} -> ${quoted(to)} [label=${quoted(contribution.toFixed(3))}, penwidth=${width}, color="${colour}"];`;
  });
  return `digraph ${quoted(name)} {\n  rankdir=LR;\n  node [shape=box];\n${[...nodes, ...edges].join('\n')}\n}\n`;
}

const KEYS = [
  ['node', 'name', 'string'],
  ['node', 'kind', 'string'],
  ['node', 'tap', 'string'],
  ['edge', 'graph', 'string'],
  ['edge', 'contribution', 'double'],
  ['edge', 'share', 'double'],
  ['edge', 'presence', 'double'],
] as const;

/** Several graphs as one: concepts that several share are one node, all else belongs to its graph. */
export function graphsToGraphMl(
  graphs: readonly { readonly name: string; readonly graph: ConceptGraph }[],
): string {
  const keyOf = (place: number, { kind, id }: Pick<GraphNode, 'kind' | 'id'>): string =>
    kind === 'concept' ? id : `${place}/${id}`;
  const nodes = new Map<string, string>();
  const edges: string[] = [];
  const data = (name: string, value: string | number): string =>
    `<data key="${name}">${escapeXml(String(value))}</data>`;
  graphs.forEach(({ name, graph }, place) => {
    const ids = new Map(graph.nodes.map((node) => [node.id, keyOf(place, node)]));
    for (const node of graph.nodes) {
      const key = keyOf(place, node);
      const words =
        data('name', node.name) + data('kind', node.kind) + (node.tap === null ? '' : data('tap', node.tap));
      nodes.set(key, `<node id="${escapeXml(key)}">${words}</node>`);
    }
    for (const edge of graph.edges) {
      const [source, to] = [ids.get(edge.from) ?? edge.from, ids.get(edge.to) ?? edge.to];
      const presence = edge.presence === null ? '' : data('presence', edge.presence);
      edges.push(
        `<edge source="${escapeXml(source)}" target="${escapeXml(to)}">${data('graph', name)}${data('contribution', edge.contribution)}${data('share', edge.share)}${presence}</edge>`,
      );
    }
  });
  const keys = KEYS.map(
    ([place, name, type]) => `<key id="${name}" for="${place}" attr.name="${name}" attr.type="${type}"/>`,
  );
  return `<?xml version="1.0" encoding="UTF-8"?>
<graphml xmlns="http://graphml.graphdrawing.org/xmlns">
${keys.join('\n')}
<graph edgedefault="directed">
${[...nodes.values(), ...edges].join('\n')}
</graph>
</graphml>
`;
}
