/*
 * One update of the autoencoder in pieces that each run as suits them, so that beside the state and the two gradients
 * nothing large is held:
 *
 *   1. forward: loss and what the gradients are made of (gradients.ts), responses some rows at a time
 *   2. the two products with the selected activations (products.ts); sums of rows on one thread each, side by side
 *   3. the gradients' norm, some rows at a time
 *   4. the update, some rows at a time, where the state lies (rowUpdates.ts)
 *
 * What is not finite shows in 1 or 3, before anything has changed.
 */
import * as tf from '@tensorflow/tfjs';
import { type Compiled, compile } from '../../../engine/compile.js';
import { type CompiledRowUpdate, compileRowUpdate } from '../../../engine/updateRows.js';
import { type AuxGrads, auxiliaryRows, type SaeLossOptions, saeForward } from './gradients.js';
import { areSparse, type ExtraRows, runsAtOnce, type Selection, selectedProduct } from './products.js';
import { freeGradient, type RowUpdateOf, rowUpdatesOf } from './rowUpdates.js';
import type { SaeArchitecture, StateName } from './state.js';
import { clipFactor, rowSquares } from './update.js';

export interface SaeStepOptions extends SaeLossOptions {
  readonly architecture: SaeArchitecture;
  readonly latents: number;
  /** Rows of the largest batch that will be given. */
  readonly batchRows: number;
  /** Longest deviation from the hull, of `archetypal`. */
  readonly relaxation: number;
  /** Default: as the engine was started. */
  readonly compile?: boolean;
}

/** The scalars of Adam at this update. */
export interface SaeStepScalars {
  readonly learningRate: number;
  /** 1 - beta^t for both moments, t from 1. */
  readonly correction1: number;
  readonly correction2: number;
}

/** Numbers of a step. */
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
  /** Rows whose code is full, and the smallest value chosen: where the batch's largest are chosen, else 0. */
  readonly full: number;
  readonly smallest: number;
  /** Share of rows by number of activations, where the batch's largest are chosen. */
  readonly perRow: Float32Array;
}

type ForwardResult = {
  readonly x: tf.Tensor2D;
  readonly g: tf.Tensor2D;
  readonly selection: Selection;
  readonly counters: tf.Tensor1D;
  readonly fired: tf.Tensor1D;
  readonly numbers: tf.Tensor1D;
  /** Shares of rows by number of activations, or nothing. */
  readonly perRow: readonly tf.Tensor1D[];
  readonly auxiliary: readonly AuxGrads[];
};

export class SaeStep {
  private readonly forward: Compiled<[tf.Tensor2D, tf.Scalar], ForwardResult>;
  private readonly product: Compiled<readonly tf.Tensor[], tf.Tensor2D>;
  private readonly isSparse: boolean;
  /** The selection comes without empty places: see `Selection`. */
  private readonly isOneByOne: boolean;
  private readonly squares: Compiled<[tf.Tensor2D, tf.Tensor2D, tf.Tensor2D], tf.Tensor1D>;
  private readonly updates: readonly (RowUpdateOf & { readonly compiled: CompiledRowUpdate })[];

  constructor(
    private readonly variables: Readonly<Record<StateName, tf.Variable>>,
    private readonly options: SaeStepOptions,
  ) {
    const { architecture, latents, k, batchWidth, auxWidth, compile: enabled } = options;
    const name = `sae step (width ${batchWidth ?? k}, auxiliary ${auxWidth})`;
    this.isSparse = areSparse(latents, k);
    this.isOneByOne = batchWidth !== undefined && this.isSparse;
    this.forward = compile(
      (features: tf.Tensor2D, normFactor: tf.Scalar) => this.forwardProgram(features, normFactor),
      { name: `${name}, forward`, enabled },
    );
    this.product = compile(
      (...args: readonly tf.Tensor[]) => {
        const [coefficients, indices, rows, ...more] = args as tf.Tensor2D[];
        const rowNumbers = this.isOneByOne ? (more.shift() as unknown as tf.Tensor1D) : undefined;
        const [extra, places] = more;
        return selectedProduct(
          coefficients,
          indices,
          rows,
          latents,
          extra === undefined ? undefined : { rows: extra, indices: places as unknown as tf.Tensor1D },
          rowNumbers,
        );
      },
      { name: `${name}, product`, enabled, isOneThread: this.isSparse, readsArgumentsOnly: this.isSparse },
    );
    this.squares = compile(
      (encoderGrad: tf.Tensor2D, decoderGrad: tf.Tensor2D, directions: tf.Tensor2D) =>
        tf.add(rowSquares(encoderGrad), rowSquares(freeGradient(architecture, decoderGrad, directions))),
      { name: `${name}, squares`, enabled, independentRows: true },
    );
    this.updates = rowUpdatesOf(architecture).map((update) => ({
      ...update,
      compiled: compileRowUpdate(update.update, { name: `${name}, ${update.variables[0]}`, enabled }),
    }));
  }

  /**
   * One update with features [B, C], which are divided by `normFactor`. Where a number of it is not finite, or rows are
   * full, nothing has changed.
   */
  async run(features: tf.Tensor2D, normFactor: number, adam: SaeStepScalars): Promise<SaeStepNumbers> {
    const owned: tf.Tensor[] = [];
    const own = <T extends tf.Tensor>(tensor: T): T => {
      owned.push(tensor);
      return tensor;
    };
    try {
      const found = await this.forward(features, own(tf.scalar(normFactor)));
      const { values, du, indices, rows: rowNumbers } = found.selection;
      if (rowNumbers !== undefined) owned.push(rowNumbers);
      const { x, g, counters, fired, numbers, auxiliary } = found;
      owned.push(x, g, values, du, indices, counters, fired, numbers, ...found.perRow);
      for (const grads of auxiliary) owned.push(grads.encoder, grads.decoderRows, grads.indices);
      const [loss, l2, aux, auxNumerator, dead, l0, mayDie, full, smallest] = await numbers.data();
      const perRow = Float32Array.from((await found.perRow[0]?.data()) ?? []);
      const report = { loss, l2, aux, auxNumerator, dead, l0, mayDie, full, smallest, perRow };
      if (full > 0 || !Number.isFinite(loss)) return { ...report, gradientNorm: Number.NaN };
      const extra = auxiliaryRows(auxiliary[0]);
      const productOf = (coefficients: tf.Tensor2D, rows: tf.Tensor2D, more?: ExtraRows) =>
        this.product(
          coefficients,
          indices,
          rows,
          ...(rowNumbers === undefined ? [] : [rowNumbers]),
          ...(more === undefined ? [] : [more.rows, more.indices]),
        );
      const encoderProduct = productOf(du, x, extra.encoder).then(own);
      if (!this.isSparse || runsAtOnce() === 1) await encoderProduct;
      const decoderProduct = productOf(values, g, extra.decoderRows).then(own);
      const [encoder, decoder_rows] = await Promise.all([encoderProduct, decoderProduct]);
      const gradients = { encoder, decoder_rows };
      const { norm, factor } = clipFactor(await this.sumOfSquares(gradients));
      if (!Number.isFinite(norm)) return { ...report, gradientNorm: norm };
      const { learningRate, correction1, correction2 } = adam;
      const scalars = [factor, learningRate, correction1, correction2, this.options.relaxation].map((value) =>
        own(tf.scalar(value)),
      );
      for (const { gradient, variables, shared, compiled } of this.updates) {
        await compiled.run(
          variables.map((name) => this.variables[name]),
          [gradients[gradient]],
          [...scalars, ...shared.map((name) => this.variables[name] as tf.Tensor)],
        );
        gradients[gradient].dispose();
      }
      tf.tidy(() => {
        this.variables.counters.assign(counters.clone());
        this.variables.activity.assign(tf.add(this.variables.activity, fired));
      });
      return { ...report, gradientNorm: norm };
    } finally {
      tf.dispose(owned);
    }
  }

  dispose(): void {
    for (const program of [this.forward, this.product, this.squares]) program.dispose();
    for (const { compiled } of this.updates) compiled.dispose();
  }

  private async sumOfSquares(gradients: Record<RowUpdateOf['gradient'], tf.Tensor2D>): Promise<number> {
    const directions = this.variables.decoder_rows as unknown as tf.Tensor2D;
    const squares = await this.squares(gradients.encoder, gradients.decoder_rows, directions);
    const values = (await squares.data()) as Float32Array;
    squares.dispose();
    return values.reduce((sum, value) => sum + value, 0);
  }

  private forwardProgram(features: tf.Tensor2D, normFactor: tf.Scalar): ForwardResult {
    const { encoder, decoder_rows, counters } = this.variables as unknown as Record<string, tf.Tensor2D>;
    const x = tf.div(features, normFactor) as tf.Tensor2D;
    const found = saeForward(x, encoder, decoder_rows, counters as unknown as tf.Tensor1D, this.options);
    const { loss, l2, aux, auxNumerator, dead, l0, auxGrads, chosen } = found;
    const { batchRows, deadAfterRows } = this.options;
    const mayDie = tf.greaterEqual(
      tf.add(found.counters, tf.scalar(batchRows, 'int32')),
      tf.scalar(deadAfterRows, 'int32'),
    );
    const { full = tf.scalar(0), smallest = tf.scalar(0) } = chosen ?? {};
    const numbers = [
      loss,
      l2,
      aux,
      auxNumerator,
      dead,
      l0,
      tf.sum(tf.cast(mayDie, 'float32')),
      full,
      smallest,
    ];
    return {
      x,
      g: found.g,
      selection: found.selection,
      counters: found.counters,
      fired: found.fired,
      numbers: tf.stack(numbers) as tf.Tensor1D,
      perRow: chosen === undefined ? [] : [chosen.perRow],
      auxiliary: auxGrads === undefined ? [] : [auxGrads],
    };
  }
}
