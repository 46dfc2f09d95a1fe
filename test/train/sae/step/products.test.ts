import * as tf from '@tensorflow/tfjs';
import { describe, expect, it } from 'vitest';
import { Random } from '../../../../src/core/random.js';
import { compile } from '../../../../src/engine/compile.js';
import { denseProduct, sparseProduct } from '../../../../src/train/sae/step/products.js';
import { tensorGrowth, useEngine } from '../../../engine.js';

useEngine();

/** B rows of C columns, k distinct latents of K a row, the first of which is the same in every row. */
function makeCase(batch: number, columns: number, latents: number, k: number) {
  const random = new Random(1, batch, columns);
  const normals = (count: number) => Float32Array.from({ length: count }, () => random.normal());
  const indices = Int32Array.from({ length: batch * k }, (_, i) =>
    i % k === 0 ? 3 : 4 + ((i % k) - 1) * 2 + random.integer(2),
  );
  expect(latents).toBeGreaterThan(4 + 2 * k);
  const [coefficients, rows] = [normals(batch * k), normals(batch * columns)];
  const expected = new Float64Array(latents * columns);
  indices.forEach((latent, i) => {
    for (let c = 0; c < columns; c++)
      expected[latent * columns + c] += coefficients[i] * rows[Math.floor(i / k) * columns + c];
  });
  return {
    coefficients: tf.tensor2d(coefficients, [batch, k]),
    indices: tf.tensor2d(indices, [batch, k], 'int32'),
    rows: tf.tensor2d(rows, [batch, columns]),
    expected,
  };
}

describe('products with selected activations', () => {
  it.each([
    ['whole', 16],
    ['in blocks', 4],
    ['in blocks and a rest', 5],
    ['column by column', 1],
  ])('are sums of scaled rows, %s', async (_, blockColumns) => {
    const { coefficients, indices, rows, expected } = makeCase(37, 16, 20, 4);
    const sparse = (a: tf.Tensor2D, i: tf.Tensor2D, x: tf.Tensor2D) =>
      sparseProduct(a, i, x, 20, undefined, undefined, blockColumns);
    const oneThread = compile(sparse, { name: 'sparse', isOneThread: true });
    const manyThreads = compile(sparse, { name: 'sparse' });
    for (const product of [sparse, oneThread, manyThreads]) {
      const got = await product(coefficients, indices, rows);
      expect(got.shape).toEqual([20, 16]);
      expect(await got.data()).toBeNormwiseClose(expected, 1e-6);
    }
    const dense = denseProduct(coefficients, indices, rows, 20);
    expect(await dense.data()).toBeNormwiseClose(expected, 1e-6);
    oneThread.dispose();
    manyThreads.dispose();
  });

  it('leave one tensor', async () => {
    const { coefficients, indices, rows } = makeCase(5, 6, 20, 2);
    for (const product of [sparseProduct, denseProduct]) {
      expect(await tensorGrowth(async () => void product(coefficients, indices, rows, 20).dispose())).toBe(0);
    }
  });
});
