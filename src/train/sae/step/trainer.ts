/*
 * The training of an autoencoder, update by update: state in tf.Variables, changed by step.ts. Formulas: gradients.ts
 * (loss), update.ts and archetypal.ts (from gradients to weights), schedule.ts (learning rate), threshold.ts.
 */
import * as tf from '@tensorflow/tfjs';
import { FactError } from '../../../core/errors.js';
import { checkSaeSize, decodeSparse } from '../../../layers/topKSae.js';
import { learningRateMultiplier, type SaeSchedule } from './schedule.js';
import { type Code, selectByBatch, selectByRow } from './selection.js';
import {
  ACTIVE,
  type SaeArchitecture,
  SELECTION,
  type StateEntry,
  type StateName,
  stateEntries,
} from './state.js';
import { SaeStep, type SaeStepNumbers, type SaeStepScalars } from './step.js';
import {
  activeBins,
  batchTopKCode,
  nextCode,
  type RunningCode,
  type SaeCode,
  startsAt,
} from './threshold.js';
import { ADAM } from './update.js';

export type { SaeArchitecture, StateName };

export interface SaeTrainerOptions {
  /** Default `topk`. */
  readonly architecture?: SaeArchitecture;
  readonly channels: number;
  readonly latents: number;
  readonly k: number;
  /** `batchtopk`: share of the running threshold that stays at each update (0.999). */
  readonly thresholdMemory?: number;
  /** `batchtopk`: updates before the threshold is measured; null or nothing: 1000, at most half of all. */
  readonly thresholdStart?: number | null;
  /** `batchtopk`: most activations of a row afterwards; null or nothing: as many as the training needs. */
  readonly width?: number | null;
  /** `archetypal`: number of points that span the hull. */
  readonly points?: number;
  /** `archetypal`: longest deviation of a direction from the hull (0.1), in units of the norm factor. */
  readonly relaxation?: number;
  readonly learningRate: number;
  readonly schedule: SaeSchedule;
  /** Weight of the auxiliary term; 0 leaves it out. */
  readonly auxAlpha: number;
  /** Most dead latents that the auxiliary term uses per row. */
  readonly auxK: number;
  /** Rows without firing after which a latent counts as dead. */
  readonly deadAfterRows: number;
  /** Rows of the largest batch that will be given. */
  readonly batchRows: number;
  /** Features are divided by this number. */
  readonly normFactor: number;
  /** Default: as the engine was started. */
  readonly compile?: boolean;
}

/** What one update reports; losses are those before the update. */
export interface SaeStepReport {
  readonly update: number;
  readonly loss: number;
  readonly l2: number;
  readonly aux: number;
  readonly auxNumerator: number;
  readonly dead: number;
  readonly gradientNorm: number;
  readonly l0: number;
  readonly learningRate: number;
}

/** Values of all variables, row-major, and the number of updates made. */
export interface SaeTrainerState {
  readonly updates: number;
  readonly values: Readonly<Record<StateName, Float32Array | Int32Array>>;
}

/** Weights to start from: encoder row-major [K, C], decoder row-major [C, K]; of `archetypal` points and mixture too. */
export interface SaeStart {
  readonly encoder: Float32Array;
  readonly decoder: Float32Array;
  readonly points?: Float32Array;
  readonly mixture?: Float32Array;
}

/** Decoder rows that are read at a time for a reconstruction: 16 MiB. */
const CHUNK_VALUES = 2 ** 22;

let created = 0;

export class SaeTrainer {
  /** The variables of the state: names, shapes and types. */
  readonly stateEntries: readonly StateEntry[];
  private readonly architecture: SaeArchitecture;
  private readonly variables: Record<StateName, tf.Variable>;
  private readonly steps = new Map<string, SaeStep>();
  private updatesMade = 0;
  /** Latents that may be dead after the next update: an upper bound that fixes the auxiliary term's width. */
  private deadCandidates: number;
  /** `batchtopk`: what is remembered of the batches, and the places of a row's code in training. */
  private running: RunningCode;
  private codeWidth: number;

  /**
   * @param start copied. Throws FactError E_SAE_CONFIG.
   */
  constructor(
    readonly options: SaeTrainerOptions,
    start: SaeStart,
  ) {
    const { channels, latents, k, architecture = 'topk' } = options;
    checkSaeSize({ channels, latents, k });
    this.architecture = architecture;
    this.codeWidth = Math.min(latents, 2 * k);
    const id = created++;
    const rows = new Float32Array(latents * channels);
    for (let c = 0; c < channels; c++) {
      for (let j = 0; j < latents; j++) rows[j * channels + c] = start.decoder[c * latents + j];
    }
    const bins = activeBins(k, latents);
    this.running = { threshold: -1, perRow: new Float32Array(bins) };
    const points =
      architecture === 'archetypal' ? (options.points ?? (start.points?.length ?? 0) / channels) : 0;
    const given: Readonly<Record<StateName, Float32Array | undefined>> = {
      encoder: start.encoder,
      decoder_rows: rows,
      points: start.points,
      mixture: start.mixture,
      [SELECTION]: Float32Array.of(this.running.threshold, this.codeWidth),
    };
    this.stateEntries = stateEntries(architecture, { channels, latents, points, bins });
    this.variables = Object.fromEntries(
      this.stateEntries.map(({ name, shape, isInteger }) => {
        const size = shape.reduce((product, length) => product * length, 1);
        const values = given[name];
        const copy = isInteger ? new Int32Array(size) : new Float32Array(size);
        if (values !== undefined) copy.set(values);
        const value = tf.tensor(copy, [...shape], isInteger ? 'int32' : 'float32');
        const variable = tf.variable(value, false, `sae${id}/${name}`);
        value.dispose();
        return [name, variable];
      }),
    );
    this.deadCandidates = options.batchRows >= options.deadAfterRows ? latents : 0;
  }

  /** Updates made so far. */
  get updates(): number {
    return this.updatesMade;
  }

  /** Weights as they are, row-major: encoder [K, C], decoder [C, K]. */
  async weights(): Promise<{ encoder: Float32Array; decoder: Float32Array }> {
    const { channels, latents } = this.options;
    const encoder = (await this.read('encoder')) as Float32Array;
    const rows = await this.read('decoder_rows');
    const decoder = new Float32Array(rows.length);
    for (let j = 0; j < latents; j++) {
      for (let c = 0; c < channels; c++) decoder[c * latents + j] = rows[j * channels + c];
    }
    return { encoder, decoder };
  }

  /** Width of the auxiliary term for the next update: a few sizes only, each of which is one compiled graph. */
  private auxWidth(): number {
    const { auxAlpha, auxK, latents } = this.options;
    if (auxAlpha === 0 || this.deadCandidates === 0) return 0;
    let width = auxK;
    while (width < this.deadCandidates) width *= 4;
    return Math.min(width, latents);
  }

  private stepOf(auxWidth: number): SaeStep {
    const isBatch = this.architecture === 'batchtopk';
    const key = `${auxWidth},${isBatch ? this.codeWidth : 0}`;
    const known = this.steps.get(key);
    if (known !== undefined) return known;
    // A graph holds the memory of a step; keep the plain one and one with the auxiliary term.
    for (const [other, step] of this.steps) {
      if (other.startsWith('0,') && other.endsWith(key.slice(key.indexOf(',')))) continue;
      step.dispose();
      this.steps.delete(other);
    }
    const { relaxation = 0.1, ...options } = this.options;
    const step = new SaeStep(this.variables, {
      ...options,
      architecture: this.architecture,
      relaxation,
      auxWidth,
      ...(isBatch ? { batchWidth: this.codeWidth, activeBins: this.running.perRow.length } : {}),
    });
    this.steps.set(key, step);
    return step;
  }

  /**
   * One update with a batch of features [B, C], B <= batchRows, as they come from the network (not divided by the norm
   * factor). Not consumed. Throws FactError E_SAE_DIVERGED where the loss or the gradient is not finite; the weights are
   * then those before the update.
   */
  async step(features: tf.Tensor2D): Promise<SaeStepReport> {
    const { learningRate: base, schedule } = this.options;
    const learningRate = base * learningRateMultiplier(this.updatesMade, schedule);
    const t = this.updatesMade + 1;
    const scalars = { learningRate, correction1: 1 - ADAM.beta1 ** t, correction2: 1 - ADAM.beta2 ** t };
    const { mayDie, full: _, smallest, perRow, ...numbers } = await this.stepUntilExact(features, scalars);
    const { loss, gradientNorm } = numbers;
    if (!Number.isFinite(loss) || !Number.isFinite(gradientNorm)) {
      throw new FactError({
        code: 'E_SAE_DIVERGED',
        message: `autoencoder training: loss is ${loss}, gradient norm ${gradientNorm} at update ${t}`,
        remedy: 'Check the features for NaN, or lower the learning rate; resume from the last checkpoint.',
      });
    }
    if (this.architecture === 'batchtopk') {
      const memory = this.updatesMade > startsAt(this.options) ? (this.options.thresholdMemory ?? 0.999) : 0;
      this.running = nextCode(this.running, smallest, perRow, memory);
      this.write(SELECTION, Float32Array.of(this.running.threshold, this.codeWidth));
      this.write(ACTIVE, this.running.perRow);
    }
    this.updatesMade = t;
    this.deadCandidates = mayDie;
    return { update: t, ...numbers, learningRate };
  }

  /** A step whose code has room for what every row chose; the room grows where it has to. */
  private async stepUntilExact(features: tf.Tensor2D, scalars: SaeStepScalars): Promise<SaeStepNumbers> {
    const { normFactor, latents } = this.options;
    for (;;) {
      const numbers = await this.stepOf(this.auxWidth()).run(features, normFactor, scalars);
      if (!(numbers.full > 0)) return numbers;
      this.codeWidth = Math.min(latents, 2 * this.codeWidth);
    }
  }

  /** Rows since each latent last fired, int32 [K]. */
  async counters(): Promise<Int32Array> {
    return (await this.read('counters')) as Int32Array;
  }

  /** Rows in which each latent fired since the last call with `reset`, int32 [K]. */
  async activity(reset: boolean): Promise<Int32Array> {
    const values = (await this.read('activity')) as Int32Array;
    if (reset) this.write('activity', new Int32Array(values.length));
    return values;
  }

  /** Reconstruction of features [B, C] by the weights as they are, in the features' own scale. Caller disposes. */
  async reconstruct(features: tf.Tensor2D): Promise<tf.Tensor2D> {
    return tf.tidy(() => {
      const code = this.codeOf(features);
      const decoderRows = this.variables.decoder_rows as unknown as tf.Tensor2D;
      const [rows, width] = code.values.shape;
      const chunk = Math.max(1, Math.floor(CHUNK_VALUES / (width * this.options.channels)));
      const parts: tf.Tensor2D[] = [];
      for (let start = 0; start < rows; start += chunk) {
        const part = (t: tf.Tensor2D) => tf.slice(t, [start, 0], [Math.min(chunk, rows - start), width]);
        const own = { values: part(code.values), indices: part(code.indices) };
        parts.push(decodeSparse(own, decoderRows) as tf.Tensor2D);
      }
      return tf.concat(parts);
    });
  }

  /** The code of features as training chooses it, with the places that the last update had. */
  private codeOf(features: tf.Tensor2D): Code {
    const { k } = this.options;
    const encoder = this.variables.encoder as unknown as tf.Tensor2D;
    if (this.architecture !== 'batchtopk') return selectByRow(features, encoder, k);
    return selectByBatch(features, encoder, k, this.codeWidth, k + 1);
  }

  /**
   * What an autoencoder needs beside its weights to be used (`createSae`): for `batchtopk` the threshold in the features'
   * own scale, and how many activations a position may have. Throws FactError E_SAE_FEATURES where none was positive.
   */
  code(): SaeCode {
    const { architecture } = this;
    const { k, latents, normFactor, width = null } = this.options;
    if (architecture !== 'batchtopk') return { architecture, k, threshold: 0, training: {} };
    return batchTopKCode(this.running, { k, latents, normFactor, width });
  }

  /**
   * A copy of a variable's values. Reading the variable itself would show its array to others, and the next update would
   * have to leave that array as it is and take another.
   */
  private async read(name: StateName): Promise<Float32Array | Int32Array> {
    const variable = this.variables[name];
    const copy = tf.tidy(() => tf.mul(variable, tf.scalar(1, variable.dtype as 'float32' | 'int32')));
    const values = (await copy.data()) as Float32Array | Int32Array;
    copy.dispose();
    return values;
  }

  private write(name: StateName, values: Float32Array | Int32Array): void {
    const variable = this.variables[name];
    tf.tidy(() => variable.assign(tf.tensor(values, variable.shape, variable.dtype as 'float32' | 'int32')));
  }

  /** Everything that the next update depends on, copied. */
  async state(): Promise<SaeTrainerState> {
    const values = {} as Record<StateName, Float32Array | Int32Array>;
    for (const { name } of this.stateEntries) values[name] = await this.read(name);
    return { updates: this.updatesMade, values };
  }

  /** Puts a state back: the next updates equal those that followed it, bit for bit on the same engine. */
  restore(state: SaeTrainerState): void {
    for (const { name } of this.stateEntries) {
      const values = state.values[name];
      const { size } = this.variables[name];
      if (values?.length !== size) {
        throw new FactError({
          code: 'E_SAE_CHECKPOINT',
          message: `checkpoint: ${name} has ${values?.length ?? 0} values, expected ${size}`,
          remedy: 'Resume with the number of latents and the tap that the run was started with.',
        });
      }
    }
    for (const { name } of this.stateEntries) this.write(name, state.values[name]);
    if (this.architecture === 'batchtopk') {
      const [threshold, width] = state.values[SELECTION];
      this.running = { threshold, perRow: Float32Array.from(state.values[ACTIVE]) };
      this.codeWidth = width;
    }
    this.updatesMade = state.updates;
    const { batchRows, deadAfterRows } = this.options;
    this.deadCandidates = (state.values.counters as Int32Array).filter(
      (counter) => counter + batchRows >= deadAfterRows,
    ).length;
  }

  /** Frees variables and graphs. */
  dispose(): void {
    for (const step of this.steps.values()) step.dispose();
    this.steps.clear();
    tf.dispose(Object.values(this.variables));
  }
}
