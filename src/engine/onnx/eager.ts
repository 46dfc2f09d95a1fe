import type * as tf from '@tensorflow/tfjs';
import { FactError, messageOf } from '../../core/errors.js';
import {
  asValues,
  Graph,
  type NumericDType,
  type Shape,
  type Sym,
  sameShape,
  sizeOf,
  type Values,
} from './graph.js';
import { lowerings, pointwise } from './lower/index.js';
import type { Attrs, Inputs } from './lower/lowering.js';
import { serializeModel } from './proto.js';
import type { NamedOrtTensors, OrtRuntime, SyncSession } from './session.js';

/** One input of a kernel call with its values. */
export interface EagerInput {
  readonly name: string;
  readonly shape: Shape;
  readonly dtype: NumericDType;
  readonly values: Values;
}

/** One result: its array comes from the allocator that the caller passes. */
export interface EagerOutput {
  readonly shape: Shape;
  readonly dtype: NumericDType;
  readonly values: Values;
}

interface CachedKernel {
  readonly session: SyncSession;
  readonly outputs: readonly Sym[];
  readonly fed: ReadonlySet<string>;
}

/** Kernels that ONNX Runtime computes well on one thread only: sums into places that may repeat. */
const ONE_THREAD = new Set(['UnsortedSegmentSum', 'ScatterNd']);
/** Sessions beyond this number push out the one unused for longest. */
const SESSION_LIMIT = 2048;
/** Stands for "any length" while a flattened kernel is lowered; the graph's own dimension is free. */
const ANY_LENGTH = 1_000_003;

/** Attributes as text; unlike JSON, infinities and NaN stay apart. */
export function attrsKey(attrs: Attrs): string {
  return JSON.stringify(attrs, (_key, value: unknown) =>
    typeof value === 'number' && !Number.isFinite(value) ? String(value) : value,
  );
}

/** Eager execution: each kernel call is a small ONNX graph in a session that is made once per shapes and attributes. */
export class EagerKernels {
  private readonly sessions = new Map<string, CachedKernel>();

  constructor(
    private readonly runtime: OrtRuntime,
    private readonly allocate: (dtype: NumericDType, size: number) => Values,
  ) {}

  get sessionCount(): number {
    return this.sessions.size;
  }

  /** Runs a kernel that has a lowering. Throws FactError E_KERNEL with ONNX Runtime's reason. */
  run(kernel: string, inputs: readonly EagerInput[], attrs: Attrs): EagerOutput[] {
    const flat = pointwise.has(kernel) ? flatLength(inputs) : undefined;
    const key = flat === undefined ? shapedKey(kernel, inputs, attrs) : flatKey(kernel, inputs, attrs);
    try {
      const cached =
        this.cached(key) ?? this.store(key, this.build(kernel, inputs, attrs, flat !== undefined));
      return this.execute(cached, inputs, flat);
    } catch (error) {
      if (error instanceof FactError) throw error;
      throw new FactError({
        code: 'E_KERNEL',
        message: `kernel ${kernel} on [${inputs.map((input) => input.shape.join('x')).join('], [')}]: ${messageOf(error).split('\n')[0]}`,
        remedy: 'This is a fault in the onnx engine: please report it; --engine wasm may go on meanwhile.',
        cause: error,
      });
    }
  }

  dispose(): void {
    for (const { session } of this.sessions.values()) session.dispose();
    this.sessions.clear();
  }

  private cached(key: string): CachedKernel | undefined {
    const found = this.sessions.get(key);
    if (found === undefined) return undefined;
    // A map keeps insertion order: the first key is always the one unused for longest.
    this.sessions.delete(key);
    this.sessions.set(key, found);
    return found;
  }

  private store(key: string, kernel: CachedKernel): CachedKernel {
    this.sessions.set(key, kernel);
    if (this.sessions.size > SESSION_LIMIT) {
      const [oldest] = this.sessions;
      oldest[1].session.dispose();
      this.sessions.delete(oldest[0]);
    }
    return kernel;
  }

  private build(kernel: string, inputs: readonly EagerInput[], attrs: Attrs, flat: boolean): CachedKernel {
    const graph = new Graph(ONE_THREAD.has(kernel));
    const declare = ({ name, shape, dtype }: EagerInput): Sym => {
      if (!flat || isScalar(shape)) return graph.input(`i_${name}`, flat ? [] : shape, dtype);
      return graph.input(`i_${name}`, [ANY_LENGTH], dtype, ['length']);
    };
    const syms: Inputs = Object.fromEntries(inputs.map((input) => [input.name, declare(input)]));
    const outputs = lower(kernel, graph, syms, attrs);
    outputs.forEach((sym, i) => {
      graph.output(sym, `o${i}`, flat ? sym.shape.map(() => 'length') : sym.shape);
    });
    const parts = graph.parts();
    const session = this.runtime.syncSession(serializeModel(parts, kernel), graph.isOneThread);
    return { session, outputs, fed: new Set(parts.inputs.map((port) => port.name)) };
  }

  private execute(
    kernel: CachedKernel,
    inputs: readonly EagerInput[],
    flat: Shape | undefined,
  ): EagerOutput[] {
    const length = flat === undefined ? 0 : sizeOf(flat);
    const seen = (shape: Shape): Shape => {
      if (flat === undefined) return shape;
      return isScalar(shape) ? [] : [length];
    };
    const feeds: NamedOrtTensors = {};
    for (const { name, shape, dtype, values } of inputs) {
      const port = `i_${name}`;
      if (kernel.fed.has(port)) feeds[port] = this.runtime.tensor(dtype, values, seen(shape));
    }
    const fetches: NamedOrtTensors = {};
    const results = kernel.outputs.map((output, i) => {
      const shape = flat ?? output.shape;
      const values = this.allocate(output.dtype, sizeOf(shape));
      fetches[`o${i}`] = this.runtime.tensor(output.dtype, values, seen(shape));
      return { shape, dtype: output.dtype, values };
    });
    kernel.session.run(feeds, fetches);
    return results;
  }
}

/** Lowers one kernel; FactError E_NO_LOWERING where there is none. */
export function lower(kernel: string, graph: Graph, inputs: Inputs, attrs: Attrs): Sym[] {
  const lowering = lowerings.get(kernel);
  if (lowering === undefined) {
    throw new FactError({
      code: 'E_NO_LOWERING',
      message: `kernel ${kernel} has no ONNX form, so a function that uses it cannot be compiled`,
      remedy: 'Express the operation through other tfjs operations, or run with --no-compile.',
    });
  }
  const result = lowering(graph, inputs, attrs);
  return Array.isArray(result) ? result : [result];
}

/** A kernel input as eager execution takes it. */
export function eagerInput(name: string, info: tf.TensorInfo, values: ArrayLike<number>): EagerInput {
  const dtype = info.dtype as NumericDType;
  return { name, shape: info.shape, dtype, values: asValues(values, dtype) };
}

function isScalar(shape: Shape): boolean {
  return sizeOf(shape) === 1;
}

/** The common shape of all inputs but scalars, or undefined where they differ or scalars have the greater rank. */
function flatLength(inputs: readonly EagerInput[]): Shape | undefined {
  const arrays = inputs.filter((input) => !isScalar(input.shape));
  const [first] = arrays;
  if (first === undefined) return undefined;
  const fits = inputs.every((input) =>
    isScalar(input.shape) ? input.shape.length <= first.shape.length : sameShape(input.shape, first.shape),
  );
  return fits ? first.shape : undefined;
}

function shapedKey(kernel: string, inputs: readonly EagerInput[], attrs: Attrs): string {
  return `${kernel}${attrsKey(attrs)}${inputs.map((input) => `${input.dtype}${input.shape}`).join('|')}`;
}

function flatKey(kernel: string, inputs: readonly EagerInput[], attrs: Attrs): string {
  return `${kernel}${attrsKey(attrs)}${inputs.map((input) => `${input.dtype}${isScalar(input.shape) ? '.' : '*'}`).join('|')}`;
}
