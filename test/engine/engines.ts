import { createRequire } from 'node:module';
import type { EngineName } from '../../src/engine/start.js';
import { findLibrary } from '../../src/engine/tensorflow/libraryPlace.js';

function isInstalled(name: string): boolean {
  try {
    createRequire(import.meta.url).resolve(name);
    return true;
  } catch {
    return false;
  }
}

/** Whether a libtensorflow lies where the engine looks for one. */
function hasTensorflow(): boolean {
  try {
    findLibrary();
    return isInstalled('koffi');
  } catch {
    return false;
  }
}

/** Engines that tests of operations run on: all that are installed here. */
export const ENGINES: readonly EngineName[] = [
  'cpu',
  'wasm',
  ...(isInstalled('onnxruntime-node') ? (['onnx'] as const) : []),
  ...(hasTensorflow() ? (['tensorflow'] as const) : []),
];
