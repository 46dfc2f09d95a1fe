import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { graphCost } from '../../../src/engine/onnx/cost.js';
import { startEngine } from '../../../src/engine/start.js';
import { traced } from './graphs.js';

beforeAll(async () => {
  await startEngine({ engine: 'onnx', threads: 1 });
});

describe('the cost of a graph', () => {
  it('counts a matrix product: 2 MKN operations, operands and result once', () => {
    const w = tf.randomNormal([5, 7]);
    const cost = graphCost(traced((x) => tf.matMul(x as tf.Tensor2D, w as tf.Tensor2D), [3, 5]));
    expect(cost.flops).toBe(2 * 3 * 5 * 7);
    expect(cost.productBytes).toBe(4 * (15 + 35 + 21));
  });

  it('counts a convolution and its transpose alike', () => {
    const filter = tf.randomNormal([3, 3, 4, 8]) as tf.Tensor4D;
    const forward = (x: tf.Tensor) => tf.conv2d(x as tf.Tensor4D, filter, 2, 'same');
    const backward = (dy: tf.Tensor) =>
      tf.conv2dTranspose(dy as tf.Tensor4D, filter, [2, 16, 16, 4], 2, 'same');
    const operations = 2 * (2 * 8 * 8 * 8) * (3 * 3 * 4);
    expect(graphCost(traced(forward, [2, 16, 16, 4])).flops).toBe(operations);
    expect(graphCost(traced(backward, [2, 8, 8, 8])).flops).toBe(operations);
  });

  it('counts what element-wise operations move, and nothing for views', () => {
    const cost = graphCost(traced((x) => tf.reshape(tf.relu(x), [6]), [2, 3]));
    expect(cost).toEqual({ flops: 0, productBytes: 0, bytes: 2 * 6 * 4 });
  });
});
