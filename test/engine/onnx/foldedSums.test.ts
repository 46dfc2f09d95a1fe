import * as tf from '@tensorflow/tfjs';
import { describe, expect, it } from 'vitest';
import { compile } from '../../../src/engine/compile.js';
import { useEngine } from '../../engine.js';

useEngine('onnx');

describe('a compiled function with baked weights', () => {
  for (const outputs of [1, 2, 10, 300]) {
    it(`folds a sum over a small weight to its value, for ${outputs} outputs`, async () => {
      const weight = tf.variable(tf.range(1, 4 * outputs + 1).reshape([1, 1, 4, outputs]));
      const fn = (x: tf.Tensor): tf.Tensor => weight.square().sum([0, 1, 2], true).sqrt().mul(x);
      const compiled = compile(fn, { name: 'norm', bake: true });
      const x = tf.scalar(2);
      const [actual, expected] = [await compiled(x), fn(x)];
      expect(await actual.data()).toBeNormwiseClose(await expected.data(), 1e-6);
      compiled.dispose();
      tf.dispose([actual, expected, x, weight]);
    });
  }
});
