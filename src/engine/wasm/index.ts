import { setWasmPaths } from '@tensorflow/tfjs-backend-wasm';
import { registerWasmKernels } from './kernels.js';
import { wasmFolder } from './paths.js';

export { ownWasmKernels } from './kernels.js';

/** Registers tfjs's `wasm` backend with this package's kernels. Safe to call again. */
export async function registerWasmBackend(): Promise<void> {
  const folder = await wasmFolder();
  if (folder !== null) setWasmPaths(folder);
  registerWasmKernels();
}
