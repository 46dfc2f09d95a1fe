import * as tf from '@tensorflow/tfjs';
import { describe, expect, it } from 'vitest';
import { startEngine } from '../../../src/engine/start.js';
import { createModel } from '../../../src/models/index.js';
import { lossFunction } from '../../../src/train/losses/losses.js';
import { createTrainingVariables } from '../../../src/train/optimizerState.js';
import { createOptimizer } from '../../../src/train/optimizers/index.js';
import { TrainingStep } from '../../../src/train/step.js';
import { namedWeights } from '../../../src/train/weights.js';
import { ENGINES } from '../engines.js';

const STEPS = 500;
const WARM_UP = 100;
/** Half a minute on a quiet machine. */
const TIME_LIMIT_MS = 900_000;
const ALLOWED_GROWTH_BYTES = 32 * 1024 * 1024;

describe.skipIf(!ENGINES.includes('tensorflow'))(
  'engine tensorflow (where libtensorflow is installed)',
  () => {
    it(
      'keeps tensors and resident memory level over five hundred training steps of a network',
      async () => {
        await startEngine({ engine: 'tensorflow', threads: 2 });
        const model = createModel('cifar10_resnet_20-nomaxout');
        const weights = namedWeights(model.network);
        const optimizer = createOptimizer({
          name: 'adam',
          rate: 1e-3,
          betas: [0.9, 0.999],
          epsilon: 1e-8,
          weightDecay: 0,
        });
        const step = new TrainingStep({
          network: model.network,
          weights,
          variables: createTrainingVariables(weights, optimizer, { average: false, accumulate: false }),
          optimizer,
          loss: lossFunction({ name: 'bce', smoothing: 0, targetThreshold: null }),
          adaptiveClip: null,
          normClip: null,
          accumulate: 1,
          rateFactor: () => 1,
        });
        const x = tf.randomUniform([4, 32, 32, 3], 0, 1, 'float32', 1) as tf.Tensor4D;
        const target = tf.tidy(
          () => tf.oneHot(tf.tensor1d([0, 1, 2, 3], 'int32'), 10, 1, 0.1) as tf.Tensor2D,
        );
        let [tensors, resident, first, last] = [0, 0, 0, 0];
        for (let i = 0; i < STEPS; i++) {
          last = (await step.run(x, target, { rate: 1e-3, update: i, averageDecay: 1, isUpdate: true })).loss;
          if (i === 0) first = last;
          if (i === WARM_UP) [tensors, resident] = [tf.memory().numTensors, process.memoryUsage().rss];
        }
        expect(tf.memory().numTensors).toBe(tensors);
        expect(process.memoryUsage().rss - resident).toBeLessThan(ALLOWED_GROWTH_BYTES);
        expect(last).toBeLessThan(first);
      },
      TIME_LIMIT_MS,
    );
  },
);
