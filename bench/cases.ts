/*
 * The measured cases, made of the product's own pieces. Each is prepared once and then run many times; a run gives a
 * number computed from its result. PyTorch's twins are in torch/serve.py.
 */
import * as tf from '@tensorflow/tfjs';
import { Random } from '../src/core/random.js';
import { compile, type TensorTree } from '../src/engine/compile.js';
import { traceGraphs } from '../src/engine/export.js';
import type { OnnxBackend } from '../src/engine/onnx/backend.js';
import { type GraphCost, graphCost } from '../src/engine/onnx/cost.js';
import { optimise } from '../src/engine/onnx/passes/index.js';
import { traceFunction } from '../src/engine/onnx/trace.js';
import {
  attributeConcepts,
  attributePixels,
  mapConcepts,
  reconstructFeatures,
  type SaeTensors,
} from '../src/explain/conceptProgram.js';
import { networkPart } from '../src/explain/networkPart.js';
import { runPart } from '../src/explain/parts.js';
import { RunningNorm } from '../src/layers/norm.js';
import { type BcosModel, createModel } from '../src/models/index.js';
import { lossFunction } from '../src/train/losses/losses.js';
import { createTrainingVariables, disposeTrainingVariables } from '../src/train/optimizerState.js';
import { createOptimizer } from '../src/train/optimizers/index.js';
import { SaeTrainer } from '../src/train/sae/step/trainer.js';
import { TrainingStep } from '../src/train/step.js';
import { namedWeights } from '../src/train/weights.js';

import { extraction } from './extraction.js';

export type Run = () => Promise<number>;

/** A prepared case. */
export interface Case {
  readonly run: Run;
  /** What its graph computes and moves; absent where the graph is not at hand. */
  readonly cost?: () => GraphCost;
  /** Frees graphs and weights. */
  readonly dispose?: () => void;
}

interface NetworkCase {
  readonly arch: string;
  readonly side: number;
  readonly tap: string;
  readonly channels: number;
  readonly latents: number;
  readonly k: number;
}

const K = 16;

const NETWORKS: Readonly<Record<string, NetworkCase>> = {
  resnet18: { arch: 'resnet18', side: 224, tap: 'layer4', channels: 512, latents: 8192, k: K },
  resnet50: { arch: 'resnet50', side: 224, tap: 'layer4', channels: 2048, latents: 16384, k: K },
  resnet20: {
    arch: 'cifar10_resnet_20_bnu-linear-nomaxout',
    side: 32,
    tap: 'layer3',
    channels: 64,
    latents: 1024,
    k: K,
  },
  vitc_s: {
    arch: 'vitc_s',
    side: 224,
    tap: 'transformer.encoder_9',
    channels: 384,
    latents: 8192,
    k: K,
  },
};

type StepFunction = (...args: tf.Tensor[]) => TensorTree;

/** Tasks that take features of a tap: `features-layer4`. */
const FEATURES = 'features-';

/** Concepts whose pixel maps are made. */
const MAPS = 3;

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

function images(c: NetworkCase, batch: number, random: Random): tf.Tensor4D {
  const values = Float32Array.from({ length: batch * c.side * c.side * 3 }, () => random.next());
  return tf.tensor4d(values, [batch, c.side, c.side, 3]);
}

/**
 * Gives each norm the variances of an image, as training would: with a fresh network's variances of 1, responses and
 * gradients fade from layer to layer until they are denormal numbers, with which processors are slow.
 */
function calibrate(model: BcosModel, x: tf.Tensor4D): void {
  for (const layer of model.network.layers) {
    if (layer instanceof RunningNorm) Object.defineProperty(layer, 'momentum', { value: 1 });
  }
  const one = x.slice([0, 0, 0, 0], [1, -1, -1, -1]);
  tf.tidy(() => model.network.apply(one, { training: true }) as tf.Tensor);
  one.dispose();
}

type Program = (input: tf.Tensor4D) => Record<string, tf.Tensor>;

/** A program of images whose result named `total` is summed. */
function programCase(name: string, x: tf.Tensor4D, program: Program, total: string): Case {
  const compiled = compile(program, { name, bake: true, independentRows: true });
  return {
    run: async () => {
      const result = await compiled(x);
      const values = await result[total].data();
      tf.dispose(result);
      return sum(values);
    },
    cost: () => {
      const inputs = [{ name: 'image', shape: x.shape }];
      const fn = program as (...args: tf.Tensor[]) => TensorTree;
      return graphCost(traceGraphs(fn, inputs, { name }).optimised);
    },
    dispose: () => compiled.dispose(),
  };
}

function inference(model: BcosModel): Program {
  return (input) => ({ logits: model.network.apply(input) as tf.Tensor2D });
}

/** Prediction and the pixels' contributions to each image's top class, in one graph. */
function classExplanation(model: BcosModel): Program {
  const encode = networkPart(model.segment(null, 'input'));
  const network = networkPart(model.segment('input', null));
  return (input) => {
    const encoded = runPart(encode, input) as tf.Tensor4D;
    const target = topTarget(runPart(network, encoded) as tf.Tensor2D);
    const { scores, map } = attributePixels(network, encoded, target);
    return { scores, map };
  };
}

/**
 * Prediction of the spliced network, each concept's presence and its contribution to the top class, in one graph; with
 * maps also the pixel maps of the concepts that contribute most.
 */
function conceptExplanation(model: BcosModel, sae: SaeTensors, tap: string, withMaps: boolean): Program {
  const encode = networkPart(model.segment(null, 'input'));
  const lower = networkPart(model.segment('input', tap));
  const upper = networkPart(model.segment(tap, null));
  return (input) => {
    const encoded = runPart(encode, input) as tf.Tensor4D;
    const { reconstruction } = reconstructFeatures(lower, sae, encoded);
    const target = topTarget(runPart(upper, reconstruction) as tf.Tensor2D);
    const all = attributeConcepts(lower, upper, sae, encoded, target);
    const { scores, contributions, presence, values, indices } = all;
    const results = { scores, contributions, presence };
    if (!withMaps) return results;
    const ids = tf.topk(contributions, MAPS).indices as tf.Tensor2D;
    return { ...results, maps: mapConcepts(lower, sae, encoded, { values, indices }, ids).maps };
  };
}

function randomSae(c: NetworkCase, random: Random): SaeTensors {
  const encoder = tf.tensor2d(normal(random, c.latents * c.channels, 1 / Math.sqrt(c.channels)), [
    c.latents,
    c.channels,
  ]);
  return { encoder, decoder: encoder.transpose() as tf.Tensor2D, k: c.k };
}

/** Operations and bytes of a step; products with constants (0/1 matrices that move data) are no operations. */
function stepCost(fn: StepFunction, args: readonly tf.Tensor[]): GraphCost {
  const specs = args.map(({ shape, dtype }, i) => ({ name: `a${i}`, shape, dtype: dtype as 'float32' }));
  const trace = traceFunction(tf.backend() as OnnxBackend, fn, specs, { name: 'cost', bake: false });
  const parts = optimise(trace.parts);
  const constants = new Set(parts.constants.map(({ name }) => name));
  const nodes = parts.nodes.filter((node) => !node.inputs.some((name) => constants.has(name)));
  const { flops, productBytes } = graphCost({ ...parts, nodes });
  return { flops, productBytes, bytes: graphCost(parts).bytes };
}

function training(model: BcosModel, x: tf.Tensor4D, random: Random): Case {
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
  const variables = createTrainingVariables(weights, optimizer, { average: false, accumulate: false });
  const step = new TrainingStep({
    network: model.network,
    weights,
    variables,
    optimizer,
    loss: lossFunction({ name: 'bce', smoothing: 0, targetThreshold: null }),
    adaptiveClip: null,
    normClip: null,
    accumulate: 1,
    rateFactor: () => 1,
  });
  let update = 0;
  const run = async () => {
    const control = { rate: 1e-3, update: update++, averageDecay: 1, isUpdate: true };
    return (await step.run(x, targets as tf.Tensor2D, control)).loss;
  };
  const fn = (images: tf.Tensor, wanted: tf.Tensor, control: tf.Tensor): TensorTree =>
    step.batchProgram(images as tf.Tensor4D, wanted as tf.Tensor2D, control as tf.Tensor1D);
  const cost = (): GraphCost => {
    const control = tf.zeros([5]);
    const counted = stepCost(fn as StepFunction, [x, targets, control]);
    control.dispose();
    return counted;
  };
  const dispose = (): void => {
    step.dispose();
    disposeTrainingVariables(variables);
    tf.dispose([x, targets]);
    model.network.dispose();
  };
  return { run, cost, dispose };
}

/** A step on `batch` rows of features with 32 of the latents a row. */
function saeTraining(channels: number, latents: number, random: Random): Case {
  const [k, batch] = [32, 4096];
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
  const run = async () => (await trainer.step(data)).loss;
  const cost = () => saeCost(channels, latents, k, batch);
  const dispose = (): void => {
    trainer.dispose();
    data.dispose();
  };
  return { run, cost, dispose };
}

/**
 * One dense product, x E^T; the decoder and the gradients to activations, encoder and decoder read, scale and add k rows
 * for each row of features. Bytes of products: these; of all: the weights and moments, read and written, too.
 */
function saeCost(channels: number, latents: number, k: number, batch: number): GraphCost {
  const [rows, weights] = [batch * k * channels, latents * channels];
  const productBytes = 4 * (batch * channels + weights + batch * latents + 6 * rows);
  return {
    flops: 2 * batch * latents * channels + 4 * 2 * rows,
    productBytes,
    bytes: productBytes + 4 * 2 * 6 * weights,
  };
}

/**
 * Prepares a case such as `resnet18/8/class`, `resnet20/128/train` or `sae/512/8192` (channels, latents). Throws for an
 * unknown name.
 */
export function prepareCase(name: string): Case {
  const random = new Random(1);
  const [network, batch, task] = name.split('/');
  if (network === 'sae') return saeTraining(Number(batch), Number(task), random);
  const c = NETWORKS[network];
  if (c === undefined) throw new Error(`unknown case ${name}`);
  const model = createModel(c.arch);
  const x = images(c, Number(batch), random);
  if (task === 'train') return training(model, x, random);
  calibrate(model, x);
  if (task.startsWith(FEATURES)) return extraction(model, task.slice(FEATURES.length), x);
  const [withMaps, total] = task === 'maps' ? [true, 'maps'] : [false, 'contributions'];
  const sae = task === 'concepts' || task === 'maps' ? randomSae(c, random) : null;
  const prepared =
    sae !== null
      ? programCase(name, x, conceptExplanation(model, sae, c.tap, withMaps), total)
      : task === 'inference'
        ? programCase(name, x, inference(model), 'logits')
        : programCase(name, x, classExplanation(model), 'map');
  const dispose = (): void => {
    prepared.dispose?.();
    tf.dispose([x, ...(sae === null ? [] : [sae.encoder, sae.decoder])]);
    model.network.dispose();
  };
  return { ...prepared, dispose };
}
