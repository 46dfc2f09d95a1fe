/** Nodes and edges of a concept graph from its sums: pure arithmetic in float64. See graph.ts for what the numbers mean. */

import { sumTerms } from '../../ledger.js';
import { type GraphEdge, type GraphNode, regionName } from './graph.js';

/** Sums of one row of terms: what a chosen concept, or all others, are made of. */
export interface RowSums {
  readonly logits: Float64Array;
  readonly logitConstants: Float64Array;
  /** Null for the row of all others. */
  readonly presence: Float64Array | null;
  readonly presenceConstants: Float64Array | null;
  /** Sums of the pixels' absolute terms, where the terms are regions: of logits, of presence. */
  readonly absolutes: Float64Array | null;
}

/** Sums of one level. */
export interface LevelSums {
  readonly contributions: Float64Array;
  readonly presences: Float64Array;
  /** Chosen concepts, largest first. */
  readonly ids: readonly number[];
  /** One a chosen concept, and one for all others; terms are the concepts below, or for the earliest level regions. */
  readonly rows: readonly RowSums[];
}

export interface BuildInput {
  /** Means of each level, earliest first. */
  readonly levels: readonly LevelSums[];
  readonly taps: readonly string[];
  /** Names of the constants of each part, the part above the latest tap last. */
  readonly constants: readonly (readonly string[])[];
  readonly topConstants: Float64Array;
  readonly score: number;
  readonly className: string;
  /** Whether the earliest level's terms, regions, become nodes. */
  readonly hasRegions: boolean;
}

/** What flows into one node. */
interface Source {
  readonly from: string;
  readonly positive: number;
  readonly negative: number;
  readonly presence: number | null;
}

function sourceOf(from: string, value: number, presence: number | null = null): Source {
  return { from, positive: Math.max(0, value), negative: Math.min(0, value), presence };
}

const conceptId = (tap: string, concept: number): string => `${tap}/${concept}`;
const othersId = (tap: string): string => `${tap}/others`;
const constantId = (part: number, name: string): string => `constant/${part}/${name}`;

/** Terms of concepts as sources: chosen ones one by one, all others as one with both signs. */
function conceptSources(
  tap: string,
  ids: readonly number[],
  values: Float64Array,
  presence: Float64Array | null,
): Source[] {
  const chosen = new Set(ids);
  let [positive, negative, otherPresence] = [0, 0, 0];
  values.forEach((value, i) => {
    if (chosen.has(i)) return;
    if (value > 0) positive += value;
    else negative += value;
    otherPresence += presence?.[i] ?? 0;
  });
  return [
    ...ids.map((id) => sourceOf(conceptId(tap, id), values[id], presence === null ? null : presence[id])),
    { from: othersId(tap), positive, negative, presence: presence === null ? null : otherPresence },
  ];
}

/** Edges into `to`, those that carry anything. `unseen`: sum of the absolute terms that become no edges. */
function edgesInto(to: string, sources: readonly Source[], unseen = 0): GraphEdge[] {
  const absolute = sources.reduce((sum, s) => sum + s.positive - s.negative, unseen);
  return sources
    .filter(({ positive, negative, presence }) => positive !== 0 || negative !== 0 || (presence ?? 0) !== 0)
    .map(({ from, positive, negative, presence }) => ({
      from,
      to,
      contribution: positive + negative,
      positive,
      negative,
      share: absolute === 0 ? 0 : (positive - negative) / absolute,
      presence,
    }));
}

/** Edges into the concepts of level `l` from what lies below. */
function edgesOfLevel(input: BuildInput, l: number): GraphEdge[] {
  const { levels, taps, constants } = input;
  const { ids, rows } = levels[l];
  return rows.flatMap((row, j) => {
    const to = row.presence === null ? othersId(taps[l]) : conceptId(taps[l], ids[j]);
    const below =
      l === 0
        ? input.hasRegions
          ? Array.from(row.logits, (value, region) => sourceOf(`region/${region}`, value))
          : []
        : conceptSources(taps[l - 1], levels[l - 1].ids, row.logits, row.presence);
    const added = constants[l].map((name, c) =>
      sourceOf(constantId(l, name), row.logitConstants[c], row.presenceConstants?.[c] ?? null),
    );
    const unseen = l === 0 && !input.hasRegions ? sumTerms(row.logits).absolute : 0;
    return edgesInto(to, [...below, ...added], unseen);
  });
}

/** Nodes without their shares. */
function nodesOf(input: BuildInput, edges: readonly GraphEdge[]): Omit<GraphNode, 'share'>[] {
  const { levels, taps, constants } = input;
  const added = new Map<string, number>();
  for (const { from, contribution } of edges) added.set(from, (added.get(from) ?? 0) + contribution);
  const classNode = {
    id: 'class',
    kind: 'class' as const,
    column: taps.length + 1,
    tap: null,
    number: null,
    name: input.className,
    contribution: input.score,
    presence: null,
  };
  const concepts = levels.flatMap(({ ids, contributions, presences }, l) => {
    const chosen = new Set(ids);
    const rest = (values: Float64Array): number =>
      values.reduce((sum, v, i) => (chosen.has(i) ? sum : sum + v), 0);
    const others = contributions.reduce(
      (n, v, i) => n + (!chosen.has(i) && (v !== 0 || presences[i] !== 0) ? 1 : 0),
      0,
    );
    const place = { column: l + 1, tap: taps[l] };
    return [
      ...ids.map((id) => ({
        ...place,
        id: conceptId(taps[l], id),
        kind: 'concept' as const,
        number: id,
        name: `concept ${id}`,
        contribution: contributions[id],
        presence: presences[id],
      })),
      {
        ...place,
        id: othersId(taps[l]),
        kind: 'others' as const,
        number: others,
        name: `${others} other concepts`,
        contribution: rest(contributions),
        presence: rest(presences),
      },
    ];
  });
  const named = constants.flatMap((names, part) =>
    names.map((name) => ({
      id: constantId(part, name),
      kind: 'constant' as const,
      column: part,
      tap: null,
      number: null,
      name: `constant of ${name}`,
      contribution: added.get(constantId(part, name)) ?? 0,
      presence: null,
    })),
  );
  const regions = Array.from(input.hasRegions ? (levels[0].rows[0]?.logits ?? []) : [], (_, region) => ({
    id: `region/${region}`,
    kind: 'region' as const,
    column: 0,
    tap: null,
    number: region,
    name: regionName(region),
    contribution: added.get(`region/${region}`) ?? 0,
    presence: null,
  }));
  return [classNode, ...concepts, ...named, ...regions];
}

/** Nodes (class first, then level by level) and edges of a graph; what carries nothing is left out. */
export function buildGraph(input: BuildInput): { nodes: GraphNode[]; edges: GraphEdge[] } {
  const { levels, taps, constants } = input;
  const last = levels.length - 1;
  const found = [
    ...edgesInto('class', [
      ...conceptSources(taps[last], levels[last].ids, levels[last].contributions, null),
      ...constants[last + 1].map((name, c) => sourceOf(constantId(last + 1, name), input.topConstants[c])),
    ]),
    ...[...levels.keys()].reverse().flatMap((l) => edgesOfLevel(input, l)),
  ];
  const shares = new Map<string, number>([['class', 1]]);
  // Edges come from the class downwards, so the share of `to` is complete when it is read.
  for (const { from, to, share } of found)
    shares.set(from, (shares.get(from) ?? 0) + share * (shares.get(to) ?? 0));
  const nodes = nodesOf(input, found)
    .map((node) => ({ ...node, share: shares.get(node.id) ?? 0 }))
    .filter(({ kind, share, presence }) => kind === 'class' || share > 0 || (presence ?? 0) !== 0);
  const kept = new Set(nodes.map(({ id }) => id));
  return { nodes, edges: found.filter(({ from, to }) => kept.has(from) && kept.has(to)) };
}
