import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { compile } from '../../src/engine/compile.js';
import { startEngine } from '../../src/engine/start.js';

const STEPS = 500;
/** Steps until the arenas of ONNX Runtime and the heap have reached their size. */
const WARM_UP = 100;
const ALLOWED_GROWTH_BYTES = 32 * 1024 * 1024;

const LABELS = Array.from({ length: 16 }, (_, i) => i % 10);

beforeAll(async () => {
  await startEngine({ engine: 'onnx', threads: 1 });
});

/** A training step of a small convolutional network with momentum, as a function of the batch. */
function trainingStep(): (x: tf.Tensor4D, target: tf.Tensor2D) => tf.Scalar {
  const filter = tf.variable(tf.randomNormal([3, 3, 8, 16], 0, 0.1, 'float32', 1)) as tf.Variable<tf.Rank.R4>;
  const head = tf.variable(tf.randomNormal([16, 10], 0, 0.1, 'float32', 2)) as tf.Variable<tf.Rank.R2>;
  const velocity = [filter, head].map((weight) => tf.variable(tf.zerosLike(weight)));
  return (x, target) => {
    const { value, grads } = tf.variableGrads(() => {
      const features = tf.relu(tf.conv2d(x, filter, 1, 'same')).mean([1, 2]) as tf.Tensor2D;
      return tf.losses.softmaxCrossEntropy(target, features.matMul(head)) as tf.Scalar;
    });
    [filter, head].forEach((weight, i) => {
      velocity[i].assign(velocity[i].mul(0.9).add(grads[weight.name]));
      weight.assign(tf.sub(weight as tf.Tensor, velocity[i].mul(0.01)));
    });
    return value;
  };
}

describe('five hundred training steps', () => {
  for (const enabled of [true, false]) {
    it(`keep tensors and resident memory level, ${enabled ? 'compiled' : 'eager'}`, async () => {
      const step = compile(trainingStep(), { name: 'step', enabled });
      let tensors = 0;
      let resident = 0;
      let [first, last] = [0, 0];
      for (let i = 0; i < STEPS; i++) {
        const x = tf.randomNormal([16, 24, 24, 8], 0, 1, 'float32', i % 5) as tf.Tensor4D;
        const target = tf.tidy(() => tf.oneHot(tf.tensor1d(LABELS, 'int32'), 10) as tf.Tensor2D);
        const loss = await step(x, target);
        last = loss.dataSync()[0];
        if (i === 0) first = last;
        tf.dispose([x, target, loss]);
        if (i === WARM_UP) {
          tensors = tf.memory().numTensors;
          resident = process.memoryUsage().rss;
        }
      }
      expect(tf.memory().numTensors).toBe(tensors);
      expect(process.memoryUsage().rss - resident).toBeLessThan(ALLOWED_GROWTH_BYTES);
      expect(last).toBeLessThan(first);
      step.dispose();
    });
  }
});
