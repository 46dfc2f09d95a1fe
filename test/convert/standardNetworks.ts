import { Random } from '../../src/core/random.js';
import type { BcosModel } from '../../src/models/bcosModel.js';
import { type CreateOptions, createModel } from '../../src/models/createModel.js';

/** A standard network as training leaves it: no weight at its start value, statistics far from 0 and 1. Caller disposes. */
export function trained(arch: string, options: CreateOptions, seed = 7): BcosModel {
  const model = createModel(arch, { seed, ...options });
  const random = new Random(seed, 1);
  for (const entry of model.stateDict()) {
    const values = entry.read();
    if (values instanceof BigInt64Array) continue;
    const { name } = entry;
    if (name.endsWith('running_var'))
      values.forEach((_, i) => {
        values[i] = random.uniform(0.2, 3);
      });
    else if (name.endsWith('running_mean') || name.endsWith('bias'))
      values.forEach((_, i) => {
        values[i] = 0.4 * random.normal();
      });
    else if (entry.shape.length === 1)
      values.forEach((_, i) => {
        values[i] = random.uniform(0.5, 1.5);
      });
    entry.write(values);
  }
  return model;
}

/** Small standard networks of every family that has a B-cosified form, with pictures of 40 x 40. */
export const SMALL: readonly [string, CreateOptions][] = [
  ['torchvision_resnet', { width: 8, blocks: [1, 2], block: 'basic', numClasses: 5, inputSize: 40 }],
  ['torchvision_resnet', { width: 8, blocks: [1, 1], block: 'bottleneck', numClasses: 5, inputSize: 40 }],
  [
    'torchvision_densenet',
    { width: 8, blocks: [2, 3], growth: 6, bottleneck: 2, numClasses: 5, inputSize: 40 },
  ],
  [
    'standard_simple_vit',
    { width: 16, depth: 2, heads: 2, headDim: 8, mlpDim: 24, patch: 8, numClasses: 5, inputSize: 40 },
  ],
  [
    'standard_simple_vit',
    {
      width: 16,
      depth: 1,
      heads: 2,
      headDim: 8,
      mlpDim: 24,
      patch: 1,
      convStem: [6, 8, 8],
      numClasses: 5,
      inputSize: 40,
    },
  ],
];
