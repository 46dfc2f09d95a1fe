/*
 * One update of the autoencoder as three programs, so that each runs as suits it: the forward pass and the gradients'
 * ingredients (gradients.ts), the products with the selected activations (products.ts; sums of rows want a
 * graph of one thread), the update of weights and counters (update.ts).
 */
import * as tf from '@tensorflow/tfjs';
import { type Compiled, compile } from '../../engine/compile.js';
import { addAuxiliary, type SaeLossOptions, saeForward } from './gradients.js';
import { areSparse, type SaeProducts, type Selection, saeProducts } from './products.js';
import { type AdamScalars, adam, clipFactor, removeParallel, unitRows } from './update.js';

/** Variables of the state that a step reads and writes; K latents, C channels. */
export interface SaeStepVariables {
  readonly encoder: tf.Variable;
  readonly decoder_rows: tf.Variable;
  readonly 'encoder.moment1': tf.Variable;
  readonly 'encoder.moment2': tf.Variable;
  readonly 'decoder_rows.moment1': tf.Variable;
  readonly 'decoder_rows.moment2': tf.Variable;
  readonly counters: tf.Variable;
  readonly activity: tf.Variable;
}

export interface SaeStepOptions extends SaeLossOptions {
  readonly latents: number;
  /** Rows of the largest batch that will be given. */
  readonly batchRows: number;
  /** Default: as the engine was started. */
  readonly compile?: boolean;
}

/** Numbers of a step, in the order of the programs' report. */
export interface SaeStepNumbers {
  readonly loss: number;
  readonly l2: number;
  readonly aux: number;
  readonly auxNumerator: number;
  readonly dead: number;
  readonly l0: number;
  readonly gradientNorm: number;
  /** Latents that may be dead after the next update. */
  readonly mayDie: number;
}

type ForwardResult = {
  readonly x: tf.Tensor2D;
  readonly g: tf.Tensor2D;
  readonly selection: Selection;
  readonly counters: tf.Tensor1D;
  readonly fired: tf.Tensor1D;
  readonly numbers: tf.Tensor1D;
  /** Encoder's and decoder's gradient of the auxiliary term, or nothing. */
  readonly auxiliary: readonly tf.Tensor2D[];
};

type ProductArguments = [tf.Tensor2D, tf.Tensor2D, tf.Tensor2D, tf.Tensor2D, tf.Tensor2D];

type UpdateResult = { readonly finite: tf.Tensor; readonly numbers: tf.Tensor1D };

function asMatrix(variable: tf.Variable): tf.Tensor2D {
  return variable as unknown as tf.Tensor2D;
}

export class SaeStep {
  private readonly forward: Compiled<[tf.Tensor2D, tf.Scalar], ForwardResult>;
  private readonly products: Compiled<ProductArguments, SaeProducts>;
  private readonly update: Compiled<readonly tf.Tensor[], UpdateResult>;

  constructor(
    private readonly variables: SaeStepVariables,
    private readonly options: SaeStepOptions,
  ) {
    const { latents, k, auxWidth, compile: enabled } = options;
    const name = `sae step (auxiliary width ${auxWidth})`;
    this.forward = compile(
      (features: tf.Tensor2D, normFactor: tf.Scalar) => this.forwardProgram(features, normFactor),
      { name: `${name}, forward`, enabled },
    );
    this.products = compile(
      (...[x, g, values, du, indices]: ProductArguments) =>
        saeProducts(x, g, { values, du, indices }, latents),
      { name: `${name}, products`, enabled, isOneThread: areSparse(latents, k) },
    );
    this.update = compile((...args: readonly tf.Tensor[]) => this.updateProgram(args), {
      name: `${name}, update`,
      enabled,
      keepIf: 'finite',
    });
  }

  /**
   * One update with features [B, C], which are divided by `normFactor`. Where a number of it is not finite, nothing has
   * changed.
   */
  async run(features: tf.Tensor2D, normFactor: number, scalars: readonly number[]): Promise<SaeStepNumbers> {
    const factor = tf.scalar(normFactor);
    const inputs = scalars.map((value) => tf.scalar(value));
    const found = await this.forward(features, factor);
    const { values, du, indices } = found.selection;
    const sums = await this.products(found.x, found.g, values, du, indices);
    const result = await this.update(
      sums.encoderGrad,
      sums.decoderRowsGrad,
      found.counters,
      found.fired,
      ...inputs,
      ...found.auxiliary,
    );
    const [before, after] = await Promise.all([found.numbers.data(), result.numbers.data()]);
    tf.dispose([factor, ...inputs, found, sums, result] as unknown as tf.TensorContainer);
    const [loss, l2, aux, auxNumerator, dead, l0] = before;
    const [gradientNorm, mayDie] = after;
    return { loss, l2, aux, auxNumerator, dead, l0, gradientNorm, mayDie };
  }

  dispose(): void {
    for (const program of [this.forward, this.products, this.update]) program.dispose();
  }

  private forwardProgram(features: tf.Tensor2D, normFactor: tf.Scalar): ForwardResult {
    const { encoder, decoder_rows, counters } = this.variables;
    const x = tf.div(features, normFactor) as tf.Tensor2D;
    const found = saeForward(
      x,
      asMatrix(encoder),
      asMatrix(decoder_rows),
      counters as unknown as tf.Tensor1D,
      this.options,
    );
    const { loss, l2, aux, auxNumerator, dead, l0, auxGrads } = found;
    return {
      x,
      g: found.g,
      selection: found.selection,
      counters: found.counters,
      fired: found.fired,
      numbers: tf.stack([loss, l2, aux, auxNumerator, dead, l0]) as tf.Tensor1D,
      auxiliary: auxGrads === undefined ? [] : [auxGrads.encoder, auxGrads.decoderRows],
    };
  }

  private updateProgram([
    encoderSums,
    decoderSums,
    counters,
    fired,
    learningRate,
    correction1,
    correction2,
    ...auxiliary
  ]: readonly tf.Tensor[]): UpdateResult {
    const v = this.variables;
    const [encoder, decoderRows] = auxiliary as tf.Tensor2D[];
    const sums = addAuxiliary(
      { encoderGrad: encoderSums as tf.Tensor2D, decoderRowsGrad: decoderSums as tf.Tensor2D },
      encoder === undefined ? undefined : { encoder, decoderRows },
    );
    const decoderGrad = removeParallel(sums.decoderRowsGrad, asMatrix(v.decoder_rows));
    const { norm, factor } = clipFactor([sums.encoderGrad, decoderGrad]);
    const scalars = { learningRate, correction1, correction2 } as AdamScalars;
    for (const [name, gradient] of [
      ['encoder', sums.encoderGrad],
      ['decoder_rows', decoderGrad],
    ] as const) {
      const [weight, moment1, moment2] = [v[name], v[`${name}.moment1`], v[`${name}.moment2`]];
      const next = adam(asMatrix(weight), asMatrix(moment1), asMatrix(moment2), gradient, factor, scalars);
      weight.assign(name === 'encoder' ? next.weight : unitRows(next.weight));
      moment1.assign(next.moment1);
      moment2.assign(next.moment2);
    }
    v.counters.assign(counters.clone());
    v.activity.assign(tf.add(v.activity, fired));
    const { batchRows, deadAfterRows } = this.options;
    const mayDie = tf.greaterEqual(
      tf.add(counters, tf.scalar(batchRows, 'int32')),
      tf.scalar(deadAfterRows, 'int32'),
    );
    return {
      finite: tf.lessEqual(norm, Number.MAX_VALUE),
      numbers: tf.stack([norm, tf.sum(tf.cast(mayDie, 'float32'))]) as tf.Tensor1D,
    };
  }
}
