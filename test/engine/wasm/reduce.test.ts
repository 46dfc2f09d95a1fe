import * as tf from '@tensorflow/tfjs';
import { beforeAll, expect, test } from 'vitest';
import { Random } from '../../../src/core/random.js';
import { startEngine } from '../../../src/engine/start.js';
import { tensorGrowth } from '../../engine.js';

beforeAll(async () => {
  await startEngine({ engine: 'wasm' });
});

const SHAPE = [3, 70, 5, 6];
const AXES = [[0], [0, 1, 2], [1, 2], [2], [-2, 1], [3], [0, 2], [2, 3], [0, 1, 2, 3]];

function naiveSum(values: ArrayLike<number>, axes: readonly number[]): Float64Array {
  const kept = SHAPE.map((_, i) => i).filter((i) => !axes.includes(i));
  const sums = new Float64Array(kept.reduce((p, i) => p * SHAPE[i], 1));
  for (let at = 0; at < values.length; at++) {
    const place: number[] = [];
    for (let axis = 3, rest = at; axis >= 0; axis--, rest = Math.floor(rest / SHAPE[axis + 1]))
      place[axis] = rest % SHAPE[axis];
    sums[kept.reduce((to, i) => to * SHAPE[i] + place[i], 0)] += values[at];
  }
  return sums;
}

test.each(AXES)('sums and means over axes %o %o %o %o equal their definition', async (...given) => {
  const axes = given.filter((axis) => axis !== undefined);
  const random = new Random(3);
  const values = Float32Array.from({ length: 6300 }, () => random.uniform(-1, 2));
  const x = tf.tensor(values, SHAPE);
  const positive = [...new Set(axes.map((axis) => (axis + 4) % 4))];
  const expected = naiveSum(values, positive);
  const sum = tf.sum(x, axes);
  expect(sum.shape).toEqual(SHAPE.filter((_, i) => !positive.includes(i)));
  expect(await sum.data()).toBeNormwiseClose(expected, 1e-6);
  const count = values.length / expected.length;
  const mean = tf.mean(x, axes, true);
  expect(mean.shape).toEqual(SHAPE.map((size, i) => (positive.includes(i) ? 1 : size)));
  expect(await mean.data()).toBeNormwiseClose(
    expected.map((v) => v / count),
    1e-6,
  );
});

test('whole numbers, empty axes and no axes keep their meaning', async () => {
  expect(await tf.sum(tf.tensor2d([1, 2, 3, 4], [2, 2], 'int32'), 0).data()).toEqual(new Int32Array([4, 6]));
  expect(await tf.sum(tf.zeros([0, 2]), 0).data()).toEqual(new Float32Array(2));
  expect(await tf.sum(tf.tensor1d([1, 2]), []).data()).toEqual(new Float32Array([1, 2]));
});

test('a sum leaves one tensor', async () => {
  const x = tf.ones([4, 5, 6]);
  expect(await tensorGrowth(() => tf.sum(x, 0))).toBe(1);
  expect(await tensorGrowth(() => tf.mean(x, [0, 1]))).toBe(1);
});
