import { FactError, messageOf } from '../../core/errors.js';
import type { NumericDType, Shape, Values } from './graph.js';
import type { GraphSession, NamedOrtTensors, OrtRuntime } from './session.js';

/** An input or output of a graph. */
export interface PortLayout {
  readonly name: string;
  readonly shape: Shape;
  readonly dtype: NumericDType;
}

/** How arrays go into a graph and come out of it. */
export interface GraphLayout {
  /** Names of the function's arguments in order; those that the graph does not need are not among `inputs`. */
  readonly arguments: readonly string[];
  readonly inputs: readonly PortLayout[];
  readonly outputs: readonly PortLayout[];
}

const ARRAYS = { float32: Float32Array, int32: Int32Array, bool: Uint8Array } as const;

/**
 * A graph that an earlier process compiled and ONNX Runtime optimised, run on plain arrays: neither tfjs nor the
 * network's weights are loaded, the graph holds them.
 */
export class StoredGraph {
  private constructor(
    private readonly runtime: OrtRuntime,
    private readonly session: GraphSession,
    readonly layout: GraphLayout,
  ) {}

  /** Rejects with ONNX Runtime's own error where the bytes are not a graph that it takes. */
  static async open(runtime: OrtRuntime, bytes: Uint8Array, layout: GraphLayout): Promise<StoredGraph> {
    const session = await runtime.graphSession(bytes, { isOptimised: true });
    return new StoredGraph(runtime, session, layout);
  }

  /** Rows that one run takes. */
  get rows(): number {
    return this.layout.inputs[0]?.shape[0] ?? 1;
  }

  /** Runs once. @param args one array an argument. @returns one new array an output. Throws FactError E_COMPILED_RUN. */
  async run(args: readonly Values[]): Promise<Values[]> {
    const { inputs, outputs, arguments: names } = this.layout;
    const feeds: NamedOrtTensors = {};
    for (const { name, shape, dtype } of inputs)
      feeds[name] = this.runtime.tensor(dtype, args[names.indexOf(name)], shape);
    const results = outputs.map(({ shape, dtype }) => new ARRAYS[dtype](shape.reduce((n, d) => n * d, 1)));
    const fetches: NamedOrtTensors = {};
    outputs.forEach(({ name, shape, dtype }, i) => {
      fetches[name] = this.runtime.tensor(dtype, results[i], shape);
    });
    try {
      await this.session.run(feeds, fetches);
    } catch (error) {
      throw new FactError({
        code: 'E_COMPILED_RUN',
        message: `a stored program: ONNX Runtime failed: ${messageOf(error).split('\n')[0]}`,
        remedy: 'With too little memory use a smaller batch; --no-cache compiles it anew.',
        cause: error,
      });
    }
    return results;
  }

  async dispose(): Promise<void> {
    await this.session.release();
  }
}
