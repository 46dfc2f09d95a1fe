import * as tf from '@tensorflow/tfjs';
import { FactError } from '../../core/errors.js';
import { TENSORFLOW_BACKEND, TensorflowBackend } from './backend.js';
import type { TensorflowBinding } from './binding.js';
import { registerTensorflowKernels } from './kernels/index.js';
import { findLibrary } from './libraryPlace.js';
import { openNativeBinding } from './nativeBinding.js';
import { findOfficial, OfficialBinding } from './officialBinding.js';

let started: { readonly binding: TensorflowBinding; readonly threads: number | undefined } | null = null;

/**
 * TensorFlow from the first of: the folder that FACT_LIBTENSORFLOW names; an installed @tensorflow/tfjs-node-gpu or
 * @tensorflow/tfjs-node that works; what `fact engine install tensorflow` brought.
 */
async function openBinding(threads: number | undefined): Promise<TensorflowBinding> {
  const isNamed = (process.env.FACT_LIBTENSORFLOW ?? '') !== '';
  const official = isNamed ? null : findOfficial(threads);
  if (official !== null && official.addon !== null)
    return new OfficialBinding(official.addon, official.origin);
  try {
    return await openNativeBinding(findLibrary(), threads);
  } catch (error) {
    if (!(error instanceof FactError) || official === null || official.reason === null) throw error;
    const { code, message, remedy, cause } = error;
    throw new FactError({ code, message: `${message} (${official.reason})`, remedy, cause });
  }
}

/**
 * Registers the tfjs backend of engine `tensorflow`. Its number of threads holds for the whole process: TensorFlow
 * makes its threads once.
 * Throws FactError E_ENGINE_MISSING, E_ENGINE_LIBRARY, E_ENGINE_THREADS.
 */
export async function registerTensorflowBackend(threads: number | undefined): Promise<TensorflowBinding> {
  if (started === null) {
    const binding = await openBinding(threads);
    const backend = new TensorflowBackend(binding);
    registerTensorflowKernels();
    tf.registerBackend(TENSORFLOW_BACKEND, () => backend, 1);
    started = { binding, threads };
  } else if (threads !== undefined && threads !== started.threads) {
    throw new FactError({
      code: 'E_ENGINE_THREADS',
      message: `engine tensorflow: it runs with ${started.threads ?? 'its own choice of'} threads in this process, ${threads} were asked for`,
      remedy: 'Ask for the number of threads at the first start, or start another process.',
    });
  }
  return started.binding;
}
