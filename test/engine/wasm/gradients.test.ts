import * as tf from '@tensorflow/tfjs';
import { expect, test } from 'vitest';
import { Random } from '../../../src/core/random.js';
import { startEngine } from '../../../src/engine/start.js';
import { tensorGrowth } from '../../engine.js';

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

test('average pooling at padded edges has the gradient that finite differences give', async () => {
  await startEngine({ engine: 'wasm' });
  const random = new Random(4);
  const values = Float32Array.from({ length: 2 * 5 * 6 * 3 }, () => random.uniform(-1, 1));
  const pool = (x: tf.Tensor) => tf.avgPool(x as tf.Tensor4D, [3, 2], [2, 1], 'same');
  const loss = (x: tf.Tensor) => tf.sum(tf.exp(pool(x))) as tf.Scalar;
  const gradient = await tf
    .grad(loss)(tf.tensor4d(values, [2, 5, 6, 3]))
    .data();
  const lossAt = async (v: Float32Array) => {
    const y = (await pool(tf.tensor4d(v, [2, 5, 6, 3])).data()) as Float32Array;
    return y.reduce((sum, one) => sum + Math.exp(one), 0);
  };
  for (const i of [0, 1, 17, 45, 88, 100, 179]) {
    const [up, down] = [values.slice(), values.slice()];
    up[i] += 1e-2;
    down[i] -= 1e-2;
    const slope = ((await lossAt(up)) - (await lossAt(down))) / (up[i] - down[i]);
    expect(Math.abs(slope - gradient[i])).toBeLessThan(1e-3);
  }
});

test.each([
  { size: 8, kernel: 3, stride: 2, pad: 'same' },
  { size: 7, kernel: 3, stride: 1, pad: 'same' },
  { size: 9, kernel: 3, stride: 2, pad: 'valid' },
  { size: 7, kernel: 2, stride: 2, pad: 'valid' },
  { size: 8, kernel: 3, stride: 2, pad: 1 },
] as const)(
  'max pooling $kernel by $stride, padding $pad, has the gradient that finite differences give',
  async (c) => {
    await startEngine({ engine: 'wasm' });
    const shape: [number, number, number, number] = [2, c.size, c.size - 1, 3];
    const count = shape.reduce((a, b) => a * b, 1);
    // All different, so that no step of a difference changes the winner of a window.
    const values = Float32Array.from(new Random(3).permutation(count), (p) => (2 * p) / count - 1);
    const pool = (x: tf.Tensor) =>
      tf.maxPool(x as tf.Tensor4D, c.kernel, c.stride, c.pad, c.pad === 1 ? 'floor' : undefined);
    const loss = (x: tf.Tensor) => tf.sum(tf.exp(pool(x))) as tf.Scalar;
    const gradient = await tf.grad(loss)(tf.tensor4d(values, shape)).data();
    const lossAt = (v: Float32Array) => {
      const y = tf.tidy(() => pool(tf.tensor4d(v, shape)).dataSync()) as Float32Array;
      return y.reduce((sum, one) => sum + Math.exp(one), 0);
    };
    const step = 0.8 / count;
    const slopes = values.map((_, i) => {
      const [up, down] = [values.slice(), values.slice()];
      up[i] += step;
      down[i] -= step;
      return (lossAt(up) - lossAt(down)) / (up[i] - down[i]);
    });
    expect(gradient).toBeNormwiseClose(slopes, 1e-4);
  },
);

test('the gradient of max pooling goes to the first of equals', async () => {
  await startEngine({ engine: 'wasm' });
  const loss = (x: tf.Tensor) => tf.sum(tf.maxPool(x as tf.Tensor4D, 2, 2, 'valid')) as tf.Scalar;
  const gradient = await tf
    .grad(loss)(tf.ones([1, 4, 4, 1]))
    .data();
  expect([...gradient]).toEqual([1, 0, 1, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0]);
});

test('the gradient of conv3d to its input is refused: tfjs computes it wrongly on wasm', async () => {
  await startEngine({ engine: 'wasm' });
  const filter = tf.ones<tf.Rank.R5>([2, 2, 2, 1, 1]);
  const loss = (x: tf.Tensor) => tf.sum(tf.conv3d(x as tf.Tensor5D, filter, 1, 'same')) as tf.Scalar;
  expect(() => tf.grad(loss)(tf.ones([1, 3, 3, 3, 1]))).toThrow(
    expect.objectContaining({ code: 'E_ENGINE_UNSUPPORTED' }),
  );
});

test.each([
  [
    'bij,bjk->bik',
    [
      [2, 3, 4],
      [2, 4, 5],
    ],
  ],
  [
    'ij,kj->ki',
    [
      [3, 4],
      [5, 4],
    ],
  ],
  [
    'abc,cd->adb',
    [
      [2, 3, 4],
      [4, 5],
    ],
  ],
  [
    'ij,ij->',
    [
      [3, 4],
      [3, 4],
    ],
  ],
  ['i,j->ij', [[3], [4]]],
  ['ijk,j->i', [[2, 3, 4], [3]]],
  ['ij->ji', [[3, 4]]],
  ['ij->j', [[3, 4]]],
] as [string, number[][]][])('einsum %s equals that of the cpu engine', async (equation, shapes) => {
  const run = async () => {
    const random = new Random(5);
    const tensors = shapes.map((shape) =>
      tf.tensor(
        Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => random.uniform(-1, 1)),
        shape,
      ),
    );
    const y = tf.einsum(equation, ...tensors);
    return { shape: y.shape, values: await y.data() };
  };
  await startEngine({ engine: 'cpu' });
  const expected = await run();
  await startEngine({ engine: 'wasm' });
  const received = await run();
  expect(received.shape).toEqual(expected.shape);
  expect(received.values).toBeNormwiseClose(expected.values as Float32Array, 1e-6);
});

test('composed kernels leave one tensor', async () => {
  await startEngine({ engine: 'wasm' });
  const a = tf.ones([2, 3, 4]);
  expect(await tensorGrowth(() => tf.einsum('bij,bkj->bik', a, a))).toBe(1);
  const x = tf.ones<tf.Rank.R4>([1, 4, 4, 2]);
  const loss = (t: tf.Tensor) => tf.sum(tf.avgPool(t as tf.Tensor4D, 3, 1, 'same')) as tf.Scalar;
  expect(await tensorGrowth(() => tf.grad(loss)(x))).toBe(1);
});
