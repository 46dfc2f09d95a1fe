import { namesReadBy, tidyParts } from '../edit.js';
import {
  type Attributes,
  type ConstantData,
  type GraphConstant,
  type GraphNode,
  type GraphParts,
  type NumericDType,
  type OnnxType,
  type Shape,
  sizeOf,
  type ValueType,
} from '../graph.js';

/** A node whose inputs a pass may replace. */
export interface LiveNode {
  readonly op: string;
  readonly inputs: string[];
  readonly outputs: readonly string[];
  readonly attributes: Attributes;
}

/**
 * A graph while a pass works on it: who makes a value and who reads it, constants, shapes. New nodes and constants get
 * names that begin with the pass's; equal ones are made once. `parts` brings the nodes into order and drops the unused.
 */
export class Rewriter {
  private readonly live: LiveNode[];
  private readonly constants = new Map<string, GraphConstant>();
  private readonly types: Map<string, ValueType>;
  private readonly makers = new Map<string, LiveNode>();
  private readonly readersByName = new Map<string, Set<LiveNode>>();
  private readonly madeNodes = new Map<string, string>();
  private readonly madeConstants = new Map<string, string>();
  private readonly outputNames: ReadonlySet<string>;
  private count = 0;

  constructor(
    private readonly source: GraphParts,
    private readonly prefix: string,
  ) {
    for (const constant of source.constants) this.constants.set(constant.name, constant);
    this.types = new Map(source.values);
    for (const { name, type, dims } of source.inputs) {
      if (type === 'float32' || type === 'int32' || type === 'bool')
        this.types.set(name, {
          dtype: type,
          shape: dims.map((size) => (typeof size === 'number' ? size : -1)),
        });
    }
    this.outputNames = new Set(source.outputs.map((port) => port.name));
    this.live = source.nodes.map((node) => ({ ...node, inputs: [...node.inputs] }));
    for (const node of this.live) this.register(node);
  }

  /** The nodes as they stand, in the order of the graph; new ones follow at the end. */
  get nodes(): readonly LiveNode[] {
    return this.live;
  }

  /** The node that computes a value; undefined for inputs and constants. */
  maker(name: string): LiveNode | undefined {
    return this.makers.get(name);
  }

  /** The node that computes a value, if it is of the given kind. */
  madeBy(name: string, op: string): LiveNode | undefined {
    const node = this.makers.get(name);
    return node?.op === op ? node : undefined;
  }

  /** The nodes that read a value, subgraphs included. */
  readers(name: string): readonly LiveNode[] {
    return [...(this.readersByName.get(name) ?? [])];
  }

  isOutput(name: string): boolean {
    return this.outputNames.has(name);
  }

  constant(name: string): GraphConstant | undefined {
    return this.constants.get(name);
  }

  /** The numbers of a float32 constant. */
  floatsOf(name: string): Float32Array | undefined {
    const constant = this.constants.get(name);
    return constant?.type === 'float32' ? (constant.data as Float32Array) : undefined;
  }

  /** The numbers of an integer constant: axes, shapes and the like. */
  integersOf(name: string | undefined): number[] | undefined {
    const constant = name === undefined ? undefined : this.constants.get(name);
    if (constant === undefined || (constant.type !== 'int64' && constant.type !== 'int32')) return undefined;
    return Array.from(constant.data as BigInt64Array | Int32Array, Number);
  }

  /** The shape of a value; undefined where it is not known. */
  shape(name: string): Shape | undefined {
    return this.constants.get(name)?.dims ?? this.types.get(name)?.shape;
  }

  /** Adds a node with one output, or finds an equal one that this pass has added; returns the output's name. */
  node(
    op: string,
    inputs: readonly string[],
    shape: Shape,
    attributes: Attributes = {},
    dtype: NumericDType = 'float32',
  ): string {
    const key = JSON.stringify([op, inputs, attributes]);
    const known = this.madeNodes.get(key);
    if (known !== undefined) return known;
    const name = this.fresh();
    this.add({ op, inputs, outputs: [name], attributes });
    this.types.set(name, { shape, dtype });
    this.madeNodes.set(key, name);
    return name;
  }

  /** Adds a node with several outputs; returns their names. */
  nodeWith(op: string, inputs: readonly string[], attributes: Attributes, outputs: number): string[] {
    const names = Array.from({ length: outputs }, () => this.fresh());
    this.add({ op, inputs, outputs: names, attributes });
    return names;
  }

  /** Adds a constant; small equal ones are stored once. */
  addConstant(type: OnnxType, dims: Shape, data: ConstantData): string {
    const key = data.length > 64 ? undefined : `${type}[${dims}]${Array.from<number | bigint>(data)}`;
    const known = key === undefined ? undefined : this.madeConstants.get(key);
    if (known !== undefined) return known;
    const name = this.fresh();
    this.constants.set(name, { name, type, dims, data });
    if (key !== undefined) this.madeConstants.set(key, name);
    return name;
  }

  floats(dims: Shape, data: Float32Array): string {
    return this.addConstant('float32', dims, data);
  }

  /** A large constant whose numbers are computed when they are first read: most of those tried are not kept. */
  lazyFloats(dims: Shape, compute: () => Float32Array): string {
    const name = this.fresh();
    let data: Float32Array | undefined;
    this.constants.set(name, {
      name,
      type: 'float32',
      dims,
      get data() {
        data ??= compute();
        return data;
      },
    });
    return name;
  }

  /** A list of integers: a shape, axes, starts. */
  ints(values: readonly number[]): string {
    return this.addConstant('int64', [values.length], BigInt64Array.from(values, BigInt));
  }

  /** x in another shape. */
  reshape(x: string, shape: Shape): string {
    return this.node('Reshape', [x, this.ints(shape)], shape);
  }

  transpose(x: string, perm: readonly number[]): string {
    const shape = this.shape(x) as Shape;
    return this.node(
      'Transpose',
      [x],
      perm.map((axis) => shape[axis]),
      { perm },
    );
  }

  /** Lets one input of a node be another value. */
  setInput(node: LiveNode, place: number, name: string): void {
    const old = node.inputs[place];
    node.inputs[place] = name;
    this.noteReader(name, node);
    if (!node.inputs.includes(old)) this.forgetReader(old, node);
  }

  /** Whether anything reads what a node computes. */
  isUsed(node: LiveNode): boolean {
    return node.outputs.some((name) => this.isOutput(name) || (this.readersByName.get(name)?.size ?? 0) > 0);
  }

  /** Lets all readers of a value, or those given, read another one. */
  replace(old: string, name: string, readers: readonly LiveNode[] = this.readers(old)): void {
    for (const node of readers) {
      node.inputs.forEach((input, place) => {
        if (input === old) this.setInput(node, place, name);
      });
    }
  }

  /** The graph in order, without what no output needs. */
  parts(): GraphParts {
    return tidyParts({
      ...this.source,
      nodes: this.live,
      constants: [...this.constants.values()],
      values: this.types,
    });
  }

  private fresh(): string {
    return `${this.prefix}.${this.count++}`;
  }

  private add(node: GraphNode): void {
    const live = { ...node, inputs: [...node.inputs] };
    this.live.push(live);
    this.register(live);
  }

  private register(node: LiveNode): void {
    for (const name of node.outputs) this.makers.set(name, node);
    for (const name of namesReadBy(node)) this.noteReader(name, node);
  }

  /** A value has one reader less; a node that nobody reads any more reads nothing either. */
  private forgetReader(name: string, node: LiveNode): void {
    const readers = this.readersByName.get(name);
    readers?.delete(node);
    const maker = this.makers.get(name);
    if (maker === undefined || readers?.size !== 0 || this.isUsed(maker)) return;
    for (const input of new Set(maker.inputs)) this.forgetReader(input, maker);
  }

  private noteReader(name: string, node: LiveNode): void {
    const readers = this.readersByName.get(name) ?? new Set();
    this.readersByName.set(name, readers.add(node));
    const maker = this.makers.get(name);
    // A node that was not read any more reads its inputs again.
    if (readers.size === 1 && maker !== undefined)
      for (const input of new Set(maker.inputs)) this.noteReader(input, maker);
  }
}

/** Number of elements of a value whose shape is known, else Infinity. */
export function elementsOf(rewriter: Rewriter, name: string): number {
  const shape = rewriter.shape(name);
  return shape === undefined || shape.some((size) => size < 0) ? Number.POSITIVE_INFINITY : sizeOf(shape);
}
