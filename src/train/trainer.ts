import * as tf from '@tensorflow/tfjs';
import type { FactError } from '../core/errors.js';
import { Random } from '../core/random.js';
import type { Batch } from '../data/batchLoader.js';
import { countCorrect } from './accuracy.js';
import { BcosSchedule } from './bcosSchedule.js';
import type { EpochTotals, RunState } from './checkpoint/state.js';
import { configError } from './config/errors.js';
import type { TrainConfig } from './config/schema.js';
import { diagnose } from './diagnose.js';
import { decayAt, effectiveDecay } from './ema.js';
import { type LossFunction, lossFunction } from './losses/losses.js';
import { mixBatch, oneHot } from './mixing.js';
import {
  createTrainingVariables,
  disposeTrainingVariables,
  type TrainingVariables,
} from './optimizerState.js';
import { createOptimizer } from './optimizers/index.js';
import { learningRate } from './schedules.js';
import { TrainingStep } from './step.js';
import { checkPrefixes, freeze, isBelow, type NamedWeight, namedWeights } from './weights.js';

/** Keys the random stream of stochastic depth. */
const DEPTH_STREAM = 0x5de;

/** What a batch did. */
export interface BatchOutcome {
  readonly state: RunState;
  readonly loss: number;
  readonly gradientNorm: number;
  readonly rate: number;
}

/**
 * The numbers of a run: maps (state, batch) to the next state and steps the network's weights. No files, no printing.
 * Dispose it; the network stays the caller's.
 */
export class Trainer {
  readonly weights: readonly NamedWeight[];
  readonly variables: TrainingVariables;
  readonly loss: LossFunction;
  private readonly step: TrainingStep;
  private readonly rateAt: (update: number) => number;
  private readonly averageDecay: number;
  private readonly bcos: BcosSchedule;
  private readonly randomLayers: readonly string[];

  /** Throws FactError E_CONFIG where the recipe names a module that the network does not have. */
  constructor(
    private readonly network: tf.LayersModel,
    private readonly classes: number,
    private readonly config: TrainConfig,
    private readonly batchesPerEpoch: number,
  ) {
    const { accumulate, clip, ema, epochs, groups, data } = config;
    const all = namedWeights(network);
    checkPrefixes('frozen', config.frozen, all);
    for (const group of groups) checkPrefixes('groups', group.match, all);
    freeze(network, config.frozen);
    this.weights = namedWeights(network);
    if (!this.weights.some((weight) => weight.isParameter)) {
      throw configError('frozen', 'nothing is left to train', 'Freeze fewer stages.');
    }
    this.bcos = new BcosSchedule(this.weights, config.bcos, batchesPerEpoch / accumulate, ema !== null);
    this.loss = lossFunction(config.loss);
    const optimizer = createOptimizer(config.optimizer);
    this.variables = createTrainingVariables(this.weights, optimizer, {
      average: ema !== null,
      accumulate: accumulate > 1,
    });
    const rateFactor = (name: string): number =>
      groups.find((group) => group.match.some((prefix) => isBelow(name, prefix)))?.rateFactor ?? 1;
    this.randomLayers = network.layers
      .filter((layer) => layer.getClassName() === 'StochasticDepth')
      .map((layer) => layer.name);
    this.step = new TrainingStep({
      network,
      weights: this.weights,
      variables: this.variables,
      optimizer,
      loss: this.loss,
      adaptiveClip: clip.adaptive,
      normClip: clip.norm,
      accumulate,
      randomLayers: this.randomLayers,
      rateFactor,
    });
    this.rateAt = learningRate(config.schedule, config.optimizer.rate, {
      epochs,
      updatesPerEpoch: batchesPerEpoch / accumulate,
    });
    this.averageDecay =
      ema === null
        ? 1
        : effectiveDecay({
            decay: ema.decay,
            imagesPerUpdate: accumulate * data.batchSize,
            steps: ema.steps,
            epochs,
          });
  }

  /** Trains on one batch. Throws FactError E_NAN; the network's weights are then those before the batch. */
  async train(state: RunState, batch: Batch): Promise<BatchOutcome> {
    const { config, classes } = this;
    const [height, width] = config.data.imageSize;
    const shape: [number, number, number, number] = [batch.size, height, width, 3];
    const pixels = batch.images;
    const labels = oneHot(batch.labels, classes);
    mixBatch(pixels, shape, labels, config.mixing, [config.seed, state.epoch, batch.index]);
    const rate = this.rateAt(state.update);
    const uniform = this.uniform(state.epoch, batch);
    const isUpdate = (state.step + 1) % config.accumulate === 0;
    const images = tf.tensor4d(pixels, shape, 'float32');
    const targets = tf.tensor2d(labels, [batch.size, classes], 'float32');
    this.bcos.prepare(state.update);
    try {
      const result = await this.step.run(images, targets, {
        rate,
        update: state.update,
        averageDecay: this.decayAt(state.step),
        isUpdate,
        uniform,
      });
      if (!Number.isFinite(result.loss) || !Number.isFinite(result.gradientNorm)) {
        throw this.diagnose(state, result.loss, images, targets, uniform);
      }
      if (isUpdate) this.bcos.finish(state.update);
      const correct = countCorrect(result.logits, batch.labels, classes);
      return {
        state: {
          ...state,
          step: state.step + 1,
          update: state.update + (isUpdate ? 1 : 0),
          batch: batch.index + 1,
          totals: addBatch(state.totals, batch, result.loss, correct),
        },
        loss: result.loss,
        gradientNorm: result.gradientNorm,
        rate,
      };
    } finally {
      tf.dispose([images, targets]);
    }
  }

  /** Learning rate of the update that follows a state. */
  rateOf(state: RunState): number {
    return this.rateAt(state.update);
  }

  dispose(): void {
    this.step.dispose();
    disposeTrainingVariables(this.variables);
  }

  private diagnose(
    state: RunState,
    loss: number,
    images: tf.Tensor4D,
    targets: tf.Tensor2D,
    uniform: readonly Float32Array[],
  ): FactError {
    const tensors = Object.fromEntries(this.randomLayers.map((name, i) => [name, tf.tensor1d(uniform[i])]));
    try {
      const args = { training: true, uniform: tensors };
      const where = { step: state.step + 1, epoch: state.epoch + 1, loss };
      return diagnose(this.network, this.weights, this.loss, images, targets, args, where);
    } finally {
      tf.dispose(tensors);
    }
  }

  private decayAt(step: number): number {
    const { ema } = this.config;
    if (ema === null) return 1;
    return decayAt(step, ema.steps, ema.warmupEpochs * this.batchesPerEpoch, this.averageDecay);
  }

  private uniform(epoch: number, batch: Batch): Float32Array[] {
    return this.randomLayers.map((_, layer) => {
      const random = new Random(DEPTH_STREAM, this.config.seed, epoch, batch.index, layer);
      return Float32Array.from({ length: batch.size }, () => Math.min(random.next(), 1 - 2 ** -24));
    });
  }
}

function addBatch(totals: EpochTotals, batch: Batch, loss: number, correct: number): EpochTotals {
  return {
    ...totals,
    batches: totals.batches + 1,
    images: totals.images + batch.size,
    lossSum: totals.lossSum + loss,
    correct: totals.correct + correct,
    waitSeconds: totals.waitSeconds + batch.waitMs / 1000,
  };
}
