/*
 * One part of a graph for each column of a table, as a standard `Loop`: traced once for one column, it then runs for as
 * many columns as the table has when the graph runs. What does not depend on the column stays outside and is shared.
 */
import { GraphEditor, namesReadBy, tidyParts } from './edit.js';
import type { GraphNode, GraphParts, GraphPort } from './graph.js';

export interface ColumnLoop {
  /** Input of the traced graph that stands for one column: [N]. */
  readonly column: string;
  /** Value that holds the columns: [N, J]. */
  readonly table: string;
  /** Outputs that depend on the column, [N, ...] with known sizes but the first; they become [N, J, ...]. */
  readonly outputs: readonly string[];
  /** Name of the free dimension J. */
  readonly dimension: string;
  /** Begins the names of what is added. */
  readonly prefix: string;
}

/** Nodes that depend on `source`, of those that `targets` need. */
function nodesBetween(parts: GraphParts, source: string, targets: readonly string[]): GraphNode[] {
  const after = new Set([source]);
  const dependent = parts.nodes.filter((node) => {
    const depends = namesReadBy(node).some((name) => after.has(name));
    if (depends) for (const name of node.outputs) after.add(name);
    return depends;
  });
  return [...tidyParts({ ...parts, nodes: dependent, outputs: targets.map(asPort) }).nodes];
}

function asPort(name: string): GraphPort {
  return { name, type: 'float32', dims: [] };
}

/**
 * Moves what the loop's outputs need of the column into a loop body. Call it for each group of outputs on its own: what
 * two groups share inside their bodies is repeated. The column's input stays declared until the caller drops it.
 */
export function loopOverColumns(parts: GraphParts, loop: ColumnLoop): GraphParts {
  const { column, table, outputs, dimension, prefix } = loop;
  const ports = outputs.map((name) => {
    const port = parts.outputs.find((one) => one.name === name);
    if (port === undefined) throw new Error(`the graph has no output ${name}`);
    return port;
  });
  const body = nodesBetween(parts, column, outputs);
  const inner = (name: string): string => `${prefix}${name}`;
  const [step, going, place] = [inner('step'), inner('going'), inner('place')];
  const scanned = ports.map((port) => ({ ...port, name: inner(port.name) }));
  const first: GraphNode[] = [
    { op: 'Gather', inputs: [table, step], outputs: [place], attributes: { axis: 1 } },
    { op: 'Identity', inputs: [going], outputs: [inner('on')], attributes: {} },
  ];
  // Names of a body must differ from those of the graph around it and of other bodies beside it.
  const rename = new Map(body.flatMap((node) => node.outputs.map((name) => [name, inner(name)] as const)));
  rename.set(column, place);
  const graph: GraphParts = {
    nodes: [...first, ...body.map((node) => renamed(node, rename))],
    constants: [],
    inputs: [
      { name: step, type: 'int64', dims: [] },
      { name: going, type: 'bool', dims: [] },
    ],
    outputs: [{ name: inner('on'), type: 'bool', dims: [] }, ...scanned],
  };
  const made = new Set(outputs);
  const editor = new GraphEditor(
    { ...parts, nodes: parts.nodes.filter((node) => !node.outputs.some((name) => made.has(name))) },
    prefix,
  );
  const shape = editor.node('Shape', [table], { start: 1, end: 2 });
  const count = editor.node('Squeeze', [shape, editor.ints(0)]);
  const stacks = outputs.map((name) => `${prefix}stack_${name}`);
  editor.add({ op: 'Loop', inputs: [count, ''], outputs: stacks, attributes: { body: { graph } } });
  const tableShape = editor.node('Shape', [table]);
  ports.forEach((port, i) => {
    const rest = port.dims.slice(1).map(Number);
    const columnsSecond = editor.node('Transpose', [stacks[i]], {
      perm: [1, 0, ...rest.map((_, axis) => axis + 2)],
    });
    // A loop that did not run does not know how many rows it would have had.
    const shape = editor.node('Concat', [tableShape, editor.ints(...rest)], { axis: 0 });
    editor.node('Reshape', [columnsSecond, shape], {}, port.name);
    editor.withoutOutput(port.name);
    editor.output({ ...port, dims: [port.dims[0], dimension, ...port.dims.slice(1)] });
  });
  return editor.parts();
}

/** A node with other names for what it reads and makes; names inside its subgraphs stay their own. */
export function renamed(node: GraphNode, names: ReadonlyMap<string, string>): GraphNode {
  const of = (name: string): string => names.get(name) ?? name;
  const attributes = Object.fromEntries(
    Object.entries(node.attributes).map(([key, value]) =>
      typeof value === 'object' && 'graph' in value
        ? [key, { graph: renamedGraph(value.graph, names) }]
        : [key, value],
    ),
  );
  return { ...node, inputs: node.inputs.map(of), outputs: node.outputs.map(of), attributes };
}

function renamedGraph(parts: GraphParts, names: ReadonlyMap<string, string>): GraphParts {
  return {
    ...parts,
    nodes: parts.nodes.map((node) => renamed(node, names)),
    outputs: parts.outputs.map((port) => ({ ...port, name: names.get(port.name) ?? port.name })),
  };
}
