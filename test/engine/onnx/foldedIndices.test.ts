import * as tf from '@tensorflow/tfjs';
import { expect, it } from 'vitest';
import { compile } from '../../../src/engine/compile.js';
import { useEngine } from '../../engine.js';

useEngine('onnx');

it('constants whose whole numbers tfjs keeps in a float array keep their values in a graph', async () => {
  const masked = compile(
    (x: tf.Tensor2D) => x.mul(tf.cast(tf.oneHot(tf.tensor1d([0, 2, 1], 'int32'), 3), 'float32')),
    { name: 'masked' },
  );
  const result = await masked(tf.ones([3, 3]));
  expect([...(await result.data())]).toEqual([1, 0, 0, 0, 0, 1, 0, 1, 0]);
  masked.dispose();
});
