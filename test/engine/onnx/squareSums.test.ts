import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { sumSquares } from '../../../src/engine/onnx/passes/squareSums.js';
import { startEngine } from '../../../src/engine/start.js';
import { bcosConv2d } from '../../../src/layers/bcosConv2d.js';
import { count, randomImage, runGraph, traced } from './graphs.js';

beforeAll(async () => {
  await startEngine({ engine: 'onnx', threads: 1 });
});

const SHAPE = [2, 5, 6, 4];

function layerOn(x: tf.Tensor, filters: tf.Tensor, groups: number): tf.Tensor {
  const conv = { stride: [1, 1], padding: [1, 1], dilation: [1, 1], groups } as const;
  return bcosConv2d(x as tf.Tensor4D, filters as tf.Tensor4D, { conv, b: 2, maxOut: 1, divisor: 1 }, false);
}

describe('sums of squares over channels', () => {
  const filters = (groups: number) => tf.randomNormal([3, 3, 4 / groups, 6], 0, 1, 'float32', 3);

  it('are one operation where the filters are computed, with the same numbers', async () => {
    const before = traced((x) => layerOn(x, filters(1).mul(tf.mean(x)), 1), SHAPE);
    const after = sumSquares(before);
    expect([count(before, 'ReduceSumSquare'), count(after, 'ReduceSumSquare')]).toEqual([1, 2]);
    expect(count(after, 'MatMul')).toBe(count(before, 'MatMul') - 1);
    const x = randomImage(SHAPE, 1);
    const [expected, got] = [await runGraph(before, x, SHAPE), await runGraph(after, x, SHAPE)];
    expect(got.result).toBeNormwiseClose(expected.result, 1e-6);
  });

  it('stay where the filters are constants, and where channels are in groups', () => {
    for (const fn of [
      (x: tf.Tensor) => layerOn(x, filters(1), 1),
      (x: tf.Tensor) => layerOn(x, filters(2).mul(tf.mean(x)), 2),
    ]) {
      const before = traced(fn, SHAPE);
      expect(sumSquares(before).nodes.map(({ op }) => op)).toEqual(before.nodes.map(({ op }) => op));
    }
  });

  it('stay where others read the squares', () => {
    const before = traced((x) => {
      const y = layerOn(x, filters(1).mul(tf.mean(x)), 1);
      return { y, squares: tf.square(x) };
    }, SHAPE);
    expect(count(sumSquares(before), 'MatMul')).toBe(count(before, 'MatMul'));
  });
});
