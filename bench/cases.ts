/*
 * The measured cases, made of the product's own pieces. Each is prepared once and then run many times; a run gives a
 * number computed from its result. PyTorch's twins are in torch/serve.py.
 */
import * as tf from '@tensorflow/tfjs';
import { Random } from '../src/core/random.js';
import { compile } from '../src/engine/compile.js';
import {
  attributeConcepts,
  attributePixels,
  reconstructFeatures,
  type SaeTensors,
} from '../src/explain/conceptProgram.js';
import { networkPart } from '../src/explain/networkPart.js';
import { runPart } from '../src/explain/parts.js';
import { type BcosModel, createModel } from '../src/models/index.js';
import { lossFunction } from '../src/train/losses/losses.js';
import { createTrainingVariables } from '../src/train/optimizerState.js';
import { createOptimizer } from '../src/train/optimizers/index.js';
import { SaeTrainer } from '../src/train/sae/trainer.js';
import { TrainingStep } from '../src/train/step.js';
import { namedWeights } from '../src/train/weights.js';

export type Run = () => Promise<number>;

interface NetworkCase {
  readonly arch: string;
  readonly batch: number;
  readonly side: number;
  readonly tap: string;
  readonly channels: number;
  readonly latents: number;
  readonly k: number;
}

const NETWORKS: Readonly<Record<string, NetworkCase>> = {
  resnet18: { arch: 'resnet18', batch: 8, side: 224, tap: 'layer4', channels: 512, latents: 8192, k: 16 },
  resnet20: {
    arch: 'cifar10_resnet_20-nomaxout',
    batch: 128,
    side: 32,
    tap: 'layer3',
    channels: 64,
    latents: 1024,
    k: 16,
  },
};

function normal(random: Random, count: number, scale: number): Float32Array {
  return Float32Array.from({ length: count }, () => random.normal() * scale);
}

function sum(values: ArrayLike<number>): number {
  return Array.prototype.reduce.call(values, (total, v) => (total as number) + (v as number), 0) as number;
}

/** Index of the largest score of each image as one-hot rows. */
function topTarget(scores: tf.Tensor2D): tf.Tensor2D {
  return tf.oneHot(scores.argMax(1) as tf.Tensor1D, scores.shape[1], 1, 0, 'float32') as tf.Tensor2D;
}

function images(c: NetworkCase, random: Random): tf.Tensor4D {
  const values = Float32Array.from({ length: c.batch * c.side * c.side * 3 }, () => random.next());
  return tf.tensor4d(values, [c.batch, c.side, c.side, 3]);
}

function inference(model: BcosModel, x: tf.Tensor4D): Run {
  const program = compile((input: tf.Tensor4D) => model.network.apply(input) as tf.Tensor2D, {
    name: 'inference',
    bake: true,
    independentRows: true,
  });
  return async () => {
    const logits = await program(x);
    const values = await logits.data();
    logits.dispose();
    return sum(values);
  };
}

/** Prediction and the pixels' contributions to each image's top class, in one graph. */
function classExplanation(model: BcosModel, x: tf.Tensor4D): Run {
  const encode = networkPart(model.segment(null, 'input'));
  const network = networkPart(model.segment('input', null));
  const program = compile(
    (input: tf.Tensor4D) => {
      const encoded = runPart(encode, input) as tf.Tensor4D;
      const target = topTarget(runPart(network, encoded) as tf.Tensor2D);
      const { scores, map } = attributePixels(network, encoded, target);
      return { scores, map };
    },
    { name: 'class explanation', bake: true, independentRows: true },
  );
  return async () => {
    const result = await program(x);
    const map = await result.map.data();
    tf.dispose(result);
    return sum(map);
  };
}

/** Prediction of the spliced network, each concept's presence and its contribution to the top class, in one graph. */
function conceptExplanation(model: BcosModel, x: tf.Tensor4D, sae: SaeTensors, tap: string): Run {
  const encode = networkPart(model.segment(null, 'input'));
  const lower = networkPart(model.segment('input', tap));
  const upper = networkPart(model.segment(tap, null));
  const program = compile(
    (input: tf.Tensor4D) => {
      const encoded = runPart(encode, input) as tf.Tensor4D;
      const { reconstruction } = reconstructFeatures(lower, sae, encoded);
      const target = topTarget(runPart(upper, reconstruction) as tf.Tensor2D);
      const { scores, contributions, presence } = attributeConcepts(lower, upper, sae, encoded, target);
      return { scores, contributions, presence };
    },
    { name: 'concept explanation', bake: true, independentRows: true },
  );
  return async () => {
    const result = await program(x);
    const contributions = await result.contributions.data();
    tf.dispose(result);
    return sum(contributions);
  };
}

function randomSae(c: NetworkCase, random: Random): SaeTensors {
  const encoder = tf.tensor2d(normal(random, c.latents * c.channels, 1 / Math.sqrt(c.channels)), [
    c.latents,
    c.channels,
  ]);
  return { encoder, decoder: encoder.transpose() as tf.Tensor2D, k: c.k };
}

function training(model: BcosModel, x: tf.Tensor4D, random: Random): Run {
  const { numClasses } = model.spec.options;
  const labels = Array.from({ length: x.shape[0] }, () => random.integer(numClasses));
  const targets = tf.tidy(() => tf.oneHot(tf.tensor1d(labels, 'int32'), numClasses, 1, 1 / numClasses));
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
  let update = 0;
  return async () => {
    const control = { rate: 1e-3, update: update++, averageDecay: 1, isUpdate: true };
    return (await step.run(x, targets as tf.Tensor2D, control)).loss;
  };
}

function saeTraining(random: Random): Run {
  const [channels, latents, k, batch] = [512, 8192, 32, 4096];
  const encoder = normal(random, latents * channels, 1 / Math.sqrt(channels));
  const decoder = new Float32Array(encoder.length);
  for (let j = 0; j < latents; j++) {
    for (let c = 0; c < channels; c++) decoder[c * latents + j] = encoder[j * channels + c];
  }
  const trainer = new SaeTrainer(
    {
      channels,
      latents,
      k,
      learningRate: 1e-3,
      schedule: { totalSteps: 1000, warmupSteps: 0, decayStart: null },
      auxAlpha: 1 / 32,
      auxK: 256,
      deadAfterRows: 10_000_000,
      batchRows: batch,
      normFactor: 1,
    },
    { encoder, decoder },
  );
  const data = tf.tensor2d(normal(random, batch * channels, 1), [batch, channels]);
  return async () => (await trainer.step(data)).loss;
}

/** Prepares a case such as `resnet18/class`, `resnet20/train` or `sae`. Throws for an unknown name. */
export function prepareCase(name: string): Run {
  const random = new Random(1);
  if (name === 'sae') return saeTraining(random);
  const [network, task] = name.split('/');
  const c = NETWORKS[network];
  if (c === undefined) throw new Error(`unknown case ${name}`);
  const model = createModel(c.arch);
  const x = images(c, random);
  if (task === 'inference') return inference(model, x);
  if (task === 'class') return classExplanation(model, x);
  if (task === 'concepts') return conceptExplanation(model, x, randomSae(c, random), c.tap);
  if (task === 'train') return training(model, x, random);
  throw new Error(`unknown case ${name}`);
}
