import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, test } from 'vitest';
import { Random } from '../../../src/core/random.js';
import { startEngine } from '../../../src/engine/start.js';
import { tensorGrowth } from '../../engine.js';
import { naiveMatMul } from '../naive.js';

beforeAll(async () => {
  await startEngine({ engine: 'wasm' });
});

function randomValues(seed: number, count: number): Float32Array {
  const random = new Random(seed);
  return Float32Array.from({ length: count }, () => random.uniform(-1, 1));
}

const SIZES: readonly [number, number, number][] = [
  [1, 1, 1],
  [1, 9, 5],
  [5, 1, 3],
  [6, 8, 4],
  [7, 9, 11],
  [13, 31, 257],
  [96, 16, 256],
  [97, 513, 3],
  [100, 17, 600],
];

describe.each([
  [false, false],
  [true, false],
  [false, true],
  [true, true],
])('transposeA %s, transposeB %s', (transposeA, transposeB) => {
  test.each(SIZES)('the product of %i x %i over %i equals its definition', async (m, n, k) => {
    const [a, b] = [randomValues(m, m * k), randomValues(n, k * n)];
    const left = tf.tensor2d(a, transposeA ? [k, m] : [m, k]);
    const right = tf.tensor2d(b, transposeB ? [n, k] : [k, n]);
    const c = tf.matMul(left, right, transposeA, transposeB);
    expect(c.shape).toEqual([m, n]);
    expect(await c.data()).toBeNormwiseClose(naiveMatMul([m, n, k], a, b, transposeA, transposeB), 1e-6);
  });

  test('batches multiply matrix by matrix and broadcast', async () => {
    const [m, n, k] = [7, 10, 5];
    const matrix = (t: boolean, rows: number, columns: number) => (t ? [columns, rows] : [rows, columns]);
    const cases = [
      [[3], [3]],
      [
        [2, 3],
        [2, 3],
      ],
      [[1], [4]],
      [[4], [1]],
      [
        [2, 1],
        [1, 3],
      ],
    ];
    for (const [outerA, outerB] of cases) {
      const count = (shape: number[]) => shape.reduce((p, q) => p * q, 1);
      const a = randomValues(1, count(outerA) * m * k);
      const b = randomValues(2, count(outerB) * k * n);
      const c = tf.matMul(
        tf.tensor(a, [...outerA, ...matrix(transposeA, m, k)]),
        tf.tensor(b, [...outerB, ...matrix(transposeB, k, n)]),
        transposeA,
        transposeB,
      );
      const outer = tf.broadcast_util.assertAndGetBroadcastShape(outerA, outerB);
      expect(c.shape).toEqual([...outer, m, n]);
      const values = await c.data();
      for (let i = 0; i < count(outer); i++) {
        const [y, x] = outer.length === 2 ? [Math.floor(i / outer[1]), i % outer[1]] : [0, i];
        const place = (own: number[]) =>
          own.length === 2 ? (own[0] > 1 ? y : 0) * own[1] + (own[1] > 1 ? x : 0) : own[0] > 1 ? x : 0;
        const expected = naiveMatMul(
          [m, n, k],
          a.slice(place(outerA) * m * k),
          b.slice(place(outerB) * k * n),
          transposeA,
          transposeB,
        );
        expect(values.slice(i * m * n, (i + 1) * m * n)).toBeNormwiseClose(expected, 1e-6);
      }
    }
  });
});

test('the gradients of a product that is not linear in its factors hold for transposed batches', async () => {
  const a = tf.tensor3d(randomValues(3, 2 * 4 * 5), [2, 4, 5]);
  const b = tf.tensor3d(randomValues(4, 2 * 3 * 5), [2, 3, 5]);
  const f = (x: tf.Tensor, y: tf.Tensor) => tf.sum(tf.exp(tf.matMul(x, y, false, true))) as tf.Scalar;
  const onWasm = await Promise.all(
    tf
      .grads(f)([a, b])
      .map((g) => g.data()),
  );
  const values = await Promise.all([a.data(), b.data()]);
  await startEngine({ engine: 'cpu' });
  const copies = [tf.tensor3d(values[0], [2, 4, 5]), tf.tensor3d(values[1], [2, 3, 5])];
  const onCpu = await Promise.all(
    tf
      .grads(f)(copies)
      .map((g) => g.data()),
  );
  await startEngine({ engine: 'wasm' });
  for (const i of [0, 1]) expect(onWasm[i]).toBeNormwiseClose(onCpu[i], 1e-6);
});

type Activation = 'linear' | 'relu' | 'relu6' | 'elu' | 'sigmoid';

const ACTIVATIONS: [Activation, (x: tf.Tensor) => tf.Tensor][] = [
  ['linear', (x) => x],
  ['relu', tf.relu],
  ['relu6', tf.relu6],
  ['elu', tf.elu],
  ['sigmoid', tf.sigmoid],
];

test.each(ACTIVATIONS)(
  'a dense layer with bias and activation %s equals the same computed step by step',
  async (activation, apply) => {
    const a = tf.tensor2d(randomValues(5, 12), [3, 4]);
    const b = tf.tensor2d(randomValues(6, 20), [4, 5]);
    const bias = tf.tensor1d(randomValues(7, 5));
    const fused = tf.fused.matMul({ a, b, bias, activation });
    const linear = tf.add(tf.matMul(a, b), bias);
    const expected = apply(linear);
    expect(await fused.data()).toBeNormwiseClose(await expected.data(), 1e-6);
    expect(await tensorGrowth(() => tf.fused.matMul({ a, b, bias, activation }))).toBe(1);
  },
);

test('an empty inner axis gives zeros and an empty batch gives nothing', async () => {
  expect(await tf.matMul(tf.zeros([2, 0]), tf.zeros([0, 3])).data()).toEqual(new Float32Array(6));
  expect(tf.matMul(tf.zeros([0, 2, 3]), tf.zeros([0, 3, 4])).shape).toEqual([0, 2, 4]);
});

test('a product leaves one tensor', async () => {
  const a = tf.ones([3, 4, 5]);
  const growth = await tensorGrowth(() => {
    for (let i = 0; i < 100; i++) tf.matMul(a, a, false, true).dispose();
  });
  expect(growth).toBe(0);
});
