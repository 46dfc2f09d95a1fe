import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { compile } from '../../src/engine/compile.js';
import { registerOnnxBackend } from '../../src/engine/onnx/index.js';

beforeAll(async () => {
  await registerOnnxBackend({ threads: 1 });
  await tf.setBackend('onnx');
});

describe('compile', () => {
  it('gives the values of the plain function', async () => {
    const fn = (x: tf.Tensor2D) => ({ y: tf.relu(x.matMul(x, false, true)).mean(1), list: [x.add(1)] });
    const compiled = compile(fn, { name: 'demo', enabled: true });
    expect(compiled.mode).toBe('compiled');
    const x = tf.randomNormal([5, 7]) as tf.Tensor2D;
    const got = await compiled(x);
    const want = fn(x);
    expect(got.y.dataSync()).toBeNormwiseClose(want.y.dataSync(), 1e-6);
    expect(got.list[0].dataSync()).toBeNormwiseClose(want.list[0].dataSync(), 1e-7);
    compiled.dispose();
  });

  it('runs a training step: variables take their new values after each run', async () => {
    const w = tf.variable(tf.tensor1d([1, 2, 3]));
    const step = compile(
      (x: tf.Tensor1D, rate: tf.Scalar) => {
        const { value, grads } = tf.variableGrads(() => w.sub(x).square().sum() as tf.Scalar, [w]);
        w.assign(w.sub(grads[w.name].mul(rate)));
        return value;
      },
      { name: 'step', enabled: true },
    );
    const x = tf.tensor1d([0, 0, 1]);
    const rate = tf.scalar(0.25);
    const before = tf.memory().numTensors;
    for (const expected of [9, 2.25, 0.5625]) {
      const loss = await step(x, rate);
      expect(loss.dataSync()[0]).toBeCloseTo(expected, 5);
      loss.dispose();
    }
    expect(Array.from(w.dataSync())).toEqual([0.125, 0.25, 1.25]);
    expect(tf.memory().numTensors).toBe(before);
    step.dispose();
    w.dispose();
  });
});
