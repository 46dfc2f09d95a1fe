/*
 * Loss of the TopK autoencoder and its gradients in closed form, for one batch x [B, C].
 *
 *   E [K, C] encoder; R [K, C] decoder transposed: row j is the direction that latent j writes.
 *   u = topk_k(relu(x E^T))            x' = u R            e = x - x'  (held constant in the auxiliary term)
 *       (or the k B largest of the batch: selection.ts)
 *   l2   = mean_rows |e|^2
 *   aux  = mean_rows |e - z R|^2 / mean_rows |e - mean_rows(e)|^2
 *          z = per row the `auxK` largest values of relu(x E^T) among dead latents, the denominator held constant
 *   loss = l2 + auxAlpha aux
 *
 *   g = 2/B (x' - x)                   dR = u^T g          du = g R^T at selected positive entries    dE = du^T x
 *   h = 2 auxAlpha/(B denominator) (z R - e)               dR += z^T h,  dz = h R^T where z > 0,      dE += dz^T x
 *
 * Dead = `counter >= threshold` after this batch: all counters grow by B (up to 2^30), then those of latents that fired are 0.
 * Fired = selected with a positive value (the reference also counts selected zeros: rows with fewer than k positive
 * values; the choice among those is arbitrary).
 *
 * The denominator is 0 where all residuals are equal, e.g. one row; below 1e-12 of mean |x|^2 it is rounding dust. The
 * term is then left out (the reference gives the largest float and NaN gradients).
 *
 * Cost: five products of B x K x C where everything is dense. Decoding and du read k rows of R a row of x instead
 * (`residualAndPull`); dR and dE are sums of B k scaled rows (products.ts). One dense product is left, x E^T. The
 * auxiliary term works on `auxWidth` gathered latents, dead ones first, so that it costs 4 auxWidth/K of such a product
 * each; the caller picks a width that holds all dead latents, 0 for none.
 */
import * as tf from '@tensorflow/tfjs';
import { scatterLast } from '../../../engine/ops.js';
import { areSparse, type ExtraRows, type SaeProducts, type Selection, saeProducts } from './products.js';
import { type BatchChoice, selectByBatch, selectByRow } from './selection.js';

export interface SaeLossOptions {
  readonly k: number;
  /** Most activations of a row where the k B largest of the batch are chosen; left out, each row has its own k. */
  readonly batchWidth?: number;
  /** Numbers of activations of a row that are told apart, where the batch's largest are chosen. */
  readonly activeBins?: number;
  /** Weight of the auxiliary term (1/32). */
  readonly auxAlpha: number;
  /** Most latents that the auxiliary term uses per row (256). */
  readonly auxK: number;
  /** Rows without firing after which a latent is dead. */
  readonly deadAfterRows: number;
  /** Latents that the auxiliary term is computed over: at least the number of dead ones; 0 leaves the term out. */
  readonly auxWidth: number;
}

/** What one batch yields up to the products with the selected activations; all tensors belong to the caller. */
export type SaeForward = {
  readonly loss: tf.Scalar;
  readonly l2: tf.Scalar;
  /** Auxiliary term, 0 where none is dead. */
  readonly aux: tf.Scalar;
  /** Its numerator, 0 where none is dead. */
  readonly auxNumerator: tf.Scalar;
  /** Number of dead latents after this batch, float32. */
  readonly dead: tf.Scalar;
  /** Non-zero activations per row, mean. */
  readonly l0: tf.Scalar;
  /** int32 [K]: rows since last fired, this batch counted. */
  readonly counters: tf.Tensor1D;
  /** int32 [K]: rows of this batch in which each latent fired. */
  readonly fired: tf.Tensor1D;
  /** u, du and g of the top of the file, the first two at the selected places: [B,k], [B,k], [B,C]. */
  readonly selection: Selection;
  readonly g: tf.Tensor2D;
  /** Gradients of the auxiliary term for `auxWidth` distinct latents; absent where it is left out. */
  readonly auxGrads?: AuxGrads;
  /** Where the batch's largest are chosen: see selection.ts. */
  readonly chosen?: Omit<BatchChoice, 'places'>;
};

/** Gradients of the auxiliary term by latent: indices int32 [W], encoder and decoderRows [W, C]. */
export type AuxGrads = {
  readonly indices: tf.Tensor1D;
  readonly encoder: tf.Tensor2D;
  readonly decoderRows: tf.Tensor2D;
};

/** Everything that one batch yields. */
export type SaeGradients = Omit<SaeForward, 'selection' | 'g' | 'auxGrads' | 'chosen'> & SaeProducts;

const VARIANCE_DUST = 1e-12;
/** Counters stop near here: at ImageNet's size they would leave int32. */
const MOST_COUNTED = 2 ** 30;
/** Values of gathered decoder rows per chunk: 4 MiB, about a core's share of the cache (measured). */
const CHUNK_VALUES = 2 ** 20;
const MIN_CHUNK_ROWS = 16;

type AuxTerm = { value: tf.Scalar; numerator: tf.Scalar; grads: AuxGrads };

/** mean over rows of the sum of squares, of [B, C]. */
function meanSquaredNorm(x: tf.Tensor2D): tf.Scalar {
  return tf.div(tf.sum(tf.square(x)), x.shape[0]) as tf.Scalar;
}

function auxTerm(
  x: tf.Tensor2D,
  residual: tf.Tensor2D,
  deadMask: tf.Tensor1D,
  encoder: tf.Tensor2D,
  decoderRows: tf.Tensor2D,
  options: SaeLossOptions,
): AuxTerm {
  const rows = x.shape[0];
  const { auxWidth: width, auxK } = options;
  const { values: isDead, indices } = tf.topk(deadMask, width);
  const encoderPart = tf.gather(encoder, indices) as tf.Tensor2D;
  const decoderPart = tf.gather(decoderRows, indices) as tf.Tensor2D;
  const positive = tf.mul(tf.relu(tf.matMul(x, encoderPart, false, true)), isDead) as tf.Tensor2D;
  let z = positive;
  if (width > auxK) {
    const top = tf.topk(positive, auxK);
    z = scatterLast(top.values, top.indices, width) as tf.Tensor2D;
  }
  const difference = tf.sub(tf.matMul(z, decoderPart), residual) as tf.Tensor2D;
  const variance = meanSquaredNorm(tf.sub(residual, tf.mean(residual, 0, true)) as tf.Tensor2D);
  const counts = tf.mul(
    tf.cast(tf.greater(variance, tf.mul(meanSquaredNorm(x), VARIANCE_DUST)), 'float32'),
    tf.minimum(tf.sum(deadMask), 1),
  );
  const weight = tf.div(counts, tf.add(variance, tf.sub(1, counts))) as tf.Scalar;
  const numerator = meanSquaredNorm(difference);
  const h = tf.mul(difference, tf.mul(weight, (2 * options.auxAlpha) / rows)) as tf.Tensor2D;
  const dz = tf.mul(tf.matMul(h, decoderPart, false, true), tf.step(z)) as tf.Tensor2D;
  return {
    value: tf.mul(numerator, weight) as tf.Scalar,
    numerator: tf.mul(numerator, tf.minimum(tf.sum(deadMask), 1)) as tf.Scalar,
    grads: {
      indices: indices as tf.Tensor1D,
      encoder: tf.matMul(dz, x, true, false),
      decoderRows: tf.matMul(z, h, true, false),
    },
  };
}

/**
 * Residual x - u R [B, C] and the gradient of l2 to the selected activations [B, k], -2/B <residual, R_j> where the
 * activation is positive. Reads the k selected rows of R for each row of x, in chunks that stay in the cache.
 */
function residualAndPull(
  x: tf.Tensor2D,
  values: tf.Tensor2D,
  indices: tf.Tensor2D,
  decoderRows: tf.Tensor2D,
): { residual: tf.Tensor2D; du: tf.Tensor2D } {
  const [rows, channels] = x.shape;
  const k = values.shape[1];
  // Empty places read the row of the first one, which lies in the cache.
  const active = tf.cast(tf.step(values), 'int32');
  const first = tf.slice(indices, [0, 0], [rows, 1]);
  const read = tf.add(
    tf.mul(indices, active),
    tf.mul(first, tf.sub(tf.scalar(1, 'int32'), active)),
  ) as tf.Tensor2D;
  const parts: tf.Tensor2D[] = [];
  const chunk = Math.max(MIN_CHUNK_ROWS, Math.floor(CHUNK_VALUES / (k * channels)));
  for (let start = 0; start < rows; start += chunk) {
    const size = Math.min(chunk, rows - start);
    const part = (t: tf.Tensor2D) => tf.slice(t, [start, 0], [size, t.shape[1]]);
    const selected = tf.reshape(tf.gather(decoderRows, tf.reshape(part(read), [size * k]) as tf.Tensor1D), [
      size,
      k,
      channels,
    ]);
    const reconstruction = tf.matMul(tf.reshape(part(values), [size, 1, k]), selected);
    const residual = tf.sub(part(x), tf.reshape(reconstruction, [size, channels])) as tf.Tensor2D;
    const products = tf.matMul(selected, tf.reshape(residual, [size, channels, 1]));
    // Both side by side: a graph that made all residuals first would hold the selected rows of all chunks until then.
    parts.push(tf.concat([residual, tf.reshape(products, [size, k])], 1) as tf.Tensor2D);
  }
  const [residual, pull] = tf.split(tf.concat(parts, 0), [channels, k], 1) as tf.Tensor2D[];
  return { residual, du: tf.mul(pull, tf.mul(tf.step(values), -2 / rows)) as tf.Tensor2D };
}

function choiceOf({ full, smallest, perRow }: BatchChoice): SaeForward['chosen'] {
  return { full, smallest, perRow };
}

/** A selection without its empty places, one activation after the other, where products take sums of rows. */
function withoutEmpty(selection: Selection, places: tf.Tensor1D): Selection {
  const width = selection.values.shape[1];
  const picked = (t: tf.Tensor2D) =>
    tf.reshape(tf.gather(tf.reshape(t, [-1]), places), [-1, 1]) as tf.Tensor2D;
  const { values, du, indices } = selection;
  return {
    values: picked(values),
    du: picked(du),
    indices: picked(indices),
    rows: tf.cast(tf.floorDiv(places, tf.scalar(width, 'int32')), 'int32') as tf.Tensor1D,
  };
}

/**
 * Loss, counters and what the gradients are made of, for one batch; formulas above. x [B, C], encoder and decoderRows
 * [K, C], counters int32 [K]. Pure: the same function eager and compiled. Caller disposes the results.
 */
export function saeForward(
  x: tf.Tensor2D,
  encoder: tf.Tensor2D,
  decoderRows: tf.Tensor2D,
  counters: tf.Tensor1D,
  options: SaeLossOptions,
): SaeForward {
  const rows = x.shape[0];
  const latents = encoder.shape[0];
  return tf.tidy(() => {
    const { k, batchWidth, activeBins = k + 1 } = options;
    const ofBatch =
      batchWidth === undefined ? undefined : selectByBatch(x, encoder, k, batchWidth, activeBins);
    const { values, indices } = ofBatch ?? selectByRow(x, encoder, k);
    const { residual, du } = residualAndPull(x, values, indices, decoderRows);
    const fired = tf.unsortedSegmentSum(
      tf.reshape(tf.step(values), [-1]),
      tf.reshape(indices, [-1]) as tf.Tensor1D,
      latents,
    ) as tf.Tensor1D;
    const silent = tf.cast(tf.equal(fired, 0), 'int32');
    const grown = tf.add(tf.minimum(counters, tf.scalar(MOST_COUNTED, 'int32')), tf.scalar(rows, 'int32'));
    const newCounters = tf.mul(grown, silent) as tf.Tensor1D;
    const deadMask = tf.cast(
      tf.greaterEqual(newCounters, tf.scalar(options.deadAfterRows, 'int32')),
      'float32',
    ) as tf.Tensor1D;

    const l2 = meanSquaredNorm(residual);
    const always = {
      l2,
      dead: tf.sum(deadMask) as tf.Scalar,
      l0: tf.div(tf.sum(fired), rows) as tf.Scalar,
      counters: newCounters,
      fired: tf.cast(fired, 'int32') as tf.Tensor1D,
      selection:
        ofBatch !== undefined && areSparse(latents, k)
          ? withoutEmpty({ values, du, indices }, ofBatch.places)
          : { values, du, indices },
      g: tf.mul(residual, -2 / rows) as tf.Tensor2D,
      ...(ofBatch === undefined ? {} : { chosen: choiceOf(ofBatch) }),
    };
    if (options.auxWidth === 0)
      return { ...always, loss: l2.clone(), aux: tf.scalar(0), auxNumerator: tf.scalar(0) };
    const term = auxTerm(x, residual, deadMask, encoder, decoderRows, options);
    return {
      ...always,
      loss: tf.add(l2, tf.mul(term.value, options.auxAlpha)) as tf.Scalar,
      aux: term.value,
      auxNumerator: term.numerator,
      auxGrads: term.grads,
    };
  });
}

/** Loss, gradients and counters of one batch in one go; arguments as of `saeForward`. Caller disposes the results. */
export function saeGradients(
  x: tf.Tensor2D,
  encoder: tf.Tensor2D,
  decoderRows: tf.Tensor2D,
  counters: tf.Tensor1D,
  options: SaeLossOptions,
): SaeGradients {
  return tf.tidy(() => {
    const {
      selection,
      g,
      auxGrads,
      chosen: _,
      ...rest
    } = saeForward(x, encoder, decoderRows, counters, options);
    return { ...rest, ...saeProducts(x, g, selection, encoder.shape[0], auxiliaryRows(auxGrads)) };
  });
}

/** The gradients of the auxiliary term as rows that the products add. */
export function auxiliaryRows(grads: AuxGrads | undefined): { encoder?: ExtraRows; decoderRows?: ExtraRows } {
  if (grads === undefined) return {};
  const { indices, encoder, decoderRows } = grads;
  return { encoder: { indices, rows: encoder }, decoderRows: { indices, rows: decoderRows } };
}
