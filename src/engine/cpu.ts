import * as tf from '@tensorflow/tfjs';
import { registerComposedKernels } from './kernels/registerComposed.js';
import { silenceCpuBanner } from './tfInternals.js';

/**
 * Adds this package's kernels to tfjs's own `cpu` backend, the reference in tests, and silences the advice to install
 * tfjs-node that it prints on its first use in Node.
 */
export function registerCpuBackend(): void {
  registerComposedKernels('cpu');
  const backend = tf.findBackend('cpu') as tf.KernelBackend | null;
  if (backend) silenceCpuBanner(backend);
}
