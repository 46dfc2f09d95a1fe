import * as tf from '@tensorflow/tfjs';
import { describe, expect, it } from 'vitest';
import { Random } from '../../src/core/random.js';
import { compileRowUpdate } from '../../src/engine/updateRows.js';
import { tensorGrowth, useEngine } from '../engine.js';

useEngine();

/** More rows than one piece holds, and a rest. */
const [ROWS, COLUMNS] = [5003, 301];

function values(count: number, seed: number): Float32Array {
  const random = new Random(seed);
  return Float32Array.from({ length: count }, () => random.uniform(-1, 1));
}

/** w <- w - rate g sum(w of the row); n <- sum of squares of the row, added. */
const update = compileRowUpdate(
  ([weight, sums], [gradient], [rate]) => {
    const next = tf.sub(weight, tf.mul(tf.mul(gradient, rate), tf.sum(weight, 1, true)));
    return [next, tf.add(sums, tf.sum(tf.square(weight), 1))];
  },
  { name: 'test update' },
);

describe('an update of rows', () => {
  it('changes variables as the function says, in every piece, again and again', async () => {
    const weights = values(ROWS * COLUMNS, 1);
    const gradients = values(ROWS * COLUMNS, 2);
    const weight = tf.variable(tf.tensor2d(weights.slice(), [ROWS, COLUMNS]));
    const sums = tf.variable(tf.zeros([ROWS]));
    const [gradient, rate] = [tf.tensor2d(gradients, [ROWS, COLUMNS]), tf.scalar(0.5)];
    const expected = Float64Array.from(weights);
    const squares = new Float64Array(ROWS);
    const growth = await tensorGrowth(async () => {
      for (let round = 0; round < 2; round++) {
        await update.run([weight, sums], [gradient], [rate]);
        for (let i = 0; i < ROWS; i++) {
          const row = expected.subarray(i * COLUMNS, (i + 1) * COLUMNS);
          const sum = row.reduce((a, b) => a + b, 0);
          squares[i] += row.reduce((a, b) => a + b * b, 0);
          row.forEach((value, c) => {
            row[c] = value - 0.5 * gradients[i * COLUMNS + c] * sum;
          });
        }
      }
    });
    expect(growth).toBe(0);
    expect(weight.dataSync()).toBeNormwiseClose(expected, 1e-5);
    expect(sums.dataSync()).toBeNormwiseClose(squares, 1e-5);
    tf.dispose([weight, sums, gradient, rate]);
  });

  it('leaves alone what others have seen of the old values', async () => {
    const weight = tf.variable(tf.tensor2d([1, 2, 3, 4], [2, 2]));
    const sums = tf.variable(tf.zeros([2]));
    const [gradient, rate] = [tf.ones([2, 2]), tf.scalar(1)];
    await update.run([weight, sums], [gradient], [rate]);
    const seen = await weight.data();
    const shared = weight.clone();
    const copy = Float32Array.from(seen);
    await update.run([weight, sums], [gradient], [rate]);
    expect(Array.from(seen)).toEqual(Array.from(copy));
    expect(Array.from(shared.dataSync())).toEqual(Array.from(copy));
    expect(Array.from(weight.dataSync())).not.toEqual(Array.from(copy));
    tf.dispose([weight, sums, gradient, rate, shared]);
  });

  it('refuses what has no common rows', async () => {
    const [weight, sums] = [tf.variable(tf.ones([3, 2])), tf.variable(tf.ones([3]))];
    const [gradient, rate] = [tf.ones([2, 2]), tf.scalar(1)];
    await expect(update.run([weight, sums], [gradient], [rate])).rejects.toMatchObject({
      code: 'E_UPDATE_ROWS',
    });
    tf.dispose([weight, sums, gradient, rate]);
  });
});
