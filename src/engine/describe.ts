import * as tf from '@tensorflow/tfjs';
import { version_wasm as wasmVersion } from '@tensorflow/tfjs-backend-wasm';
import { messageOf } from '../core/errors.js';
import { type EngineName, type StartedEngine, type StartOptions, startEngine } from './start.js';
import { INSTALL_COMMAND } from './tensorflow/libraryPlace.js';

/** Version of onnxruntime-node that this package is made and tested for. */
export const ONNX_RUNTIME_VERSION = '1.30.0';

/** The command that brings the `onnx` engine, to be run where this package is installed. */
export const ONNX_INSTALL_ARGUMENTS: readonly string[] = [
  'install',
  '--ignore-scripts',
  `onnxruntime-node@${ONNX_RUNTIME_VERSION}`,
];

/** One row of `fact engine list`. */
export interface EngineDescription {
  readonly name: EngineName;
  /** used: what the commands compute with; available: works here; missing: absent or broken. */
  readonly state: 'used' | 'available' | 'missing';
  /** Version of what computes, or null where it is absent. */
  readonly version: string | null;
  readonly reason: string;
  /** The one command that brings a missing engine, or null. */
  readonly command: string | null;
}

async function installedVersion(packageName: string): Promise<string | null> {
  if (typeof process === 'undefined' || process.versions?.node === undefined) return null;
  const { createRequire } = await import('node:module');
  const require = createRequire(import.meta.url);
  try {
    return (require(`${packageName}/package.json`) as { version: string }).version;
  } catch {
    return null; // absent: that is the answer
  }
}

const NAMES = ['onnx', 'wasm', 'cpu', 'tensorflow'] as const;

const ABOUT: Readonly<Record<(typeof NAMES)[number], string>> = {
  onnx: 'native code of ONNX Runtime, compiled graphs, all cores',
  wasm: 'WebAssembly SIMD, one core, runs anywhere',
  cpu: 'plain JavaScript, for tests, very slow',
  tensorflow: 'native code of TensorFlow, operation by operation, all cores or a GPU',
};

/** What a trial of an engine found: why it does not work, or null and what it says of itself. */
interface Trial {
  readonly failure: string | null;
  readonly started: StartedEngine | null;
}

/** Starts an engine and multiplies two small matrices. */
async function tryEngine(engine: EngineName, options: StartOptions): Promise<Trial> {
  try {
    // TensorFlow makes its threads at the first start: it gets the number that is asked for in the end.
    const threads =
      engine === 'tensorflow' && options.threads !== undefined ? { threads: options.threads } : {};
    const started = await startEngine({ engine, ...threads });
    const [sum] = await tf.tidy(() => tf.sum(tf.matMul(tf.ones([3, 5]), tf.ones([5, 4])))).data();
    return sum === 60
      ? { failure: null, started }
      : { failure: `it computed ${sum} where 60 is right`, started: null };
  } catch (error) {
    return { failure: messageOf(error), started: null };
  }
}

const COMMANDS: Readonly<Partial<Record<EngineName, string>>> = {
  onnx: `npm ${ONNX_INSTALL_ARGUMENTS.join(' ')}`,
  tensorflow: INSTALL_COMMAND,
};

/**
 * What each engine is here: every engine is really started and computes something; afterwards the engine that the
 * options ask for (default `auto`) is current and its row says `used`.
 */
export async function describeEngines(options: StartOptions = {}): Promise<EngineDescription[]> {
  const trials = new Map<EngineName, Trial>();
  for (const name of NAMES) trials.set(name, await tryEngine(name, options));
  const used = await startEngine(options);
  const library = trials.get('tensorflow')?.started?.library ?? null;
  const versions: Readonly<Record<(typeof NAMES)[number], string | null>> = {
    onnx: await installedVersion('onnxruntime-node'),
    wasm: wasmVersion,
    cpu: tf.version['tfjs-backend-cpu'],
    tensorflow: library?.version ?? null,
  };
  return NAMES.map((name): EngineDescription => {
    const failure = trials.get(name)?.failure ?? null;
    const version = versions[name];
    if (failure !== null)
      return { name, state: 'missing', version, reason: failure, command: COMMANDS[name] ?? null };
    const place =
      name === 'tensorflow' && library !== null ? `; on the ${library.device}, from ${library.origin}` : '';
    const about = `${ABOUT[name]}${place}`;
    if (name !== used.name) return { name, state: 'available', version, reason: about, command: null };
    return { name, state: 'used', version, reason: `${about}; used: ${used.reason}`, command: null };
  });
}
