import * as tf from '@tensorflow/tfjs';
import { TENSORFLOW_BACKEND, type TensorflowBackend } from '../backend.js';
import { ALGEBRA } from './algebra.js';
import { CONVOLUTIONS } from './conv.js';
import { ELEMENTWISE } from './elementwise.js';
import type { Inputs, Kernel, KernelTable } from './kernel.js';
import { LAYOUT } from './layout.js';
import { POOLS } from './pool.js';
import { REDUCTIONS } from './reduce.js';

const TABLE: KernelTable = {
  ...ELEMENTWISE,
  ...REDUCTIONS,
  ...LAYOUT,
  ...ALGEBRA,
  ...CONVOLUTIONS,
  ...POOLS,
};

/** Registers all kernels of the backend. Safe to call again. */
export function registerTensorflowKernels(): void {
  for (const [kernelName, kernel] of Object.entries(TABLE)) {
    if (tf.getKernel(kernelName, TENSORFLOW_BACKEND) !== undefined) continue;
    const run = kernel as Kernel<unknown>;
    tf.registerKernel({
      kernelName,
      backendName: TENSORFLOW_BACKEND,
      kernelFunc: ({ inputs, attrs, backend }) =>
        run(backend as TensorflowBackend, inputs as unknown as Inputs, attrs),
    });
  }
}
