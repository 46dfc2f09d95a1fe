import * as tf from '@tensorflow/tfjs';
import { setWasmPaths } from '@tensorflow/tfjs-backend-wasm';
import { registerComposedKernels } from '../kernels/registerComposed.js';
import { registerWasmKernels } from './kernels.js';
import { wasmFolder } from './paths.js';
import { withoutProcessListeners } from './processListeners.js';

export { ownWasmKernels } from './kernels.js';

/** Registers tfjs's `wasm` backend with this package's kernels and makes it current. Safe to call again. */
export async function registerWasmBackend(): Promise<void> {
  const folder = await wasmFolder();
  if (folder !== null) setWasmPaths(folder);
  registerWasmKernels();
  registerComposedKernels('wasm');
  await withoutProcessListeners(() => tf.setBackend('wasm'));
}
