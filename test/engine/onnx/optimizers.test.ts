import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { compile } from '../../../src/engine/compile.js';
import { startEngine } from '../../../src/engine/start.js';

const OPTIMIZERS: Record<string, () => tf.Optimizer> = {
  sgd: () => tf.train.sgd(0.1),
  momentum: () => tf.train.momentum(0.1, 0.9),
  adam: () => tf.train.adam(0.01),
  adamax: () => tf.train.adamax(0.01),
  rmsprop: () => tf.train.rmsprop(0.01),
  adagrad: () => tf.train.adagrad(0.1),
};

const STEPS = 3;

function network(): tf.Sequential {
  const seeded = (seed: number) => tf.initializers.glorotUniform({ seed });
  return tf.sequential({
    layers: [
      tf.layers.conv2d({
        inputShape: [8, 8, 4],
        filters: 6,
        kernelSize: 3,
        padding: 'same',
        useBias: false,
        kernelInitializer: seeded(1),
      }),
      tf.layers.batchNormalization({}),
      tf.layers.activation({ activation: 'relu' }),
      tf.layers.maxPooling2d({ poolSize: 2 }),
      tf.layers.flatten(),
      tf.layers.dense({ units: 7, kernelInitializer: seeded(2) }),
    ],
  });
}

/** Stock optimisers make their slots at the first step: a step of zeros makes them beforehand. */
function makeSlots(optimizer: tf.Optimizer, variables: tf.Variable[], fresh: tf.Optimizer): void {
  tf.tidy(() =>
    optimizer.applyGradients(Object.fromEntries(variables.map((v) => [v.name, tf.zerosLike(v)]))),
  );
  for (const counter of ['accBeta1', 'accBeta2', 'iteration'] as const) {
    const [used, start] = [optimizer, fresh].map(
      (o) => (o as unknown as Record<string, tf.Variable | undefined>)[counter],
    );
    if (used && start) used.assign(start);
  }
}

async function train(
  make: () => tf.Optimizer,
  enabled: boolean,
): Promise<{ losses: number[]; weights: Float32Array[] }> {
  const model = network();
  const variables = model.trainableWeights.map((weight) => weight.read() as tf.Variable);
  const optimizer = make();
  makeSlots(optimizer, variables, make());
  const x = tf.randomNormal([16, 8, 8, 4], 0, 1, 'float32', 7) as tf.Tensor4D;
  const labels = tf.oneHot(
    tf.range(0, 16, 1, 'int32').mod(tf.scalar(7, 'int32')) as tf.Tensor1D,
    7,
  ) as tf.Tensor2D;
  const step = compile(
    (images: tf.Tensor4D, target: tf.Tensor2D) =>
      optimizer.minimize(
        () =>
          tf.losses.softmaxCrossEntropy(
            target,
            model.apply(images, { training: true }) as tf.Tensor,
          ) as tf.Scalar,
        true,
        variables,
      ) as tf.Scalar,
    { name: 'train', enabled },
  );
  const losses: number[] = [];
  for (let i = 0; i < STEPS; i++) losses.push((await step(x, labels)).dataSync()[0]);
  const weights = model.getWeights().map((weight) => weight.dataSync().slice() as Float32Array);
  step.dispose();
  tf.disposeVariables();
  return { losses, weights };
}

beforeAll(async () => {
  await startEngine({ engine: 'onnx', threads: 1 });
});

describe('minimize() of a stock layers model, compiled, equals the eager steps', () => {
  for (const [name, make] of Object.entries(OPTIMIZERS)) {
    it(name, async () => {
      const eager = await train(make, false);
      const compiled = await train(make, true);
      expect(compiled.losses).toBeNormwiseClose(eager.losses, 1e-5);
      compiled.weights.forEach((weight, i) => {
        expect(weight).toBeNormwiseClose(eager.weights[i], 1e-4);
      });
    });
  }
});
