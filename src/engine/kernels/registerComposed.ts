import * as tf from '@tensorflow/tfjs';
import { composedConv2d, composedConv2dFilterGrad, composedConv2dInputGrad } from './composedConv2d.js';
import { composedSumPool2d, composedSumPool2dGrad } from './composedSumPool2d.js';
import { gatherRows, scatterRows } from './lastAxis.js';
import type { ConvConfig, PoolConfig } from './windows.js';

type Shape4 = readonly [number, number, number, number];

interface KernelArguments {
  readonly inputs: Record<string, tf.Tensor4D>;
  readonly attrs: ConvConfig &
    PoolConfig & { inputShape: Shape4; filterShape: Shape4; depth: number; groups: number };
}

const KERNELS: Readonly<Record<string, (call: KernelArguments) => tf.Tensor>> = {
  FactConv2d: ({ inputs, attrs }) => composedConv2d(inputs.x, inputs.filter, attrs),
  FactConv2dInputGrad: ({ inputs, attrs }) =>
    composedConv2dInputGrad(inputs.dy, inputs.filter, attrs.inputShape, attrs),
  FactConv2dFilterGrad: ({ inputs, attrs }) =>
    composedConv2dFilterGrad(inputs.x, inputs.dy, attrs.filterShape, attrs),
  FactSumPool2d: ({ inputs, attrs }) => composedSumPool2d(inputs.x, attrs),
  FactSumPool2dGrad: ({ inputs, attrs }) => composedSumPool2dGrad(inputs.dy, attrs.inputShape, attrs),
  FactScatterLast: ({ inputs: { values, indices }, attrs: { depth } }) => {
    const rows: number[] = values.shape.slice(0, -1);
    const k = values.shape[values.shape.length - 1];
    return tf.tensor(scatterRows(values.dataSync(), indices.dataSync(), k, depth), [...rows, depth]);
  },
  FactGatherLast: ({ inputs: { x, indices } }) => {
    const k = indices.shape[indices.shape.length - 1];
    const depth = x.shape[x.shape.length - 1];
    return tf.tensor(gatherRows(x.dataSync(), indices.dataSync(), k, depth), indices.shape);
  },
  FactGroupSum: ({ inputs: { x }, attrs: { groups } }) => {
    const [n, h, w, channels] = x.shape;
    if (x.size === 0) return tf.zeros([n, h, w, groups]);
    const rows = tf.reshape(x, [n * h * w * groups, channels / groups]);
    return tf.reshape(tf.matMul(rows, tf.ones<tf.Rank.R2>([channels / groups, 1])), [n, h, w, groups]);
  },
};

/** Registers the composed kernels under a backend's name; kernels that it has already are left alone. */
export function registerComposedKernels(backendName: string): void {
  for (const [kernelName, run] of Object.entries(KERNELS)) {
    if (tf.getKernel(kernelName, backendName) !== undefined) continue;
    tf.registerKernel({
      kernelName,
      backendName,
      kernelFunc: (call) => tf.tidy(() => run(call as unknown as KernelArguments)),
    });
  }
}
