import * as tf from '@tensorflow/tfjs';
import { expect, test } from 'vitest';
import { startEngine } from '../../../src/engine/start.js';
import { tensorGrowth } from '../../engine.js';

function counting(shape: number[], dtype: 'float32' | 'int32' = 'float32'): tf.Tensor {
  return tf.tensor(
    Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => i + 1),
    shape,
    dtype,
  );
}

const CASES: Record<string, () => tf.Tensor> = {
  'concat on the last axis': () => tf.concat([counting([2, 3, 3]), counting([2, 3, 40])], -1),
  'concat on the first axis': () => tf.concat([counting([2, 3]), counting([1, 3]), counting([4, 3])], 0),
  'concat with an empty tensor': () => tf.concat([counting([2, 3]), tf.zeros([2, 0]), counting([2, 2])], 1),
  'concat of whole numbers': () => tf.concat([counting([2, 2], 'int32'), counting([2, 1], 'int32')], 1),
  'concat of truth values': () =>
    tf.concat([tf.greater(counting([2, 2]), 2), tf.less(counting([2, 2]), 2)], 1),
  stack: () => tf.stack([counting([2, 3]), counting([2, 3])], 1),
  'tile of one axis': () => tf.tile(counting([2, 1, 3]), [1, 4, 1]),
  'tile of all axes': () => tf.tile(counting([2, 2, 3]), [2, 3, 2]),
  'tile of the last axis': () => tf.tile(counting([5, 1]), [1, 37]),
  'tile of whole numbers': () => tf.tile(counting([2, 2], 'int32'), [2, 2]),
  'tile of truth values': () => tf.tile(tf.greater(counting([2, 2]), 2), [1, 2]),
  'tile that changes nothing': () => tf.tile(counting([2, 2]), [1, 1]),
  broadcastTo: () => tf.broadcastTo(counting([2, 1, 3]), [4, 2, 5, 3]),
  'gather on the first axis': () => tf.gather(counting([5, 33]), tf.tensor1d([4, 0, 4], 'int32')),
  'gather on a middle axis': () => tf.gather(counting([2, 4, 3]), tf.tensor2d([[3, 1]], [1, 2], 'int32'), 1),
  'gather with batches': () =>
    tf.gather(
      counting([2, 3, 2]),
      tf.tensor2d(
        [
          [2, 0],
          [1, 1],
        ],
        [2, 2],
        'int32',
      ),
      1,
      1,
    ),
  'gather of whole numbers': () => tf.gather(counting([4], 'int32'), tf.tensor1d([3, 1], 'int32')),
  clone: () => counting([2, 3]).clone(),
};

test.each(Object.entries(CASES))('%s equals that of the cpu engine', async (_, run) => {
  await startEngine({ engine: 'cpu' });
  const expected = run();
  const values = await expected.data();
  await startEngine({ engine: 'wasm' });
  const received = run();
  expect(received.shape).toEqual(expected.shape);
  expect(received.dtype).toBe(expected.dtype);
  expect([...(await received.data())]).toEqual([...values]);
  const growth = await tensorGrowth(() => tf.tidy(() => run().sum()).dispose());
  expect(growth).toBe(0);
});

test('an index outside the axis is an error that names it', async () => {
  await startEngine({ engine: 'wasm' });
  expect(() => tf.gather(counting([3, 2]), tf.tensor1d([0, 3], 'int32'))).toThrow(
    expect.objectContaining({ code: 'E_INDEX' }),
  );
});

test('a clone lives on when its original is disposed, and gives its memory back in the end', async () => {
  await startEngine({ engine: 'wasm' });
  const before = tf.backend().numDataIds();
  const x = tf.tensor1d([1, 2, 3]);
  const copy = x.clone();
  x.dispose();
  expect([...(await copy.data())]).toEqual([1, 2, 3]);
  copy.dispose();
  expect(tf.backend().numDataIds()).toBe(before);
});

test('assigning to a variable leaves its clones as they were', async () => {
  await startEngine({ engine: 'wasm' });
  const variable = tf.variable(tf.tensor1d([1, 2]));
  const copy = variable.clone();
  variable.assign(tf.tensor1d([8, 9]));
  expect([...(await copy.data())]).toEqual([1, 2]);
  expect([...(await variable.data())]).toEqual([8, 9]);
  variable.dispose();
});
