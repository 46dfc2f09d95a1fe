import type { InferenceSession, Tensor, TensorConstructor } from 'onnxruntime-common';
import type { Binding } from 'onnxruntime-node/dist/binding.js';
import { FactError, messageOf } from '../../core/errors.js';
import { Graph, type NumericDType, type Shape, type Values } from './graph.js';

/** The version whose internal binding eager execution relies on; package.json pins it too. */
export const ONNX_RUNTIME_VERSION = '1.30.0';

type SessionOptions = InferenceSession.SessionOptions;
/** Named tensors that go into or come out of a run. */
export type NamedOrtTensors = Record<string, Tensor>;

/** How a graph is loaded. */
export interface GraphSessionOptions {
  /** ONNX Runtime writes the graph there as it has optimised it for this machine. */
  readonly saveTo?: string;
  /** The graph was written so by an earlier session: it is taken as it stands. */
  readonly isOptimised?: boolean;
  /** The graph runs on one thread. */
  readonly isOneThread?: boolean;
}

/** A compiled graph that runs through ONNX Runtime's public interface. */
export type GraphSession = InferenceSession;

/** A small session that runs at once, in the calling turn of the event loop. */
export interface SyncSession {
  run(feeds: NamedOrtTensors, fetches: NamedOrtTensors): void;
  dispose(): void;
}

/**
 * Every session has its own threads. Those of a whole graph wait actively for the next of its many operations (with
 * two threads that is 10 to 25 % of a network's time) and sleep when the run has ended; those of a single operation
 * sleep at once, so that many sessions do not take the processor from each other.
 */
function options(threads: number | undefined, kind: 'graph' | 'operation'): SessionOptions {
  const isGraph = kind === 'graph';
  return {
    ...(threads === undefined ? {} : { intraOpNumThreads: threads }),
    graphOptimizationLevel: 'all',
    enableCpuMemArena: isGraph,
    // Planned memory is one block beside what the first run took piece by piece: with it a training step holds 1.5 to 2
    // times as much, and is no faster (measured).
    enableMemPattern: false,
    logSeverityLevel: 3,
    extra: { session: { intra_op: { allow_spinning: isGraph ? '1' : '0' }, force_spinning_stop: '1' } },
  };
}

/** ONNX Runtime as this package uses it: graphs through the public interface, single kernels through the binding. */
export class OrtRuntime {
  private constructor(
    private readonly createSession: (bytes: Uint8Array, options: SessionOptions) => Promise<InferenceSession>,
    private readonly tensorClass: TensorConstructor,
    private readonly binding: { readonly InferenceSession: Binding.InferenceSessionConstructor },
    /** Threads of the sessions made from now on; undefined leaves it to ONNX Runtime. */
    public threads: number | undefined,
  ) {}

  /**
   * Loads onnxruntime-node and proves with a small graph that its binding behaves as expected; for graphs alone the
   * public interface is enough and nothing is tried.
   * Throws FactError E_ENGINE_MISSING with the reason.
   */
  static async load(
    threads: number | undefined,
    use: 'graphs' | 'graphs and operations' = 'graphs and operations',
  ): Promise<OrtRuntime> {
    let found = ONNX_RUNTIME_VERSION;
    try {
      const ort = await import('onnxruntime-node');
      found = ort.env?.versions?.node ?? found;
      const internal = await import('onnxruntime-node/dist/binding.js');
      internal.initOrt();
      const create = (bytes: Uint8Array, o: SessionOptions) => ort.InferenceSession.create(bytes, o);
      const runtime = new OrtRuntime(create, ort.Tensor, internal.binding, threads);
      if (use === 'graphs and operations') await runtime.selfTest();
      return runtime;
    } catch (error) {
      const other = found === ONNX_RUNTIME_VERSION ? '' : ` (version ${found} is installed)`;
      throw new FactError({
        code: 'E_ENGINE_MISSING',
        message: `engine onnx: onnxruntime-node ${ONNX_RUNTIME_VERSION} is not usable${other}: ${messageOf(error).split('\n')[0]}`,
        remedy: `Run \`npm install onnxruntime-node@${ONNX_RUNTIME_VERSION}\`, or use --engine wasm.`,
        cause: error,
      });
    }
  }

  /** A view of an array as ONNX Runtime takes it; nothing is copied. */
  tensor(dtype: NumericDType, values: Values, shape: Shape): Tensor {
    return new this.tensorClass(dtype, values, shape);
  }

  /** Loads a graph for repeated runs. Rejects with ONNX Runtime's own error. */
  async graphSession(
    bytes: Uint8Array,
    { saveTo, isOptimised, isOneThread }: GraphSessionOptions = {},
  ): Promise<GraphSession> {
    return this.createSession(bytes, {
      ...options(isOneThread ? 1 : this.threads, 'graph'),
      ...(isOptimised ? { graphOptimizationLevel: 'disabled' } : {}),
      ...(saveTo === undefined ? {} : { optimizedModelFilePath: saveTo }),
    });
  }

  /** Loads a small graph to be run synchronously. */
  syncSession(bytes: Uint8Array, isOneThread = false): SyncSession {
    const session = new this.binding.InferenceSession();
    const data = bytes.buffer as ArrayBuffer;
    const threads = isOneThread ? 1 : this.threads;
    session.loadModel(data, bytes.byteOffset, bytes.byteLength, options(threads, 'operation'));
    return {
      run: (feeds, fetches) => {
        session.run(feeds, fetches, {});
      },
      dispose: () => session.dispose(),
    };
  }

  /** The binding must read our arrays where they lie and write into the given output. */
  private async selfTest(): Promise<void> {
    const { serializeModel } = await import('./proto.js');
    const graph = new Graph();
    const x = graph.input('x', [3], 'float32');
    graph.output(graph.node('Mul', [x, x], [3], 'float32'), 'y');
    const session = this.syncSession(serializeModel(graph.parts(), 'selfTest'));
    const result = new Float32Array(3);
    session.run(
      { x: this.tensor('float32', Float32Array.of(1, 2, 3), [3]) },
      { y: this.tensor('float32', result, [3]) },
    );
    session.dispose();
    if (result.join() !== '1,4,9') throw new Error(`its self-test gave [${result}], expected [1,4,9]`);
  }
}
