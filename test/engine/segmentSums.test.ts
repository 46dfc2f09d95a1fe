import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { compile } from '../../src/engine/compile.js';
import { startEngine } from '../../src/engine/start.js';

beforeAll(async () => {
  await startEngine({ engine: 'onnx', threads: 2 });
});

/** Many rows that go to few places: where two threads add at once, some are lost. */
const [ROWS, WIDTH, PLACES] = [4096, 128, 7];

describe('sums into places that repeat, on two threads', () => {
  const places = tf.tidy(() => tf.range(0, ROWS, 1, 'int32').mod(tf.scalar(PLACES, 'int32'))) as tf.Tensor1D;
  const expected = Array.from({ length: PLACES }, (_, p) => Math.ceil((ROWS - p) / PLACES));
  const sum = (x: tf.Tensor, at: tf.Tensor) => tf.unsortedSegmentSum(x, at as tf.Tensor1D, PLACES);
  const gathered = (x: tf.Tensor, at: tf.Tensor) =>
    tf.grad((table: tf.Tensor) =>
      tf
        .gather(table, at as tf.Tensor1D)
        .mul(x)
        .sum(),
    )(tf.ones([PLACES, WIDTH]));
  const scattered = (x: tf.Tensor, at: tf.Tensor) => {
    const indices = tf.stack([at, tf.zerosLike(at)], 1) as tf.Tensor2D;
    return tf.scatterND(indices, x, [PLACES, 2, WIDTH]).slice([0, 0, 0], [PLACES, 1, WIDTH]);
  };

  const forms = { 'unsorted segment sum': sum, 'gradient of gather': gathered, 'scatter of rows': scattered };
  for (const [name, fn] of Object.entries(forms)) {
    it.each([
      ['operation by operation', undefined],
      ['compiled', false],
      ['compiled for one thread', true],
    ])(`lose nothing: ${name}, %s`, async (_, isOneThread) => {
      const run = isOneThread === undefined ? fn : compile(fn, { name, isOneThread });
      const x = tf.ones([ROWS, WIDTH]);
      for (let turn = 0; turn < 5; turn++) {
        const values = await (await run(x, places)).data();
        const rows = expected.flatMap((total) => new Array<number>(WIDTH).fill(total));
        expect(Array.from(values)).toEqual(rows);
      }
    });
  }
});
