/*
 * Changing a traced graph before it is written: nodes are added in any order and by name; `parts` puts them in an order
 * in which they can run and leaves out what no output needs.
 */
import {
  type Attributes,
  type ConstantData,
  type GraphConstant,
  type GraphNode,
  type GraphParts,
  type GraphPort,
  ONNX_TYPE,
  type OnnxType,
  type Shape,
} from './graph.js';

/** Subgraphs among a node's attributes. */
export function subgraphsOf(node: GraphNode): GraphParts[] {
  return Object.values(node.attributes).flatMap((value) =>
    typeof value === 'object' && 'graph' in value ? [value.graph] : [],
  );
}

/** Values that a graph uses but does not make: what a subgraph takes from the graphs around it. */
export function freeNames(parts: GraphParts): string[] {
  const own = new Set([...parts.inputs, ...parts.constants].map(({ name }) => name));
  for (const node of parts.nodes) for (const name of node.outputs) own.add(name);
  const used = [...parts.nodes.flatMap(namesReadBy), ...parts.outputs.map(({ name }) => name)];
  return [...new Set(used)].filter((name) => !own.has(name));
}

/** Values that a node reads, those that its subgraphs take from outside included. */
export function namesReadBy(node: GraphNode): string[] {
  const named = node.inputs.filter((name) => name !== '');
  return [...named, ...subgraphsOf(node).flatMap(freeNames)];
}

/** Nodes in an order in which each stands after those that it reads from; stable otherwise. */
function inOrder(nodes: readonly GraphNode[]): GraphNode[] {
  const makers = new Map<string, GraphNode>();
  for (const node of nodes) for (const name of node.outputs) makers.set(name, node);
  const done = new Set<GraphNode>();
  const open = new Set<GraphNode>();
  const order: GraphNode[] = [];
  const stack: { readonly node: GraphNode; readonly rest: string[] }[] = [];
  const enter = (node: GraphNode): void => {
    if (done.has(node)) return;
    if (open.has(node)) throw new Error(`the graph has a cycle through ${node.op} -> ${node.outputs[0]}`);
    open.add(node);
    stack.push({ node, rest: namesReadBy(node).reverse() });
  };
  for (const start of nodes) {
    enter(start);
    for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
      const name = top.rest.pop();
      if (name !== undefined) {
        const maker = makers.get(name);
        if (maker !== undefined) enter(maker);
        continue;
      }
      stack.pop();
      open.delete(top.node);
      done.add(top.node);
      order.push(top.node);
    }
  }
  return order;
}

/** The graph with its nodes in order, and without what no output needs. Declared inputs stay. */
export function tidyParts(parts: GraphParts): GraphParts {
  const needed = new Set(parts.outputs.map((port) => port.name));
  const nodes = inOrder(parts.nodes)
    .reverse()
    .filter((node) => {
      if (!node.outputs.some((name) => needed.has(name))) return false;
      for (const name of namesReadBy(node)) needed.add(name);
      return true;
    })
    .reverse();
  return { ...parts, nodes, constants: parts.constants.filter(({ name }) => needed.has(name)) };
}

const BOOL_OPS = new Set(['Equal', 'Greater', 'GreaterOrEqual', 'Less', 'LessOrEqual', 'And', 'Or', 'Not']);
const INT64_OPS = new Set(['Shape', 'Size', 'ArgMax', 'ArgMin', 'NonZero']);

function typeNumbered(number: unknown): OnnxType {
  const found = Object.entries(ONNX_TYPE).find(([, value]) => value === number);
  if (found === undefined) throw new Error(`unknown element type ${String(number)}`);
  return found[0] as OnnxType;
}

/** A graph under change. Names given by `node` and `constant` begin with the editor's prefix. */
export class GraphEditor {
  private readonly nodes: GraphNode[];
  private readonly constants: GraphConstant[];
  private inputs: GraphPort[];
  private outputs: GraphPort[];
  private readonly values: GraphParts['values'];
  private readonly smallConstants = new Map<string, string>();
  private count = 0;

  constructor(
    parts: GraphParts,
    private readonly prefix: string,
  ) {
    this.nodes = [...parts.nodes];
    this.constants = [...parts.constants];
    this.inputs = [...parts.inputs];
    this.outputs = [...parts.outputs];
    this.values = parts.values;
  }

  private fresh(): string {
    return `${this.prefix}${this.count++}`;
  }

  /** Adds a node with several outputs, named by the caller. */
  add(node: GraphNode): void {
    this.nodes.push(node);
  }

  /** Adds a node with one output and returns its name. */
  node(
    op: string,
    inputs: readonly string[],
    attributes: Attributes = {},
    output: string = this.fresh(),
  ): string {
    this.nodes.push({ op, inputs, outputs: [output], attributes });
    return output;
  }

  /** Adds a constant and returns its name; small equal ones are stored once. */
  constant(type: OnnxType, dims: Shape, data: ConstantData): string {
    const key = data.length > 16 ? undefined : `${type}[${dims}]${Array.from<number | bigint>(data)}`;
    const known = key === undefined ? undefined : this.smallConstants.get(key);
    if (known !== undefined) return known;
    const name = this.fresh();
    this.constants.push({ name, type, dims, data });
    if (key !== undefined) this.smallConstants.set(key, name);
    return name;
  }

  /** Adds a constant that has its name. */
  stored(constant: GraphConstant): void {
    this.constants.push(constant);
  }

  /** An int64 list. */
  ints(...values: readonly number[]): string {
    return this.constant('int64', [values.length], BigInt64Array.from(values, BigInt));
  }

  float64(value: number): string {
    return this.constant('float64', [], Float64Array.of(value));
  }

  input(port: GraphPort): string {
    this.inputs.push(port);
    return port.name;
  }

  /** Drops the declaration of an input, whose name a node must make from now on. */
  withoutInput(name: string): void {
    this.inputs = this.inputs.filter((port) => port.name !== name);
  }

  /** The inputs in this order; those not named are dropped. */
  orderInputs(names: readonly string[]): void {
    this.inputs = names.flatMap((name) => this.inputs.filter((port) => port.name === name));
  }

  output(port: GraphPort): void {
    this.outputs.push(port);
  }

  /** Drops an output's declaration; the value can still be used. */
  withoutOutput(name: string): GraphPort | undefined {
    const found = this.outputs.find((port) => port.name === name);
    this.outputs = this.outputs.filter((port) => port.name !== name);
    return found;
  }

  /** The graph as it is, its nodes in any order. */
  raw(): GraphParts {
    const { nodes, constants, inputs, outputs, values } = this;
    return { nodes, constants, inputs, outputs, ...(values === undefined ? {} : { values }) };
  }

  /** The graph in order, without what no output needs. */
  parts(): GraphParts {
    return tidyParts(this.raw());
  }
}

/** Element types of all values of a graph, from what was recorded and from the operators' rules. */
export function elementTypes(parts: GraphParts): ReadonlyMap<string, OnnxType> {
  const types = new Map<string, OnnxType>();
  for (const { name, type } of [...parts.inputs, ...parts.constants]) types.set(name, type);
  for (const node of parts.nodes) {
    node.outputs.forEach((name, i) => {
      const known = parts.values?.get(name)?.dtype ?? outputType(node, i, types);
      if (known !== undefined) types.set(name, known);
    });
  }
  return types;
}

function outputType(
  node: GraphNode,
  place: number,
  types: ReadonlyMap<string, OnnxType>,
): OnnxType | undefined {
  const { op, inputs, attributes } = node;
  if (op === 'Cast') return typeNumbered(attributes.to);
  if (op === 'IsNaN' || BOOL_OPS.has(op)) return 'bool';
  if (INT64_OPS.has(op) || (place === 1 && (op === 'TopK' || op === 'MaxPool'))) return 'int64';
  if (op === 'If' || op === 'Loop')
    return subgraphsOf(node)[0].outputs.at(op === 'If' ? place : place + 1)?.type;
  return types.get(op === 'Where' ? inputs[1] : inputs[0]);
}
