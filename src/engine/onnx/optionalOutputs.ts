/*
 * Outputs that are computed only where asked for. A runtime computes the whole graph, whichever outputs are fetched; what
 * stands in a branch of `If` is not run where the condition is false. So each node that only optional outputs need moves
 * into the branch of an `If`:
 *
 *   need(node)  = the groups of outputs that depend on it
 *   one `If` for each set of groups that occurs; its condition: one of the set is wanted
 *
 * What a block makes for another goes over as an output of its `If`. The other block is wanted by fewer groups, so where
 * it runs, this one has run. Where a group is not wanted, its outputs are empty: 0 rows.
 */
import { elementTypes, GraphEditor, namesReadBy, tidyParts } from './edit.js';
import type { GraphConstant, GraphNode, GraphParts, GraphPort, OnnxType } from './graph.js';
import { renamed } from './loopColumns.js';

export interface OutputGroup {
  readonly name: string;
  /** A bool scalar of the graph: whether the group is wanted. */
  readonly condition: string;
  /** Outputs of the graph. */
  readonly outputs: readonly string[];
  /**
   * Values inside the graph that are `value` where the group is wanted and `otherwise` where not; what uses them does
   * not make the group wanted.
   */
  readonly choices?: readonly { readonly value: string; readonly otherwise: string }[];
}

const ALWAYS = '';

interface Block {
  readonly groups: readonly string[];
  readonly nodes: GraphNode[];
}

/** Nodes that depend on constants and on the sizes of inputs only. They stay outside. */
function cheapNodes(parts: GraphParts): Set<GraphNode> {
  const inputs = new Set(parts.inputs.map(({ name }) => name));
  const known = new Set(parts.constants.map(({ name }) => name));
  const cheap = new Set<GraphNode>();
  for (const node of parts.nodes) {
    const isSize = node.op === 'Shape' && inputs.has(node.inputs[0]);
    if (!isSize && !namesReadBy(node).every((name) => known.has(name))) continue;
    cheap.add(node);
    for (const name of node.outputs) known.add(name);
  }
  return cheap;
}

/** For each node the groups that need it; `ALWAYS` among them: needed in any case. */
function needsOf(parts: GraphParts, groups: readonly OutputGroup[]): Map<GraphNode, Set<string>> {
  const needs = new Map<string, Set<string>>();
  const need = (name: string, by: Iterable<string>): void => {
    const set = needs.get(name) ?? new Set();
    for (const one of by) set.add(one);
    needs.set(name, set);
  };
  const groupOf = new Map(
    groups.flatMap((group) => group.outputs.map((name) => [name, group.name] as const)),
  );
  const choices = new Map(
    groups.flatMap((group) =>
      (group.choices ?? []).map((choice) => [choice.value, { group, choice }] as const),
    ),
  );
  for (const { name } of parts.outputs) need(name, [groupOf.get(name) ?? ALWAYS]);
  for (const { condition } of groups) need(condition, [ALWAYS]);
  const cheap = cheapNodes(parts);
  const result = new Map<GraphNode, Set<string>>();
  for (const node of parts.nodes.toReversed()) {
    const own = new Set<string>();
    for (const name of node.outputs) {
      const chosen = choices.get(name);
      if (chosen === undefined) for (const one of needs.get(name) ?? []) own.add(one);
      else {
        own.add(chosen.group.name);
        need(chosen.choice.otherwise, needs.get(name) ?? []);
      }
    }
    if (cheap.has(node)) own.add(ALWAYS);
    result.set(node, own);
    for (const name of namesReadBy(node)) need(name, own);
  }
  return result;
}

/** Wraps what only optional outputs need into `If` nodes. Outputs of the groups get a free first dimension. */
export function makeOptional(source: GraphParts, groups: readonly OutputGroup[]): GraphParts {
  const conditions: GraphPort[] = groups.map(({ condition }) => ({
    name: condition,
    type: 'bool',
    dims: [],
  }));
  const parts = {
    ...tidyParts({ ...source, outputs: [...source.outputs, ...conditions] }),
    outputs: source.outputs,
  };
  const types = elementTypes(parts);
  const needs = needsOf(parts, groups);
  const always: GraphNode[] = [];
  const blocks = new Map<string, Block>();
  for (const node of parts.nodes) {
    const groupsOfNode = groups.map(({ name }) => name).filter((name) => needs.get(node)?.has(name));
    if (needs.get(node)?.has(ALWAYS) || groupsOfNode.length === 0) {
      always.push(node);
      continue;
    }
    const key = groupsOfNode.join('+');
    const block = blocks.get(key) ?? { groups: groupsOfNode, nodes: [] };
    block.nodes.push(node);
    blocks.set(key, block);
  }
  const optional = new Map(
    groups.flatMap((group) => group.outputs.map((name) => [name, group.name] as const)),
  );
  const outputs = parts.outputs.map((port) => {
    const group = optional.get(port.name);
    return group === undefined ? port : { ...port, dims: freeDimensions(port.dims, group) };
  });
  const editor = new GraphEditor({ ...parts, nodes: always, outputs }, 'if_');
  const choices = new Map(
    groups.flatMap((g) => (g.choices ?? []).map((c) => [c.value, c.otherwise] as const)),
  );
  for (const [key, block] of blocks) addBlock(editor, parts, types, groups, block, key, choices);
  return editor.parts();
}

/** Where the group is not wanted there are 0 rows, and every other free size is 0 too. */
function freeDimensions(dims: readonly (number | string)[], group: string): (number | string)[] {
  return dims.map((size, axis) => {
    if (typeof size === 'string') return `${size}_of_${group}`;
    return axis === 0 ? `rows_of_${group}` : size;
  });
}

function addBlock(
  editor: GraphEditor,
  parts: GraphParts,
  types: ReadonlyMap<string, OnnxType>,
  groups: readonly OutputGroup[],
  block: Block,
  key: string,
  choices: ReadonlyMap<string, string>,
): void {
  const inside = new Set(block.nodes);
  const usedOutside = new Set([
    ...parts.outputs.map(({ name }) => name),
    ...parts.nodes.filter((node) => !inside.has(node)).flatMap(namesReadBy),
    ...groups.map(({ condition }) => condition),
  ]);
  const made = block.nodes.flatMap((node) => node.outputs).filter((name) => usedOutside.has(name));
  const inner = (name: string): string => `${name}_in_${key}`;
  const rename = new Map(made.map((name) => [name, inner(name)]));
  const port = (name: string): GraphPort => ({
    ...portOf(parts, name, types.get(name) ?? 'float32'),
    name: inner(name),
  });
  const constants: GraphConstant[] = [];
  const empties: GraphNode[] = made.map((name) => {
    const otherwise = choices.get(name);
    const from = otherwise ?? `${inner(name)}_none`;
    if (otherwise === undefined) constants.push(emptyConstant(from, port(name)));
    return { op: 'Identity', inputs: [from], outputs: [`${inner(name)}_else`], attributes: {} };
  });
  const wanted: GraphParts = {
    nodes: block.nodes.map((node) => renamed(node, rename)),
    constants: [],
    inputs: [],
    outputs: made.map(port),
  };
  const unwanted: GraphParts = {
    nodes: empties,
    constants,
    inputs: [],
    outputs: made.map((name) => {
      const one = port(name);
      const dims = choices.has(name) ? one.dims : emptySizes(one.dims);
      return { ...one, name: `${inner(name)}_else`, dims };
    }),
  };
  const condition = block.groups
    .map((name) => groups.find((group) => group.name === name)?.condition ?? '')
    .reduce((either, one) => editor.node('Or', [either, one]));
  editor.add({
    op: 'If',
    inputs: [condition],
    outputs: made,
    attributes: { then_branch: { graph: wanted }, else_branch: { graph: unwanted } },
  });
}

/** A value as the result of a branch, with the dimensions that are declared or recorded of it. */
function portOf(parts: GraphParts, name: string, type: OnnxType): GraphPort {
  const port = parts.outputs.find((one) => one.name === name);
  if (port !== undefined) return port;
  const known = parts.values?.get(name);
  if (known === undefined) return { name, type, dims: [''], isShapeless: true };
  const dims = known.shape.map((size, axis) => (axis === 0 || size < 0 ? `${name}_${axis}` : size));
  return { name, type, dims };
}

function emptySizes(dims: readonly (number | string)[]): number[] {
  return dims.map((size, axis) => (axis === 0 || typeof size === 'string' ? 0 : size));
}

function emptyConstant(name: string, { type, dims }: GraphPort): GraphConstant {
  const data =
    type === 'int64' ? new BigInt64Array(0) : type === 'int32' ? new Int32Array(0) : new Float32Array(0);
  return { name, type, dims: emptySizes(dims), data };
}
