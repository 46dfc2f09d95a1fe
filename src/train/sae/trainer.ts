/*
 * The training of a TopK autoencoder, update by update: state in tf.Variables, changed by step.ts. Formulas: gradients.ts
 * (loss), update.ts (from gradients to weights), schedule.ts (learning rate).
 */
import * as tf from '@tensorflow/tfjs';
import { FactError } from '../../core/errors.js';
import { scatterDense } from '../../layers/topK.js';
import { checkSaeSize, encodeSparse } from '../../layers/topKSae.js';
import { learningRateMultiplier, type SaeSchedule } from './schedule.js';
import { SaeStep } from './step.js';
import { ADAM } from './update.js';

export interface SaeTrainerOptions {
  readonly channels: number;
  readonly latents: number;
  readonly k: number;
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

/** Names, shapes and types of the trainer's variables: what a checkpoint holds. K latents, C channels. */
export const STATE_NAMES = [
  'encoder',
  'decoder_rows',
  'encoder.moment1',
  'encoder.moment2',
  'decoder_rows.moment1',
  'decoder_rows.moment2',
  'counters',
  'activity',
] as const;
export type StateName = (typeof STATE_NAMES)[number];
const INTEGER_STATE: readonly StateName[] = ['counters', 'activity'];

/** Values of all variables, row-major, and the number of updates made. */
export interface SaeTrainerState {
  readonly updates: number;
  readonly values: Readonly<Record<StateName, Float32Array | Int32Array>>;
}

let created = 0;

export class SaeTrainer {
  private readonly variables: Record<StateName, tf.Variable>;
  private readonly steps = new Map<number, SaeStep>();
  private updatesMade = 0;
  /** Latents that may be dead after the next update: an upper bound that fixes the auxiliary term's width. */
  private deadCandidates: number;

  /**
   * @param start encoder row-major [K, C] and decoder row-major [C, K], copied
   * Throws FactError E_SAE_CONFIG.
   */
  constructor(
    readonly options: SaeTrainerOptions,
    start: { readonly encoder: Float32Array; readonly decoder: Float32Array },
  ) {
    const { channels, latents, k } = options;
    checkSaeSize({ channels, latents, k });
    const id = created++;
    const zeros = () => new Float32Array(latents * channels);
    const rows = zeros();
    for (let c = 0; c < channels; c++) {
      for (let j = 0; j < latents; j++) rows[j * channels + c] = start.decoder[c * latents + j];
    }
    const initial: Record<StateName, Float32Array | Int32Array> = {
      encoder: Float32Array.from(start.encoder),
      decoder_rows: rows,
      'encoder.moment1': zeros(),
      'encoder.moment2': zeros(),
      'decoder_rows.moment1': zeros(),
      'decoder_rows.moment2': zeros(),
      counters: new Int32Array(latents),
      activity: new Int32Array(latents),
    };
    this.variables = Object.fromEntries(
      STATE_NAMES.map((name) => {
        const isInteger = INTEGER_STATE.includes(name);
        const shape = isInteger ? [latents] : [latents, channels];
        const value = tf.tensor(initial[name], shape, isInteger ? 'int32' : 'float32');
        const variable = tf.variable(value, false, `sae${id}/${name}`);
        value.dispose();
        return [name, variable];
      }),
    ) as Record<StateName, tf.Variable>;
    this.deadCandidates = options.batchRows >= options.deadAfterRows ? latents : 0;
  }

  /** Updates made so far. */
  get updates(): number {
    return this.updatesMade;
  }

  /** Weights as they are, row-major: encoder [K, C], decoder [C, K]. */
  async weights(): Promise<{ encoder: Float32Array; decoder: Float32Array }> {
    const { channels, latents } = this.options;
    const encoder = Float32Array.from(await this.variables.encoder.data());
    const rows = await this.variables.decoder_rows.data();
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
    const known = this.steps.get(auxWidth);
    if (known !== undefined) return known;
    // A graph holds the memory of a step; keep the plain one and one with the auxiliary term.
    for (const [width, step] of this.steps) {
      if (width === 0) continue;
      step.dispose();
      this.steps.delete(width);
    }
    const step = new SaeStep(this.variables, { ...this.options, auxWidth });
    this.steps.set(auxWidth, step);
    return step;
  }

  /**
   * One update with a batch of features [B, C], B <= batchRows, as they come from the network (not divided by the norm
   * factor). Not consumed. Throws FactError E_SAE_DIVERGED where the loss or the gradient is not finite; the weights are
   * then those before the update.
   */
  async step(features: tf.Tensor2D): Promise<SaeStepReport> {
    const { learningRate: base, schedule, normFactor } = this.options;
    const learningRate = base * learningRateMultiplier(this.updatesMade, schedule);
    const t = this.updatesMade + 1;
    const scalars = [learningRate, 1 - ADAM.beta1 ** t, 1 - ADAM.beta2 ** t];
    const step = this.stepOf(this.auxWidth());
    const { mayDie, ...numbers } = await step.run(features, normFactor, scalars);
    const { loss, gradientNorm } = numbers;
    if (!Number.isFinite(loss) || !Number.isFinite(gradientNorm)) {
      throw new FactError({
        code: 'E_SAE_DIVERGED',
        message: `autoencoder training: loss is ${loss}, gradient norm ${gradientNorm} at update ${t}`,
        remedy: 'Check the features for NaN, or lower the learning rate; resume from the last checkpoint.',
      });
    }
    this.updatesMade = t;
    this.deadCandidates = mayDie;
    return { update: t, ...numbers, learningRate };
  }

  /** Rows since each latent last fired, int32 [K]. */
  async counters(): Promise<Int32Array> {
    return Int32Array.from(await this.variables.counters.data());
  }

  /** Rows in which each latent fired since the last call with `reset`, int32 [K]. */
  async activity(reset: boolean): Promise<Int32Array> {
    const values = Int32Array.from(await this.variables.activity.data());
    if (reset) this.write('activity', new Int32Array(values.length));
    return values;
  }

  /** Reconstruction of features [B, C] by the weights as they are, in the features' own scale. Caller disposes. */
  async reconstruct(features: tf.Tensor2D): Promise<tf.Tensor2D> {
    return tf.tidy(() => {
      const { encoder, decoder_rows: rows } = this.variables;
      const code = encodeSparse(features, encoder as unknown as tf.Tensor2D, this.options.k);
      const dense = scatterDense(code.values, code.indices, this.options.latents) as tf.Tensor2D;
      return tf.matMul(dense, rows as unknown as tf.Tensor2D);
    });
  }

  private write(name: StateName, values: Float32Array | Int32Array): void {
    const variable = this.variables[name];
    tf.tidy(() => variable.assign(tf.tensor(values, variable.shape, variable.dtype as 'float32' | 'int32')));
  }

  /** Everything that the next update depends on, copied. */
  async state(): Promise<SaeTrainerState> {
    const values = {} as Record<StateName, Float32Array | Int32Array>;
    for (const name of STATE_NAMES) {
      const data = await this.variables[name].data();
      values[name] = INTEGER_STATE.includes(name) ? Int32Array.from(data) : Float32Array.from(data);
    }
    return { updates: this.updatesMade, values };
  }

  /** Puts a state back: the next updates equal those that followed it, bit for bit on the same engine. */
  restore(state: SaeTrainerState): void {
    for (const name of STATE_NAMES) {
      const values = state.values[name];
      const { size } = this.variables[name];
      if (values.length !== size) {
        throw new FactError({
          code: 'E_SAE_CHECKPOINT',
          message: `checkpoint: ${name} has ${values.length} values, expected ${size}`,
          remedy: 'Resume with the number of latents and the tap that the run was started with.',
        });
      }
    }
    for (const name of STATE_NAMES) this.write(name, state.values[name]);
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
