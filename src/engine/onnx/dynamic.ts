import { FactError } from '../../core/errors.js';
import {
  type ConstantData,
  type GraphConstant,
  type GraphNode,
  type GraphParts,
  type GraphPort,
  ONNX_TYPE,
  type Values,
  type ValueType,
} from './graph.js';

/**
 * A graph with a free batch size, from two traces of one function at different batch sizes.
 *
 * Both traces have the same nodes; only constants may differ. At two primes larger than any other number in the
 * graph, an integer that differs must be a multiple of the batch, and a float a multiple or a fraction of it; an array
 * as long as the batch must count up in equal steps, or hold the same row for every image. Such constants are computed from the batch size when the graph runs.
 */

/** The free dimension's name in the file. */
export const BATCH = 'batch';
/** Two primes to trace at: no other number of a network is a multiple of both. */
export const TRACE_BATCHES = [101, 103] as const;

const SCALAR_TOLERANCE = 1e-5;

class BatchMerger {
  private readonly constants: GraphConstant[] = [];
  private readonly prelude: GraphNode[] = [];
  private sizeName: string | undefined;

  constructor(
    private readonly a: GraphParts,
    private readonly b: GraphParts,
    private readonly name: string,
    private readonly batches: readonly [number, number],
  ) {}

  merge(): GraphParts {
    const { a, b } = this;
    const nodesDiffer =
      a.nodes.length !== b.nodes.length || a.nodes.some((node, i) => !sameNode(node, b.nodes[i]));
    if (nodesDiffer || a.constants.length !== b.constants.length) {
      throw this.error('its nodes differ between batch sizes');
    }
    a.constants.forEach((constant, i) => {
      this.mergeConstant(constant, b.constants[i]);
    });
    return {
      nodes: [...this.prelude, ...a.nodes],
      constants: this.constants,
      inputs: this.ports(a.inputs, b.inputs),
      outputs: this.ports(a.outputs, b.outputs),
      values: this.values(),
    };
  }

  /** What is known of the values at any batch size; a size that depends on it is -1. */
  private values(): Map<string, ValueType> {
    return new Map(
      [...(this.a.values ?? [])].map(([name, { shape, dtype }]) => {
        const other = this.b.values?.get(name)?.shape;
        return [name, { dtype, shape: shape.map((size, i) => (size === other?.[i] ? size : -1)) }];
      }),
    );
  }

  private mergeConstant(one: GraphConstant, two: GraphConstant): void {
    const [oneRamp, twoRamp] = [rampOf(one, this.batches[0]), rampOf(two, this.batches[1])];
    if (oneRamp !== null && twoRamp !== null && oneRamp.axis === twoRamp.axis && sameRule(oneRamp, twoRamp)) {
      this.mergeRamp(one, oneRamp);
      return;
    }
    const [oneRow, twoRow] = [repeatedRow(one, this.batches[0]), repeatedRow(two, this.batches[1])];
    if (oneRow !== null && twoRow !== null && sameNumbers(oneRow, twoRow)) {
      this.mergeRepeated(one, oneRow);
      return;
    }
    if (one.data.length !== two.data.length || one.type !== two.type) {
      throw this.error(
        `a constant has ${one.data.length} elements at one batch size and ${two.data.length} at another`,
      );
    }
    if (sameNumbers(one.data, two.data)) this.constants.push(one);
    else if (one.type === 'int64') this.mergeShape(one, two);
    else if (one.type === 'float32' && one.data.length === 1) this.mergeScalar(one, two);
    else throw this.error('a constant array depends on the batch size');
  }

  /** start, start + step, ... along the batch: counted when the graph runs. */
  private mergeRamp(one: GraphConstant, { axis, start, step }: Ramp): void {
    const scalar = (suffix: string, value: number): string => {
      const name = `${one.name}_${suffix}`;
      const data = one.type === 'int32' ? Int32Array.of(value) : BigInt64Array.of(BigInt(value));
      this.constants.push({ name, type: one.type, dims: [], data });
      return name;
    };
    const [first, by] = [scalar('start', start), scalar('step', step)];
    const [count, length, end, list] = ['count', 'length', 'end', 'list'].map(
      (suffix) => `${one.name}_${suffix}`,
    );
    this.constants.push({ name: `${one.name}_scalar`, type: 'int64', dims: [0], data: new BigInt64Array(0) });
    const dims = BigInt64Array.from(one.dims, (size, i) => BigInt(i === axis ? -1 : size));
    this.constants.push({ name: `${one.name}_dims`, type: 'int64', dims: [dims.length], data: dims });
    this.prelude.push(
      { op: 'Reshape', inputs: [this.size(), `${one.name}_scalar`], outputs: [count], attributes: {} },
      { op: 'Cast', inputs: [count], outputs: [length], attributes: { to: ONNX_TYPE[one.type] } },
      { op: 'Mul', inputs: [length, by], outputs: [`${end}_0`], attributes: {} },
      { op: 'Add', inputs: [`${end}_0`, first], outputs: [end], attributes: {} },
      { op: 'Range', inputs: [first, end, by], outputs: [list], attributes: {} },
      { op: 'Reshape', inputs: [list, `${one.name}_dims`], outputs: [one.name], attributes: {} },
    );
  }

  /** The same row for every image. */
  private mergeRepeated(one: GraphConstant, row: ConstantData): void {
    const name = `${one.name}_row`;
    this.constants.push({ name, type: one.type, dims: [1, ...one.dims.slice(1)], data: row });
    const rest = one.dims.slice(1).map((_, i) => this.ints(`${one.name}_${i + 1}`, 1));
    const shape = `${one.name}_shape`;
    this.prelude.push(
      { op: 'Concat', inputs: [this.size(), ...rest], outputs: [shape], attributes: { axis: 0 } },
      { op: 'Expand', inputs: [name, shape], outputs: [one.name], attributes: {} },
    );
  }

  /** An int64 list: each differing entry is a multiple of the batch. */
  private mergeShape(one: GraphConstant, two: GraphConstant): void {
    const [first, second] = [one, two].map(({ data }) => Array.from(data as BigInt64Array, Number));
    const factors = first.map((value, i) => (value === second[i] ? null : value / this.batches[0]));
    factors.forEach((factor, i) => {
      if (factor === null) return;
      if (!Number.isInteger(factor) || factor * this.batches[1] !== second[i]) {
        throw this.error(
          `${first[i]} at batch ${this.batches[0]} is ${second[i]} at batch ${this.batches[1]}`,
        );
      }
    });
    const users = this.a.nodes.filter((node) => node.inputs.includes(one.name));
    const isOneFree = factors.filter((factor) => factor !== null).length === 1;
    if (isOneFree && users.every((node) => node.op === 'Reshape')) {
      // Reshape finds out one dimension by itself.
      const data = BigInt64Array.from(first, (value, i) => BigInt(factors[i] === null ? value : -1));
      this.constants.push({ ...one, data });
      return;
    }
    const entries = factors.map((factor, i) =>
      factor === null ? this.ints(`${one.name}_${i}`, first[i]) : this.multiple(`${one.name}_${i}`, factor),
    );
    this.prelude.push({ op: 'Concat', inputs: entries, outputs: [one.name], attributes: { axis: 0 } });
  }

  /** A float: c times the batch size, or c divided by it. */
  private mergeScalar(one: GraphConstant, two: GraphConstant): void {
    const [first, second] = [Number((one.data as Values)[0]), Number((two.data as Values)[0])];
    const [a, b] = this.batches;
    const isClose = (x: number, y: number): boolean => Math.abs(x - y) <= SCALAR_TOLERANCE * Math.abs(x);
    const isFraction = isClose(first * a, second * b);
    if (!isFraction && !isClose(first / a, second / b)) {
      throw this.error(`the number ${first} at batch ${a} is ${second} at batch ${b}`);
    }
    const factor = `${one.name}_factor`;
    this.constants.push({
      name: factor,
      type: 'float32',
      dims: one.dims,
      data: Float32Array.of(isFraction ? first * a : first / a),
    });
    const shape = this.constants.push({
      name: `${one.name}_dims`,
      type: 'int64',
      dims: [one.dims.length],
      data: BigInt64Array.from(one.dims, BigInt),
    });
    const [asFloat, size] = [`${one.name}_float`, `${one.name}_size`];
    this.prelude.push(
      { op: 'Cast', inputs: [this.size()], outputs: [asFloat], attributes: { to: ONNX_TYPE.float32 } },
      { op: 'Reshape', inputs: [asFloat, this.constants[shape - 1].name], outputs: [size], attributes: {} },
      { op: isFraction ? 'Div' : 'Mul', inputs: [factor, size], outputs: [one.name], attributes: {} },
    );
  }

  private multiple(name: string, factor: number): string {
    if (factor === 1) return this.size();
    this.prelude.push({
      op: 'Mul',
      inputs: [this.size(), this.ints(`${name}_factor`, factor)],
      outputs: [name],
      attributes: {},
    });
    return name;
  }

  /** The batch size as an int64 list of one, read from an input's shape. */
  private size(): string {
    if (this.sizeName !== undefined) return this.sizeName;
    const source = this.a.inputs.find((port, i) => port.dims[0] !== this.b.inputs[i].dims[0]);
    if (source === undefined) throw this.error('no input has the batch as its first dimension');
    this.prelude.push({
      op: 'Shape',
      inputs: [source.name],
      outputs: ['batch_size'],
      attributes: { start: 0, end: 1 },
    });
    this.sizeName = 'batch_size';
    return this.sizeName;
  }

  private ints(name: string, value: number): string {
    this.constants.push({ name, type: 'int64', dims: [1], data: BigInt64Array.of(BigInt(value)) });
    return name;
  }

  private ports(a: readonly GraphPort[], b: readonly GraphPort[]): GraphPort[] {
    return a.map((port, i) => ({
      ...port,
      dims: port.dims.map((size, axis) => {
        if (size === b[i].dims[axis]) return size;
        if (size !== this.batches[0])
          throw this.error(`"${port.name}" has a multiple of the batch as a dimension`);
        return BATCH;
      }),
    }));
  }

  private error(reason: string): FactError {
    return new FactError({
      code: 'E_DYNAMIC_BATCH',
      message: `${this.name}: cannot be written for any batch size: ${reason}`,
      remedy: 'Export it for a fixed batch size.',
    });
  }
}

/** Merges two traces of one function. Throws FactError E_DYNAMIC_BATCH where they differ in more than the batch. */
export function mergeBatches(
  a: GraphParts,
  b: GraphParts,
  name: string,
  batches: readonly [number, number] = TRACE_BATCHES,
): GraphParts {
  return new BatchMerger(a, b, name, batches).merge();
}

function sameNumbers(a: ConstantData, b: ConstantData): boolean {
  return Array.prototype.every.call(a, (value, i) => Object.is(value, b[i]));
}

/** The row of an array [batch, ...] whose rows are all equal, or null. */
function repeatedRow({ type, dims, data }: GraphConstant, batch: number): ConstantData | null {
  if (type !== 'float32' || dims[0] !== batch) return null;
  const length = data.length / batch;
  const isRepeated = Array.prototype.every.call(data, (value, i) => Object.is(value, data[i % length]));
  return isRepeated ? data.slice(0, length) : null;
}

/** An array start, start + step, ... along its one axis of the batch's length; all other axes have one element. */
interface Ramp {
  readonly axis: number;
  readonly start: number;
  readonly step: number;
}

function rampOf({ type, dims, data }: GraphConstant, batch: number): Ramp | null {
  if ((type !== 'int32' && type !== 'int64') || data.length !== batch) return null;
  const values = Array.from<number | bigint, number>(data, Number);
  const [start, step] = [values[0], values[1] - values[0]];
  const isRamp = step > 0 && values.every((value, i) => value === start + i * step);
  return isRamp ? { axis: dims.indexOf(batch), start, step } : null;
}

function sameRule(a: Ramp, b: Ramp): boolean {
  return a.start === b.start && a.step === b.step;
}

function sameNode(a: GraphNode, b: GraphNode): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
