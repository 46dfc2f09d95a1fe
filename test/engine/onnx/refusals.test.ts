import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { compile } from '../../../src/engine/compile.js';
import { Graph } from '../../../src/engine/onnx/graph.js';
import { startEngine } from '../../../src/engine/start.js';

beforeAll(async () => {
  await startEngine({ engine: 'onnx', threads: 1 });
});

describe('the onnx engine', () => {
  it('refuses to compile for an argument of strings', async () => {
    const same = compile((x: tf.Tensor) => x, { name: 'same', enabled: true });
    await expect(same(tf.tensor1d(['a']))).rejects.toMatchObject({
      code: 'E_COMPILE',
      message: expect.stringContaining('argument 0 is string'),
    });
    same.dispose();
  });

  it('names a variable that was disposed after compiling', async () => {
    const v = tf.variable(tf.tensor1d([1, 2]), true, 'gone');
    const sum = compile((x: tf.Tensor1D) => tf.add(x, v), { name: 'sum', enabled: true });
    const x = tf.tensor1d([1, 1]);
    (await sum(x)).dispose();
    v.dispose();
    await expect(sum(x)).rejects.toMatchObject({
      code: 'E_COMPILED_RUN',
      message: expect.stringContaining('gone'),
    });
    sum.dispose();
    x.dispose();
  });

  it('names kernel and shapes where ONNX Runtime refuses to run one', () => {
    const a = tf.ones([200, 300]);
    const b = tf.ones([400, 500]);
    let error: unknown = null;
    try {
      // tf.matMul would have checked the shapes before.
      tf.engine().runKernel('BatchMatMul', { a, b }, { transposeA: false, transposeB: false });
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toMatchObject({
      code: 'E_KERNEL',
      message: expect.stringContaining('BatchMatMul on [200x300], [400x500]'),
    });
    tf.dispose([a, b]);
  });

  it('notices a value that no node computes', () => {
    expect(() => new Graph().output({ shape: [2], dtype: 'float32' }, 'y')).toThrowError(
      expect.objectContaining({ code: 'E_TRACE_INTERNAL' }),
    );
  });
});
