import * as tf from '@tensorflow/tfjs';
import { FactError, messageOf } from '../core/errors.js';
import { registerCpuBackend } from './cpu.js';
import { type EngineName, type StartedEngine, setCurrentEngine } from './current.js';

export type { EngineName, StartedEngine } from './current.js';
export { currentEngine } from './current.js';

export interface StartOptions {
  /** Default `auto`: `onnx` where it works, else `wasm`. */
  readonly engine?: EngineName | 'auto';
  /** Threads of the engine; default: the engine's choice. `wasm` and `cpu` always use one. */
  readonly threads?: number;
  /** Default true; false makes `compile` run the same functions operation by operation. */
  readonly compile?: boolean;
}

/** The module that holds the `onnx` backend is loaded only when wanted: browsers and `wasm` users never touch it. */
async function registerOnnx(threads: number | undefined): Promise<void> {
  const { registerOnnxBackend } = await import('./onnx/index.js');
  await registerOnnxBackend(threads === undefined ? {} : { threads });
}

async function registerWasm(): Promise<void> {
  const { registerWasmBackend } = await import('./wasm/index.js');
  await registerWasmBackend();
}

/** Loaded when wanted only: it holds native code. */
async function startTensorflow(threads: number | undefined): Promise<StartedEngine> {
  const { registerTensorflowBackend } = await import('./tensorflow/index.js');
  const { version, device, origin } = await registerTensorflowBackend(threads);
  const started = { ...(await use('tensorflow', 'asked for', false)), library: { version, device, origin } };
  setCurrentEngine(started);
  return started;
}

/** tfjs's name of an engine's backend: the name `tensorflow` is that of @tensorflow/tfjs-node. */
function backendName(engine: EngineName): string {
  return engine === 'tensorflow' ? 'fact-tensorflow' : engine;
}

async function use(name: EngineName, reason: string, compiles: boolean): Promise<StartedEngine> {
  if (!(await tf.setBackend(backendName(name)))) {
    throw new FactError({
      code: 'E_ENGINE_BROKEN',
      message: `engine ${name}: its tfjs backend did not start`,
      remedy: 'Run `fact engine list` to see which engines work here.',
    });
  }
  await tf.ready();
  const started: StartedEngine = { name, reason, compiles };
  setCurrentEngine(started);
  return started;
}

async function startAuto(options: StartOptions): Promise<StartedEngine> {
  let why: string;
  try {
    await registerOnnx(options.threads);
    return await use('onnx', 'the fastest engine, and it works here', options.compile ?? true);
  } catch (error) {
    if (!(error instanceof FactError)) throw error;
    why = messageOf(error);
  }
  await registerWasm();
  return use('wasm', `onnx does not work here (${why})`, false);
}

/**
 * Starts an engine: registers its tfjs backend, makes it current and waits until it is ready. May be called again to
 * switch; tensors made on another engine are moved by tfjs when they are used.
 * Throws FactError E_ENGINE_MISSING (what the engine needs is absent or unusable), E_ENGINE_LIBRARY and
 * E_ENGINE_THREADS (`tensorflow`), E_ENGINE_BROKEN (a backend refuses to start).
 */
export async function startEngine(options: StartOptions = {}): Promise<StartedEngine> {
  const engine = options.engine ?? 'auto';
  switch (engine) {
    case 'auto':
      return startAuto(options);
    case 'onnx':
      await registerOnnx(options.threads);
      return use('onnx', 'asked for', options.compile ?? true);
    case 'wasm':
      await registerWasm();
      return use('wasm', 'asked for', false);
    case 'cpu':
      registerCpuBackend();
      return use('cpu', 'asked for', false);
    case 'tensorflow':
      return startTensorflow(options.threads);
    default:
      throw new FactError({
        code: 'E_USAGE',
        message: `engine "${String(engine)}" is not known`,
        remedy: 'Known engines: auto, onnx, wasm, cpu, tensorflow.',
        exitCode: 2,
      });
  }
}
