import * as tf from '@tensorflow/tfjs';
import { expect, test } from 'vitest';
import { Random } from '../../../src/core/random.js';
import { startEngine } from '../../../src/engine/start.js';

/** The kernels that tfjs's wasm backend lacks or has slow, reached through tfjs's own functions and their gradients. */
const CASES: Record<string, { shapes: number[][]; f: (...t: tf.Tensor[]) => tf.Tensor }> = {
  'conv2d same': {
    shapes: [
      [2, 7, 6, 3],
      [3, 3, 3, 4],
    ],
    f: (x, w) => tf.conv2d(x as tf.Tensor4D, w as tf.Tensor4D, 1, 'same'),
  },
  'conv2d same, stride 2, even size': {
    shapes: [
      [2, 8, 8, 3],
      [3, 3, 3, 4],
    ],
    f: (x, w) => tf.conv2d(x as tf.Tensor4D, w as tf.Tensor4D, 2, 'same'),
  },
  'conv2d valid, 1x1, stride 2': {
    shapes: [
      [2, 9, 8, 4],
      [1, 1, 4, 6],
    ],
    f: (x, w) => tf.conv2d(x as tf.Tensor4D, w as tf.Tensor4D, 2, 'valid'),
  },
  'conv2d explicit padding': {
    shapes: [
      [1, 11, 10, 3],
      [5, 5, 3, 2],
    ],
    f: (x, w) => tf.conv2d(x as tf.Tensor4D, w as tf.Tensor4D, 2, 2, 'NHWC', 1, 'floor'),
  },
  conv2dTranspose: {
    shapes: [
      [2, 4, 4, 3],
      [3, 3, 4, 3],
    ],
    f: (x, w) => tf.conv2dTranspose(x as tf.Tensor4D, w as tf.Tensor4D, [2, 8, 8, 4], 2, 'same'),
  },
  depthwiseConv2d: {
    shapes: [
      [2, 7, 6, 5],
      [3, 3, 5, 1],
    ],
    f: (x, w) => tf.depthwiseConv2d(x as tf.Tensor4D, w as tf.Tensor4D, 1, 'same'),
  },
  'depthwiseConv2d stride 2, two filters a channel': {
    shapes: [
      [2, 8, 6, 4],
      [3, 3, 4, 2],
    ],
    f: (x, w) => tf.depthwiseConv2d(x as tf.Tensor4D, w as tf.Tensor4D, 2, 'same'),
  },
  'gather (UnsortedSegmentSum)': {
    shapes: [[6, 3, 2]],
    f: (x) => tf.gather(x, tf.tensor1d([0, 5, 5, 2, 0], 'int32')),
  },
  unsortedSegmentSum: {
    shapes: [[5, 3]],
    f: (x) => tf.unsortedSegmentSum(x, tf.tensor1d([0, 2, 2, -1, 1], 'int32'), 3),
  },
};

async function valuesAndGradients(name: string): Promise<Float32Array[]> {
  const { shapes, f } = CASES[name];
  const random = new Random(9);
  const inputs = shapes.map((shape) =>
    tf.tensor(
      Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => random.uniform(-1, 1)),
      shape,
    ),
  );
  const loss = (...t: tf.Tensor[]) => tf.sum(tf.exp(tf.div(f(...t), 3))) as tf.Scalar;
  const results = [f(...inputs), ...tf.grads(loss)(inputs)];
  return Promise.all(results.map((t) => t.data() as Promise<Float32Array>));
}

test.each(Object.keys(CASES))('%s: values and gradients equal those of the cpu engine', async (name) => {
  await startEngine({ engine: 'cpu' });
  const expected = await valuesAndGradients(name);
  await startEngine({ engine: 'wasm' });
  const received = await valuesAndGradients(name);
  for (const [i, values] of expected.entries()) expect(received[i]).toBeNormwiseClose(values, 2e-6);
});
