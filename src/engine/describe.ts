import * as tf from '@tensorflow/tfjs';
import { version_wasm as wasmVersion } from '@tensorflow/tfjs-backend-wasm';
import { messageOf } from '../core/errors.js';
import { type EngineName, type StartOptions, startEngine } from './start.js';

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
  /** used: what the commands compute with; available: works here; missing: absent, broken or not supported. */
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

const NAMES = ['onnx', 'wasm', 'cpu'] as const;

const ABOUT: Readonly<Record<(typeof NAMES)[number], string>> = {
  onnx: 'native code of ONNX Runtime, compiled graphs, all cores',
  wasm: 'WebAssembly SIMD, one core, runs anywhere',
  cpu: 'plain JavaScript, for tests, very slow',
};

/** Starts an engine and multiplies two small matrices; null where that worked, else what went wrong. */
async function failureOf(engine: EngineName): Promise<string | null> {
  try {
    await startEngine({ engine });
    const [sum] = await tf.tidy(() => tf.sum(tf.matMul(tf.ones([3, 5]), tf.ones([5, 4])))).data();
    return sum === 60 ? null : `it computed ${sum} where 60 is right`;
  } catch (error) {
    return messageOf(error);
  }
}

/**
 * What each engine is here: every engine is really started and computes something; afterwards the engine that the
 * options ask for (default `auto`) is current and its row says `used`.
 */
export async function describeEngines(options: StartOptions = {}): Promise<EngineDescription[]> {
  const failures = new Map<EngineName, string | null>();
  for (const name of NAMES) failures.set(name, await failureOf(name));
  const used = await startEngine(options);
  const versions: Readonly<Record<(typeof NAMES)[number], string | null>> = {
    onnx: await installedVersion('onnxruntime-node'),
    wasm: wasmVersion,
    cpu: tf.version['tfjs-backend-cpu'],
  };
  const rows = NAMES.map((name): EngineDescription => {
    const failure = failures.get(name) ?? null;
    const version = versions[name];
    if (failure !== null) {
      const command = name === 'onnx' ? `npm ${ONNX_INSTALL_ARGUMENTS.join(' ')}` : null;
      return { name, state: 'missing', version, reason: failure, command };
    }
    if (name !== used.name) return { name, state: 'available', version, reason: ABOUT[name], command: null };
    return { name, state: 'used', version, reason: `${ABOUT[name]}; used: ${used.reason}`, command: null };
  });
  return [
    ...rows,
    {
      name: 'tensorflow',
      state: 'missing',
      version: null,
      reason: 'not supported yet: this version has no bindings for TensorFlow',
      command: null,
    },
  ];
}
