import * as tf from '@tensorflow/tfjs';
import { describe, expect, it } from 'vitest';
import { activate } from '../../src/engine/kernels/activation.js';

const values = [-2, -0.5, 0, 3, 8];
const run = (activation: string, more = {}, slope?: tf.Tensor): number[] =>
  tf.tidy(() => Array.from(activate(tf.tensor1d(values), slope, { activation, ...more }).dataSync()));

describe('activate', () => {
  it('knows the activations of fused operations', () => {
    expect(run('linear')).toEqual(values);
    expect(run('relu')).toEqual([0, 0, 0, 3, 8]);
    expect(run('relu6')).toEqual([0, 0, 0, 3, 6]);
    expect(run('leakyrelu', { leakyreluAlpha: 0.5 })).toEqual([-1, -0.25, 0, 3, 8]);
    expect(run('prelu', {}, tf.scalar(0.25))).toEqual([-0.5, -0.125, 0, 3, 8]);
    expect(run('elu')).toBeNormwiseClose([Math.exp(-2) - 1, Math.exp(-0.5) - 1, 0, 3, 8], 1e-6);
    expect(run('sigmoid')).toBeNormwiseClose(
      values.map((x) => 1 / (1 + Math.exp(-x))),
      1e-6,
    );
  });

  it('names one that it does not know, and prelu without its slope', () => {
    expect(() => run('tanh')).toThrow(/tanh/);
    expect(() => run('prelu')).toThrow(/prelu/);
  });
});
