import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { STATE_LAYOUTS } from '../../src/layers/stateLayout.js';
import type { StateRule } from '../../src/layers/stateRule.js';
import { clipAdaptive, unitAxes } from '../../src/train/clipping.js';
import type { LossConfig } from '../../src/train/config/schema.js';
import { effectiveDecay } from '../../src/train/ema.js';
import { binaryCrossEntropy } from '../../src/train/losses/bce.js';
import { type LossFunction, lossFunction } from '../../src/train/losses/losses.js';
import { cutmixBox, mixRows, oneHot, pasteBox } from '../../src/train/mixing.js';
import { learningRate } from '../../src/train/schedules.js';
import type { GoldenCheck, GoldenSuite, GoldenSuiteCase } from './checks.js';
import { type GoldenTensor, goldenTolerance, readGoldenSafetensors, relativeError } from './format.js';

// biome-ignore lint/suspicious/noExplicitAny: the file's records differ from kind to kind.
type Json = any;

interface TrainGoldens {
  readonly json: Json;
  readonly tensors: Record<string, GoldenTensor>;
}

/** Reads `bcos/train/train.json` and its tensors. */
export function readTrainGoldens(folder: string): TrainGoldens {
  return {
    json: JSON.parse(readFileSync(join(folder, 'bcos/train/train.json'), 'utf8')),
    tensors: readGoldenSafetensors(join(folder, 'bcos/train/train.safetensors')),
  };
}

function tensorOf(golden: GoldenTensor): tf.Tensor {
  return tf.tensor(Float32Array.from(golden.data as Float32Array), [...golden.shape], 'float32');
}

/** The recipe's loss for a loss of the reference with its options. */
export function lossConfigOf(name: string, options: Json): LossConfig {
  switch (name) {
    case 'BinaryCrossEntropyLoss':
      return {
        name: 'bce',
        smoothing: options.smoothing ?? 0,
        targetThreshold: options.target_threshold ?? null,
      };
    case 'UniformOffLabelsBCEWithLogitsLoss':
      return { name: 'uniformOffBce', offLabel: options.off_label ?? null };
    default:
      return { name: 'crossEntropy', smoothing: options.label_smoothing ?? 0 };
  }
}

function lossCase({ json, tensors }: TrainGoldens, entry: Json): GoldenSuiteCase {
  return {
    name: `loss ${entry.id}`,
    run: async () => {
      const logits = tensorOf(tensors['loss:logits']) as tf.Tensor2D;
      const classes = logits.shape[1];
      const targets =
        entry.target === 'soft'
          ? (tensorOf(tensors['loss:soft']) as tf.Tensor2D)
          : tf.tensor2d(oneHot(json.labels, classes), [json.labels.length, classes]);
      let elements: LossFunction = lossFunction(lossConfigOf(entry.loss, entry.options));
      if (entry.options.weight !== undefined) {
        const weight = tensorOf(tensors['loss:weight']) as tf.Tensor1D;
        const positiveWeight = tensorOf(tensors['loss:pos_weight']) as tf.Tensor1D;
        elements = (z, t) => binaryCrossEntropy(z, t, { weight, positiveWeight });
      }
      const reduction = entry.options.reduction ?? 'mean';
      const { value, grads } = tf.valueAndGrads((z: tf.Tensor) => {
        const e = elements(z as tf.Tensor2D, targets);
        return (reduction === 'mean' ? e.mean() : e.sum()) as tf.Scalar;
      })([logits]);
      const checks: GoldenCheck[] = [
        {
          tensor: 'grad',
          error: relativeError(await grads[0].data(), tensors[`loss:${entry.id}:grad`].data as Float32Array),
          tolerance: goldenTolerance(entry.noise.grad),
        },
      ];
      const expected = reduction === 'none' ? null : [entry.value];
      checks.push({
        tensor: 'value',
        error:
          expected === null
            ? relativeError(
                await elements(logits, targets).data(),
                tensors[`loss:${entry.id}:value`].data as Float32Array,
              )
            : relativeError(await value.data(), expected),
        tolerance: goldenTolerance(entry.noise.loss),
      });
      return checks;
    },
  };
}

function agcCase({ tensors }: TrainGoldens, entry: Json): GoldenSuiteCase {
  return {
    name: entry.id,
    run: async () => {
      const shape: number[] = entry.shape;
      const rule: StateRule = shape.length === 4 ? 'conv' : shape.length === 2 ? 'linear' : 'same';
      const layout = STATE_LAYOUTS[rule];
      const tfShape =
        rule === 'conv'
          ? [shape[2], shape[3], shape[1], shape[0]]
          : rule === 'linear'
            ? [shape[1], shape[0]]
            : shape;
      const load = (name: string): tf.Tensor =>
        tf.tensor(layout.fromTorch(tensors[`${entry.id}:${name}`].data as Float32Array, tfShape), tfShape);
      const clipped = clipAdaptive(load('p'), load('g'), unitAxes(tfShape, rule), 0.01);
      const values = layout.toTorch((await clipped.data()) as Float32Array, tfShape);
      const expected = tensors[`${entry.id}:out`].data as Float32Array;
      return [
        { tensor: 'out', error: relativeError(values, expected), tolerance: goldenTolerance(entry.noise) },
      ];
    },
  };
}

function scheduleCase(entry: Json): GoldenSuiteCase {
  return {
    name: `schedule ${entry.id}`,
    run: async () => {
      const { config } = entry;
      const name = { cosineannealinglr: 'cosine', steplr: 'step', exponentiallr: 'exponential' }[
        config.name as string
      ];
      const epochs: number = config.epochs ?? entry.lr.length;
      const rate = learningRate(
        {
          name: name as 'cosine' | 'step' | 'exponential',
          interval: config.interval,
          warmup: {
            epochs: config.warmupEpochs ?? 0,
            steps: config.warmupSteps,
            method: config.warmupMethod,
            start: config.warmupDecay,
          },
          minimum: config.lrMin,
          stepSize: config.stepSize,
          gamma: config.gamma,
        },
        config.lr,
        { epochs, updatesPerEpoch: config.totalSteps === null ? 1 : config.totalSteps / epochs },
      );
      const at: number[] = entry.steps ?? entry.lr.map((_: number, i: number) => i);
      // The rates fall to 1e-10 of the first; PyTorch adds them up step by step, so the error is judged against all.
      return [{ tensor: 'lr', error: relativeError(at.map(rate), entry.lr), tolerance: 1e-9 }];
    },
  };
}

function mixingCases({ json, tensors }: TrainGoldens): GoldenSuiteCase[] {
  const [mixup] = json.mixing.mixup;
  const golden = tensors['mix:x'];
  const [n, c, h, w] = golden.shape;
  const classes: number = mixup.classes;
  /** NCHW -> NHWC and back. */
  const toNhwc = (v: ArrayLike<number>): Float32Array =>
    Float32Array.from({ length: v.length }, (_, i) => {
      const [ch, x, y, b] = [
        i % c,
        Math.floor(i / c) % w,
        Math.floor(i / (c * w)) % h,
        Math.floor(i / (c * w * h)),
      ];
      return v[((b * c + ch) * h + y) * w + x];
    });
  const check = (kind: string, x: Float32Array, target: Float32Array): GoldenCheck[] => [
    {
      tensor: 'x',
      error: relativeError(x, toNhwc(tensors[`mix:${kind}:x`].data as Float32Array)),
      tolerance: 1e-5,
    },
    {
      tensor: 'target',
      error: relativeError(target, tensors[`mix:${kind}:target`].data as Float32Array),
      tolerance: 1e-5,
    },
  ];
  return [
    {
      name: 'mixup',
      run: async () => {
        const x = toNhwc(golden.data as Float32Array);
        const target = oneHot(mixup.labels, classes);
        mixRows(x, n, mixup.lambda);
        mixRows(target, n, mixup.lambda);
        return check('mixup', x, target);
      },
    },
    {
      name: 'cutmix',
      run: async () => {
        const entry = json.mixing.cutmix.find((e: Json) => e.W === w && e.H === h);
        const { box, lambda } = cutmixBox([h, w], [entry.ry, entry.rx], entry.sampled);
        const x = toNhwc(golden.data as Float32Array);
        const target = oneHot(mixup.labels, classes);
        pasteBox(x, [n, h, w, c], box);
        mixRows(target, n, lambda);
        return check('cutmix', x, target);
      },
    },
    ...json.mixing.cutmix.map((entry: Json) => ({
      name: `cutmix box ${entry.W}x${entry.H} at ${entry.rx},${entry.ry}`,
      run: async () => {
        const { box, lambda } = cutmixBox([entry.H, entry.W], [entry.ry, entry.rx], entry.sampled);
        const actual = [box.left, box.top, box.right, box.bottom];
        return [
          { tensor: 'box', error: relativeError(actual, entry.box), tolerance: 0 },
          { tensor: 'lambda', error: relativeError([lambda], [entry.lambda]), tolerance: 1e-12 },
        ];
      },
    })),
  ];
}

/** Losses, adaptive clipping, EMA decay, learning rates, mixup and cutmix. */
export const lossesSuite: GoldenSuite = {
  name: 'losses',
  part: 'bcos/train/train.json',
  cases: (folder) => {
    const goldens = readTrainGoldens(folder);
    const { json } = goldens;
    return [
      ...json.losses.map((entry: Json) => lossCase(goldens, entry)),
      ...json.agc.map((entry: Json) => agcCase(goldens, entry)),
      ...json.emaDecay.map((entry: Json, i: number) => ({
        name: `ema decay ${i}`,
        run: async () => {
          const { devices, accumulate, batch, steps, epochs, decay } = entry;
          const actual = effectiveDecay({
            decay,
            imagesPerUpdate: devices * accumulate * batch,
            steps,
            epochs,
          });
          return [
            { tensor: 'decay', error: relativeError([actual], [entry.effectiveDecay]), tolerance: 1e-10 },
          ];
        },
      })),
      ...json.schedules.map(scheduleCase),
      ...mixingCases(goldens),
    ];
  },
};
