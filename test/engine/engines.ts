import { createRequire } from 'node:module';
import type { EngineName } from '../../src/engine/start.js';

function isInstalled(name: string): boolean {
  try {
    createRequire(import.meta.url).resolve(name);
    return true;
  } catch {
    return false;
  }
}

/** Engines that tests of operations run on: all that are installed here. */
export const ENGINES: readonly EngineName[] = isInstalled('onnxruntime-node')
  ? ['cpu', 'wasm', 'onnx']
  : ['cpu', 'wasm'];
