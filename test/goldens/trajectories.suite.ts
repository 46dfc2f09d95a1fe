import * as tf from '@tensorflow/tfjs';
import { AddInverse } from '../../src/layers/addInverse.js';
import { BatchNorm2d } from '../../src/layers/batchNorm2d.js';
import { BatchNormUncentered2d } from '../../src/layers/batchNormUncentered2d.js';
import { BcosConv2d } from '../../src/layers/bcosConv2d.js';
import { DetachablePositionNorm2d } from '../../src/layers/detachablePositionNorm2d.js';
import { GlobalAvgPool2d } from '../../src/layers/globalAvgPool2d.js';
import { LogitLayer } from '../../src/layers/logitLayer.js';
import { STATE_LAYOUTS } from '../../src/layers/stateLayout.js';
import type { StateRule } from '../../src/layers/stateRule.js';
import type { OptimizerConfig } from '../../src/train/config/schema.js';
import { decayAt } from '../../src/train/ema.js';
import { lossFunction } from '../../src/train/losses/losses.js';
import { oneHot } from '../../src/train/mixing.js';
import { createTrainingVariables, disposeTrainingVariables } from '../../src/train/optimizerState.js';
import { createOptimizer } from '../../src/train/optimizers/index.js';
import { learningRate } from '../../src/train/schedules.js';
import { TrainingStep } from '../../src/train/step.js';
import { type NamedWeight, namedWeights } from '../../src/train/weights.js';
import type { GoldenCheck, GoldenSuite, GoldenSuiteCase } from './checks.js';
import { fill, fillHash, fillRange, type GoldenTensor, goldenTolerance, relativeError } from './format.js';
import { lossConfigOf, readTrainGoldens } from './losses.suite.js';

// biome-ignore lint/suspicious/noExplicitAny: records of the goldens' file.
type Json = any;

type Layer = tf.layers.Layer;

/** Value of `num_batches_tracked` in the fill. */
const COUNTER_FILL = 7;

function sequence(layers: readonly Layer[]): tf.LayersModel {
  const input = tf.input({ shape: [null, null, 3] });
  let x: tf.SymbolicTensor = input;
  for (const layer of layers) x = layer.apply(x) as tf.SymbolicTensor;
  return tf.model({ inputs: input, outputs: x });
}

function bcosNet(run: Json): tf.LayersModel {
  const classes: number = run.classes;
  const maxOut = run.id === 'bcos_maxout_cifar' ? 2 : 1;
  const norm = (name: string): Layer[] => {
    if (run.id === 'bcos_maxout_cifar') return [];
    return run.id === 'bcos_accumulate2'
      ? [new DetachablePositionNorm2d({ name, epsilon: 1e-6, bias: false })]
      : [new BatchNormUncentered2d({ name, bias: false })];
  };
  return sequence([
    new AddInverse({ name: 'inverse' }),
    new BcosConv2d({ name: 'conv1', outChannels: 8, kernel: 3, padding: 1, maxOut }),
    ...norm('bn1'),
    new BcosConv2d({ name: 'conv2', outChannels: 12, kernel: 3, stride: 2, padding: 1, maxOut }),
    ...norm('bn2'),
    new BcosConv2d({ name: 'fc', outChannels: classes, maxOut }),
    new GlobalAvgPool2d({ name: 'pool' }),
    new LogitLayer({ name: 'logit', bias: -Math.log(classes - 1), temperature: null }),
  ]);
}

function standardNet(run: Json): tf.LayersModel {
  const pad = (): Layer => tf.layers.zeroPadding2d({ padding: 1 });
  return sequence([
    pad(),
    tf.layers.conv2d({ name: 'conv1', filters: 8, kernelSize: 3, useBias: false }),
    new BatchNorm2d({ name: 'bn1' }),
    tf.layers.reLU(),
    pad(),
    tf.layers.conv2d({ name: 'conv2', filters: 12, kernelSize: 3, strides: 2 }),
    tf.layers.reLU(),
    tf.layers.globalAveragePooling2d({}),
    tf.layers.dense({ name: 'fc', units: run.classes }),
  ]);
}

/** The reference's name of a weight, and how it lies; stock layers say `kernel` for `weight`. */
function torchName({ name }: NamedWeight): string {
  return name.replace(/_\d+$/, '').replace(/kernel$/, 'weight');
}

function ruleOf({ variable, rule }: NamedWeight): StateRule {
  if (rule !== 'same') return rule;
  return variable.rank === 4 ? 'conv' : variable.rank === 2 ? 'linear' : 'same';
}

function fillWeights(weights: readonly NamedWeight[], seed: number): void {
  for (const weight of weights) {
    const { variable } = weight;
    const layout = STATE_LAYOUTS[ruleOf(weight)];
    const name = torchName(weight);
    const range = fillRange(name, layout.torchShape(variable.shape));
    tf.tidy(() => {
      if (range === null) {
        variable.assign(tf.scalar(COUNTER_FILL, 'int32'));
        return;
      }
      const values = layout.fromTorch(fill(name, variable.size, seed, ...range), variable.shape);
      variable.assign(tf.tensor(values, variable.shape));
    });
  }
}

function batchOf(run: Json, step: number): { images: tf.Tensor4D; targets: tf.Tensor2D } {
  const { batch, size, classes } = run;
  const values = fill(`${run.id}:x:${step}`, batch * 3 * size * size, run.dataSeed, 0.5, 0.5);
  const images = tf.tidy(
    () => tf.tensor4d(values, [batch, 3, size, size]).transpose([0, 2, 3, 1]) as tf.Tensor4D,
  );
  const hash = fillHash(`${run.id}:labels:${step}`, run.dataSeed);
  const labels = Array.from({ length: batch }, (_, i) => hash(i) % classes);
  return { images, targets: tf.tensor2d(oneHot(labels, classes), [batch, classes]) };
}

function optimizerOf({ name, lr, momentum, weight_decay }: Json): OptimizerConfig {
  const common = { rate: lr, weightDecay: weight_decay ?? 0 };
  switch (name) {
    case 'SGD':
      return { name: 'sgd', momentum: momentum ?? 0, nesterov: false, ...common };
    case 'RMSprop':
      return { name: 'rmsprop', momentum: momentum ?? 0, alpha: 0.9, epsilon: 0.0316, ...common };
    default:
      return { name: name === 'AdamW' ? 'adamw' : 'adam', betas: [0.9, 0.999], epsilon: 1e-8, ...common };
  }
}

/** Rate of an update: the runs step their schedule once an update, whatever its interval. */
function rateOf(run: Json): (update: number) => number {
  const s = run.schedule;
  const names: Record<string, 'cosine' | 'step' | 'exponential'> = {
    cosineannealinglr: 'cosine',
    steplr: 'step',
    exponentiallr: 'exponential',
  };
  const perStep = s.interval === 'step';
  const epochs: number = s.epochs ?? run.steps;
  return learningRate(
    {
      name: names[s.name],
      interval: s.interval,
      warmup: {
        epochs: s.warmupEpochs ?? 0,
        steps: s.warmupSteps,
        method: s.warmupMethod,
        start: s.warmupDecay,
      },
      minimum: 0,
      stepSize: s.stepSize,
      gamma: s.gamma,
    },
    run.optimizer.lr,
    { epochs, updatesPerEpoch: perStep ? s.totalSteps / epochs : 1 },
  );
}

async function valuesOf(weight: NamedWeight, variable: tf.Variable): Promise<ArrayLike<number>> {
  const values = await variable.data();
  return values instanceof Float32Array
    ? STATE_LAYOUTS[ruleOf(weight)].toTorch(values, variable.shape)
    : values;
}

async function runTrajectory(run: Json, tensors: Record<string, GoldenTensor>): Promise<GoldenCheck[]> {
  const network = run.net === 'bcos' ? bcosNet(run) : standardNet(run);
  const weights = namedWeights(network);
  fillWeights(weights, run.seed);
  const optimizer = createOptimizer(optimizerOf(run.optimizer));
  const { ema, accumulate } = run;
  const variables = createTrainingVariables(weights, optimizer, {
    average: ema !== null,
    accumulate: accumulate > 1,
  });
  const step = new TrainingStep({
    network,
    weights,
    variables,
    optimizer,
    loss: lossFunction(lossConfigOf(run.loss, {})),
    adaptiveClip: run.agc ? 0.01 : null,
    normClip: run.gradientClipNorm,
    accumulate,
    rateFactor: () => 1,
  });
  const rateAt = rateOf(run);
  const average = ema === null ? 1 : ema.decay;
  const rates: number[] = [];
  const losses: number[] = [];
  const norms: number[] = [];
  for (let s = 0; s < run.steps; s++) {
    const update = Math.floor(s / accumulate);
    const { images, targets } = batchOf(run, s);
    const isUpdate = (s + 1) % accumulate === 0;
    const rate = rateAt(update);
    const averageDecay = ema === null ? 1 : decayAt(s, ema.steps, ema.warmup, average);
    const result = await step.run(images, targets, { rate, update, averageDecay, isUpdate });
    tf.dispose([images, targets]);
    rates.push(rate);
    losses.push(result.loss);
    if (isUpdate) norms.push(result.gradientNorm);
  }
  const noise = (name: string): number => goldenTolerance(run.noise[name]);
  const checks: GoldenCheck[] = [
    { tensor: 'lrPerStep', error: relativeError(rates, run.lrPerStep), tolerance: 1e-9 },
    { tensor: 'lossPerStep', error: relativeError(losses, run.lossPerStep), tolerance: noise('loss') },
    { tensor: 'gradNormPerUpdate', error: relativeError(norms, run.gradNormPerUpdate), tolerance: 1e-5 },
  ];
  for (const weight of weights) {
    const name = torchName(weight);
    const pairs = [
      ['final', weight.variable],
      ['emaFinal', variables.average?.get(weight.name)],
    ] as const;
    for (const [kind, variable] of pairs) {
      if (variable === undefined) continue;
      const golden = tensors[`${run.id}:${kind}:${name}`];
      if (golden === undefined) throw new Error(`the goldens have no ${kind}:${name}`);
      const error = relativeError(await valuesOf(weight, variable), golden.data as Float32Array);
      checks.push({ tensor: `${kind}:${name}`, error, tolerance: noise(`${kind}:${name}`) });
    }
  }
  step.dispose();
  disposeTrainingVariables(variables);
  for (const { variable } of weights) variable.dispose();
  return checks;
}

/** Training runs of 20 steps: loss and gradient norm of each, learning rates, final weights, buffers and averages. */
export const trajectoriesSuite: GoldenSuite = {
  name: 'trajectories',
  part: 'bcos/train/train.json',
  cases: (folder) => {
    const { json, tensors } = readTrainGoldens(folder);
    return json.trajectories.map(
      (run: Json): GoldenSuiteCase => ({ name: run.id, run: () => runTrajectory(run, tensors) }),
    );
  },
};
