import { setWasmPaths } from '@tensorflow/tfjs-backend-wasm';
import { registerComposedKernels } from '../kernels/registerComposed.js';
import { wasmFolder } from './paths.js';

/** Registers tfjs's `wasm` backend with this package's kernels. Safe to call again. */
export async function registerWasmBackend(): Promise<void> {
  const folder = await wasmFolder();
  if (folder !== null) setWasmPaths(folder);
  registerComposedKernels('wasm');
}
