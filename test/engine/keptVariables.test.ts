import * as tf from '@tensorflow/tfjs';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { compile } from '../../src/engine/compile.js';
import { startEngine } from '../../src/engine/start.js';
import { tensorGrowth } from '../engine.js';

beforeAll(async () => {
  await startEngine({ engine: 'onnx', threads: 1 });
});

afterEach(() => {
  tf.disposeVariables();
});

const numbers = (tensor: tf.Tensor): number[] => Array.from(tensor.dataSync());

describe.each([true, false])('variables of a function with `keepIf`, compiled: %s', (enabled) => {
  it('change where the named result is true and stay where it is false', async () => {
    const w = tf.variable(tf.tensor1d([1, 2]));
    const filter = tf.variable(tf.tensor4d([1, 2, 3, 4], [1, 2, 2, 1]));
    const step = compile(
      (x: tf.Tensor) => {
        w.assign(w.add(x) as tf.Tensor1D);
        filter.assign(filter.mul(x) as tf.Tensor4D);
        return { finite: x.lessEqual(10), next: w.clone() };
      },
      { name: 'step', enabled, keepIf: 'finite' },
    );
    const growth = await tensorGrowth(async () => {
      for (const [x, next, kept] of [
        [2, [3, 4], [3, 4]],
        [11, [14, 15], [3, 4]],
        [NaN, [NaN, NaN], [3, 4]],
        [1, [4, 5], [4, 5]],
      ] as const) {
        const argument = tf.scalar(x);
        const result = await step(argument);
        expect(numbers(result.next)).toEqual(next);
        expect(numbers(w)).toEqual(kept);
        tf.dispose([argument, result]);
      }
      expect(numbers(filter)).toEqual([2, 4, 6, 8]);
    });
    expect(growth).toBe(0);
    step.dispose();
  });
});
