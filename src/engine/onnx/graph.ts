import { FactError } from '../../core/errors.js';

/** Element types that a lowered kernel may read or write. */
export type NumericDType = 'float32' | 'int32' | 'bool';
export type Values = Float32Array | Int32Array | Uint8Array;
export type Shape = readonly number[];

/** A float attribute of a node; a plain number is an integer attribute. */
export interface FloatAttribute {
  readonly float: number;
}
/** A subgraph as attribute: branches of `If`, the body of `Loop`. It may use values of the graphs around it by name. */
export interface GraphAttribute {
  readonly graph: GraphParts;
}
export type AttributeValue = number | string | readonly number[] | FloatAttribute | GraphAttribute;
export type Attributes = Readonly<Record<string, AttributeValue>>;

/** ONNX tensor types, by our name: https://onnx.ai/onnx/api/classes.html#tensorproto (enum DataType). */
export const ONNX_TYPE = {
  float32: 1,
  uint8: 2,
  int8: 3,
  int32: 6,
  int64: 7,
  bool: 9,
  float16: 10,
  float64: 11,
} as const;
export type OnnxType = keyof typeof ONNX_TYPE;

/**
 * A value of the graph under construction: shape and dtype are known, the numbers are not, unless it is a constant
 * (`values`, or `uniform` where all elements are equal). A constant gets a name only when a node needs it.
 */
export interface Sym {
  readonly shape: Shape;
  readonly dtype: NumericDType;
  name?: string;
  readonly values?: Values;
  readonly uniform?: number;
  /** The value that this one is a reshaped view of. */
  readonly origin?: Sym;
  /** The value x of which this is 1 - x. */
  readonly oneMinus?: Sym;
  /** The value x of which this is [x, 1 - x] along the last axis. */
  readonly withInverse?: Sym;
  /** The value whose elements this one has squared. */
  readonly square?: Sym;
  /** The value that this one is the sum of over `axes`, which stay as axes of one element. */
  readonly sum?: { readonly of: Sym; readonly axes: readonly number[] };
  /** The value that this one is with its axes in the order `perm`; written only where a node asks for it so. */
  readonly view?: { readonly of: Sym; readonly perm: readonly number[] };
}

export interface GraphNode {
  readonly op: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: Attributes;
}

/** Numbers as a file holds them; float16 as their bits. */
export type ConstantData = Values | BigInt64Array | Float64Array | Uint16Array | Int8Array;

export interface GraphConstant {
  readonly name: string;
  readonly type: OnnxType;
  readonly dims: Shape;
  readonly data: ConstantData;
}

/** Input or output of the whole graph. A string dimension is free, its name the same wherever the sizes agree. */
export interface GraphPort {
  readonly name: string;
  readonly type: OnnxType;
  readonly dims: readonly (number | string)[];
  /** The shape is not declared (results of subgraphs only); `dims` says nothing then. */
  readonly isShapeless?: boolean;
}

/** What is known of a value before it is computed. */
export interface ValueType {
  readonly shape: Shape;
  readonly dtype: NumericDType;
}

/** A graph ready to be written: only what the outputs depend on. */
export interface GraphParts {
  readonly nodes: readonly GraphNode[];
  readonly constants: readonly GraphConstant[];
  readonly inputs: readonly GraphPort[];
  readonly outputs: readonly GraphPort[];
  /** Shape and dtype of what nodes compute, by name, where known; passes read it, files do not hold it. */
  readonly values?: ReadonlyMap<string, ValueType>;
}

/** Constants up to this many elements are compared by value, so that equal ones are stored once. */
const SMALL_CONSTANT = 64;

export function sizeOf(shape: Shape): number {
  return shape.reduce((product, dimension) => product * dimension, 1);
}

export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((dimension, i) => dimension === b[i]);
}

/** -0 and 0 print alike but differ. */
function textOfValue(value: number | bigint): string {
  return Object.is(value, -0) ? '-0' : String(value);
}

/** Values at even distances, as many as a small constant has. */
function sampleOf(data: Values | BigInt64Array): (number | bigint)[] {
  const step = data.length / SMALL_CONSTANT;
  return Array.from({ length: SMALL_CONSTANT }, (_, i) => data[Math.floor(i * step)]);
}

/** An array of 4-byte elements as plain integers: equal bits are equal, -0 differs from 0, and NaN equals itself. */
function bitsOf(data: ConstantData): Int32Array | Uint8Array {
  return data.byteLength % 4 === 0 && data.byteOffset % 4 === 0
    ? new Int32Array(data.buffer, data.byteOffset, data.byteLength / 4)
    : new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

/** Whether two constants of one type hold the same bits; a plain loop, since weights have millions of elements. */
function sameValues(a: ConstantData, b: ConstantData): boolean {
  if (a === b) return true;
  if (a.byteLength !== b.byteLength) return false;
  const left = bitsOf(a);
  const right = bitsOf(b);
  if (left.length !== right.length) return false;
  for (let i = 0; i < left.length; i++) if (left[i] !== right[i]) return false;
  return true;
}

/**
 * An ONNX graph under construction. Equal nodes are made once (common subexpressions), large uniform constants are
 * never stored, and nodes that no output needs are left out by `parts`.
 */
export class Graph {
  private readonly nodes: GraphNode[] = [];
  private readonly constants: GraphConstant[] = [];
  private readonly inputs: GraphPort[] = [];
  private readonly outputs: GraphPort[] = [];
  private readonly constantsByKey = new Map<string, readonly GraphConstant[]>();
  private readonly nodeOutputs = new Map<string, readonly string[]>();
  private readonly largest = new Map<number, number>();
  private readonly values = new Map<string, ValueType>();
  private valueCount = 0;

  /** @param isOneThread it will run on one thread: sums into places are then made in order */
  constructor(readonly isOneThread: boolean = false) {}

  /** Declares an input; `dims` may replace the shape where a dimension is to stay free. */
  input(name: string, shape: Shape, dtype: NumericDType, dims: readonly (number | string)[] = shape): Sym {
    this.inputs.push({ name, type: dtype, dims });
    return { shape, dtype, name };
  }

  output(sym: Sym, name: string, dims: readonly (number | string)[] = sym.shape): void {
    this.nodes.push({ op: 'Identity', inputs: [this.nameOf(sym)], outputs: [name], attributes: {} });
    this.outputs.push({ name, type: sym.dtype, dims });
  }

  /** The name of a value for use as a node's input; writes a constant when first asked for. */
  nameOf(sym: Sym): string {
    sym.name ??= sym.view === undefined ? this.writeConstant(sym) : this.writeView(sym.view);
    return sym.name;
  }

  /** A one-dimensional int64 constant: shapes, axes, starts and the like. */
  ints(values: readonly number[]): string {
    return this.constant('int64', [values.length], BigInt64Array.from(values, BigInt));
  }

  /** A float32 scalar as a node input. */
  scalar(value: number): string {
    return this.constant('float32', [], Float32Array.of(value));
  }

  /** A scalar constant value. */
  scalarSym(value: number, dtype: NumericDType = 'float32'): Sym {
    const values =
      dtype === 'float32'
        ? Float32Array.of(value)
        : dtype === 'int32'
          ? Int32Array.of(value)
          : Uint8Array.of(value);
    return { shape: [], dtype, values, uniform: values[0] };
  }

  /** A constant as a node input; equal ones are stored once. */
  constant(type: OnnxType, dims: Shape, data: Values | BigInt64Array): string {
    // Few values are the whole key; of many, some are: what then looks alike is compared value by value.
    const sample = data.length <= SMALL_CONSTANT ? data : sampleOf(data);
    const key = `${type}[${dims}]${Array.from<number | bigint, string>(sample, textOfValue).join()}`;
    const alike = this.constantsByKey.get(key) ?? [];
    const known = alike.find((other) => sameValues(other.data, data));
    if (known !== undefined) return known.name;
    const constant = { name: `c${this.constants.length}`, type, dims, data };
    this.constants.push(constant);
    this.constantsByKey.set(key, [...alike, constant]);
    return constant.name;
  }

  /** Adds a node (or finds an equal one) and returns the names of its outputs. */
  emitAll(
    op: string,
    inputs: readonly string[],
    attributes: Attributes,
    outputCount: number,
  ): readonly string[] {
    const key = JSON.stringify([op, inputs, attributes]);
    const known = this.nodeOutputs.get(key);
    if (known !== undefined && known.length >= outputCount) return known;
    const outputs = Array.from({ length: outputCount }, () => `t${this.valueCount++}`);
    this.nodes.push({ op, inputs, outputs, attributes });
    this.nodeOutputs.set(key, outputs);
    return outputs;
  }

  /** Adds a node with one output and returns its name. */
  emit(op: string, inputs: readonly string[], attributes: Attributes = {}): string {
    return this.emitAll(op, inputs, attributes, 1)[0];
  }

  /** Adds a node whose one output is a value of the given shape and dtype. */
  node(
    op: string,
    inputs: readonly (Sym | string)[],
    shape: Shape,
    dtype: NumericDType,
    attributes: Attributes = {},
  ): Sym {
    const names = inputs.map((input) => (typeof input === 'string' ? input : this.nameOf(input)));
    if (shape.length > 0)
      this.largest.set(shape[0], Math.max(sizeOf(shape), this.largest.get(shape[0]) ?? 0));
    const name = this.emit(op, names, attributes);
    this.values.set(name, { shape, dtype });
    return { shape, dtype, name };
  }

  /** Number of elements of the largest computed value with so many rows. */
  largestWithRows(rows: number): number {
    return this.largest.get(rows) ?? 0;
  }

  /** What the outputs depend on, in order. */
  parts(): GraphParts {
    const needed = new Set(this.outputs.map((port) => port.name));
    const nodes: GraphNode[] = [];
    for (const node of this.nodes.toReversed()) {
      if (!node.outputs.some((name) => needed.has(name))) continue;
      nodes.push(node);
      for (const name of node.inputs) needed.add(name);
    }
    return {
      nodes: nodes.reverse(),
      constants: this.constants.filter((constant) => needed.has(constant.name)),
      inputs: this.inputs.filter((port) => needed.has(port.name)),
      outputs: this.outputs,
      values: this.values,
    };
  }

  private writeView({ of, perm }: NonNullable<Sym['view']>): string {
    const shape = perm.map((axis) => of.shape[axis]);
    return this.nameOf(this.node('Transpose', [of], shape, of.dtype, { perm }));
  }

  private writeConstant(sym: Sym): string {
    const size = sizeOf(sym.shape);
    if (sym.uniform !== undefined && size > SMALL_CONSTANT) {
      const scalar = this.constant(sym.dtype, [], filled(sym.dtype, 1, sym.uniform));
      const name = this.emit('Expand', [scalar, this.ints(sym.shape)]);
      this.values.set(name, { shape: sym.shape, dtype: sym.dtype });
      return name;
    }
    const values =
      sym.values ?? (sym.uniform === undefined ? undefined : filled(sym.dtype, size, sym.uniform));
    if (values === undefined) {
      throw new FactError({
        code: 'E_TRACE_INTERNAL',
        message: `a value of shape [${sym.shape}] has neither a name nor a constant`,
        remedy: 'This is a fault in the tracer: please report it with the function that was compiled.',
      });
    }
    return this.constant(sym.dtype, sym.shape, values);
  }
}

/** A new array of the dtype's kind, every element `value`. */
export function filled(dtype: NumericDType, size: number, value: number): Values {
  return newValues(dtype, size).fill(value);
}

/** A new zeroed array of the dtype's kind. */
export function newValues(dtype: NumericDType, size: number): Values {
  if (dtype === 'float32') return new Float32Array(size);
  return dtype === 'int32' ? new Int32Array(size) : new Uint8Array(size);
}

/** The values as an array of the dtype's own kind; the same array where it already is. */
export function asValues(values: ArrayLike<number>, dtype: NumericDType): Values {
  if (dtype === 'float32') return values instanceof Float32Array ? values : Float32Array.from(values);
  if (dtype === 'int32') return values instanceof Int32Array ? values : Int32Array.from(values);
  return values instanceof Uint8Array ? values : Uint8Array.from(values);
}
