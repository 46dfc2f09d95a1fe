import * as tf from '@tensorflow/tfjs';
import { type Compiled, compile } from '../engine/compile.js';
import { clipAdaptive, globalClipFactor, globalNorm, unitAxes } from './clipping.js';
import { averageStep } from './ema.js';
import { type LossFunction, rowLosses } from './losses/losses.js';
import type { TrainingVariables } from './optimizerState.js';
import type { Optimizer } from './optimizers/index.js';
import type { NamedWeight } from './weights.js';

/** Results above it count as not finite: the square root of the largest float32 squares to infinity. */
const LARGEST = 3e38;

export interface StepOptions {
  readonly network: tf.LayersModel;
  readonly weights: readonly NamedWeight[];
  readonly variables: TrainingVariables;
  readonly optimizer: Optimizer;
  readonly loss: LossFunction;
  /** Factor of adaptive gradient clipping; null = off. */
  readonly adaptiveClip: number | null;
  /** Largest global norm; null = off. */
  readonly normClip: number | null;
  /** Batches in an update. */
  readonly accumulate: number;
  /** Names of the stochastic-depth layers, in the order of `StepControl.uniform`. */
  readonly randomLayers?: readonly string[];
  /** Multiplies the learning rate of a weight. */
  readonly rateFactor: (name: string) => number;
}

/** Results of one batch. */
export interface StepResult {
  readonly loss: number;
  /** Norm of all gradients before clipping, of the update if the batch completes one of several; not finite where a gradient is not. */
  readonly gradientNorm: number;
  /** [N, classes], row-major. */
  readonly logits: Float32Array;
}

/** What changes from batch to batch, beside the batch. */
export interface StepControl {
  readonly rate: number;
  /** Updates done before this one. */
  readonly update: number;
  /** Decay of the moving average at this batch: 1 leaves it, 0 copies. */
  readonly averageDecay: number;
  /** Whether this batch completes an update. */
  readonly isUpdate: boolean;
  /** Numbers in [0, 1), one a sample, for each stochastic-depth layer. */
  readonly uniform?: readonly Float32Array[];
}

interface Outputs {
  /** Whether loss and gradients are numbers: else the batch changes nothing. */
  readonly finite: tf.Tensor;
  readonly loss: tf.Tensor;
  readonly gradientNorm: tf.Tensor;
  readonly logits: tf.Tensor;
  readonly [name: string]: tf.Tensor;
}

function scalarAt(control: tf.Tensor1D, index: number): tf.Scalar {
  return control.slice([index], [1]).reshape([]) as tf.Scalar;
}

/**
 * One batch of training as a pure tensor program, in the reference's order: forward, loss, moving average, backward,
 * clipping, optimiser. Compiled once a batch shape. Where the loss or a gradient is not finite, nothing changes: the
 * caller sees it in the result and stops.
 */
export class TrainingStep {
  private readonly batch: Compiled<readonly tf.Tensor[], Outputs>;
  private readonly update: Compiled<[tf.Tensor1D], tf.Tensor> | null;
  private readonly options: StepOptions;
  private readonly parameters: readonly NamedWeight[];

  constructor(options: StepOptions) {
    this.options = options;
    this.parameters = options.weights.filter((weight) => weight.isParameter);
    this.batch = compile(
      (images: tf.Tensor, targets: tf.Tensor, control: tf.Tensor, ...uniform: tf.Tensor[]) =>
        this.batchProgram(
          images as tf.Tensor4D,
          targets as tf.Tensor2D,
          control as tf.Tensor1D,
          uniform as tf.Tensor1D[],
        ),
      { name: 'training step', keepIf: 'finite' },
    );
    this.update =
      options.accumulate > 1
        ? compile((control: tf.Tensor1D) => this.updateProgram(control), { name: 'optimiser update' })
        : null;
  }

  /** Forward, backward and, where the batch completes an update, the update. Images [N,H,W,3], targets [N,classes]. */
  async run(images: tf.Tensor4D, targets: tf.Tensor2D, control: StepControl): Promise<StepResult> {
    const { averageDecay, rate, update } = control;
    const numbers = [averageDecay, 1 - averageDecay, rate, ...this.options.optimizer.scalars(update + 1)];
    const controlTensor = tf.tensor1d(numbers, 'float32');
    const uniform = (control.uniform ?? []).map((values) => tf.tensor1d(values, 'float32'));
    try {
      const outputs = await this.batch(images, targets, controlTensor, ...uniform);
      const [loss, gradientNorm, logits] = await Promise.all([
        outputs.loss.data(),
        outputs.gradientNorm.data(),
        outputs.logits.data(),
      ]);
      tf.dispose(outputs);
      const result = { loss: loss[0], gradientNorm: gradientNorm[0], logits: logits as Float32Array };
      if (this.update === null || !control.isUpdate || !Number.isFinite(result.gradientNorm)) return result;
      const norm = await this.update(controlTensor);
      const [updateNorm] = await norm.data();
      norm.dispose();
      return { ...result, gradientNorm: updateNorm };
    } finally {
      tf.dispose([controlTensor, ...uniform]);
    }
  }

  dispose(): void {
    this.batch.dispose();
    this.update?.dispose();
  }

  /** One batch as the function of tensors that `run` compiles; assigns variables. */
  batchProgram(
    images: tf.Tensor4D,
    targets: tf.Tensor2D,
    control: tf.Tensor1D,
    uniformList: readonly tf.Tensor1D[] = [],
  ): Outputs {
    const { network, weights, variables, loss: lossOf, accumulate } = this.options;
    const uniform = Object.fromEntries(
      (this.options.randomLayers ?? []).map((name, i) => [name, uniformList[i]]),
    );
    let kept: tf.Tensor | null = null;
    const { value: loss, grads } = tf.variableGrads(
      () => {
        const logits = tf.keep(network.apply(images, { training: true, uniform }) as tf.Tensor2D);
        kept = logits;
        return rowLosses(lossOf, logits, targets).mean();
      },
      this.parameters.map((weight) => weight.variable),
    );
    // variableGrads frees what is made inside it; the copy belongs to the caller's scope again.
    const logits = (kept as unknown as tf.Tensor).clone();
    (kept as unknown as tf.Tensor).dispose();
    if (variables.average !== null) {
      const decay = scalarAt(control, 0);
      const rest = scalarAt(control, 1);
      for (const { name, variable } of weights) {
        const average = variables.average.get(name);
        average?.assign(averageStep(average, variable, decay, rest));
      }
    }
    const gradients = this.parameters.map(
      ({ variable }) => grads[variable.name] ?? tf.zerosLike<tf.Tensor>(variable),
    );
    const norm = globalNorm(gradients);
    const finite = tf.logicalAnd(norm.lessEqual(LARGEST), loss.abs().lessEqual(LARGEST));
    if (variables.gradients === null) {
      this.applyUpdate(gradients, norm, control);
    } else {
      this.parameters.forEach(({ name }, i) => {
        const sum = variables.gradients?.get(name);
        sum?.assign(sum.add(gradients[i].div(accumulate)));
      });
    }
    return {
      finite,
      loss,
      gradientNorm: tf.where(finite, norm, tf.scalar(Number.POSITIVE_INFINITY)),
      logits,
    };
  }

  /** The update from accumulated gradients, which are zero afterwards; returns their norm. */
  private updateProgram(control: tf.Tensor1D): tf.Tensor {
    const sums = this.parameters.flatMap(({ name }) => this.options.variables.gradients?.get(name) ?? []);
    const gradients = sums.map((sum) => sum.clone());
    const norm = globalNorm(gradients);
    this.applyUpdate(gradients, norm, control);
    for (const sum of sums) sum.assign(tf.zerosLike<tf.Tensor>(sum));
    return norm;
  }

  /** Clipping and optimiser for gradients in the order of the parameters. */
  private applyUpdate(gradients: readonly tf.Tensor[], norm: tf.Scalar, control: tf.Tensor1D): void {
    const { optimizer, variables, adaptiveClip, normClip, rateFactor } = this.options;
    const rate = scalarAt(control, 2);
    const scalars = optimizer.scalars(1).map((_, i) => scalarAt(control, 3 + i));
    const factor = normClip === null ? null : globalClipFactor(norm, normClip);
    this.parameters.forEach(({ name, variable, rule }, i) => {
      let gradient = factor === null ? gradients[i] : gradients[i].mul(factor);
      if (adaptiveClip !== null) {
        gradient = clipAdaptive(variable, gradient, unitAxes(variable.shape, rule), adaptiveClip);
      }
      const slots = variables.slots.get(name) ?? {};
      const own = rateFactor(name);
      const result = optimizer.step({
        weight: variable,
        gradient,
        slots,
        rate: own === 1 ? rate : (rate.mul(own) as tf.Scalar),
        scalars,
      });
      for (const [slot, value] of Object.entries(result.slots)) slots[slot].assign(value);
      variable.assign(result.weight);
    });
  }
}
