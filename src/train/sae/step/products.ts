/*
 * The two products of a batch with its selected activations, for B rows with k of K latents each:
 *
 *     dE [K, C] = du^T x          dR [K, C] = u^T g
 *
 * Dense they cost 2 B K C multiplications each. Row by row they are sums of B k scaled rows of x and g, added at the
 * selected latents: k / K of the multiplications, but each waits for memory. Columns are taken in blocks, so that the
 * scaled rows and the sums that they go to stay in the cache. Such sums run on one thread, the two beside each other.
 */
import { availableParallelism } from 'node:os';
import * as tf from '@tensorflow/tfjs';
import { scatterLast } from '../../../engine/ops.js';
import { engineThreads } from '../../../engine/threads.js';

/**
 * The selected activations of a batch: int32 indices, values u and their gradients du, all [B, k]. With `rows`, int32 [n],
 * they are one by one, [n, 1], and belong to these rows of the batch.
 */
export type Selection = {
  readonly values: tf.Tensor2D;
  readonly du: tf.Tensor2D;
  readonly indices: tf.Tensor2D;
  readonly rows?: tf.Tensor1D;
};

/** Rows [W, C] that are added at distinct latents, int32 [W]. */
export type ExtraRows = { readonly indices: tf.Tensor1D; readonly rows: tf.Tensor2D };

export type SaeProducts = {
  /** [K, C] */
  readonly encoderGrad: tf.Tensor2D;
  /** [K, C] */
  readonly decoderRowsGrad: tf.Tensor2D;
};

/**
 * K/k a thread above which sums of rows, each on one thread, are faster than dense products, which share threads:
 * 1.35 ns for a scaled value against 130 GFLOP/s a thread, both measured on ONNX Runtime.
 */
const SPARSE_RATIO = 90;
/** Products of a step, which run side by side where there are threads. */
const PRODUCTS = 2;
/** Values of scaled rows in a block of columns: 16 MiB. */
const BLOCK_VALUES = 2 ** 22;
const MIN_BLOCK_COLUMNS = 16;

/** Whether products with k of K entries a row are taken as sums of rows. */
export function areSparse(latents: number, k: number): boolean {
  return latents >= (SPARSE_RATIO * k * threads()) / runsAtOnce();
}

function threads(): number {
  return engineThreads() ?? availableParallelism();
}

/** How many of the two products run at a time. */
export function runsAtOnce(): number {
  return Math.min(PRODUCTS, threads());
}

/** Rows [W, C] at distinct places [W] of [K, C], zeros elsewhere. */
function scatterRows({ rows, indices }: ExtraRows, latents: number): tf.Tensor2D {
  const [width, channels] = rows.shape;
  const source = tf.cast(
    scatterLast(tf.range(1, width + 1, 1, 'float32'), indices, latents),
    'int32',
  ) as tf.Tensor1D;
  return tf.gather(tf.concat([tf.zeros([1, channels]) as tf.Tensor2D, rows]), source) as tf.Tensor2D;
}

/** coefficients [B, k] at `indices` of K, times rows [B, C], and extra rows: [K, C], as a dense product. */
export function denseProduct(
  coefficients: tf.Tensor2D,
  indices: tf.Tensor2D,
  rows: tf.Tensor2D,
  latents: number,
  extra?: ExtraRows,
): tf.Tensor2D {
  return tf.tidy(() => {
    const dense = scatterLast(coefficients, indices, latents) as tf.Tensor2D;
    // Turned round afterwards: faster than with the larger factor in front.
    const product = tf.transpose(tf.matMul(rows, dense, true, false)) as tf.Tensor2D;
    return extra === undefined ? product : tf.add(product, scatterRows(extra, latents));
  });
}

/** The same as a sum of scaled rows, `blockColumns` columns at a time; `rowNumbers`: `rows` of `Selection`. */
export function sparseProduct(
  coefficients: tf.Tensor2D,
  indices: tf.Tensor2D,
  rows: tf.Tensor2D,
  latents: number,
  extra?: ExtraRows,
  rowNumbers?: tf.Tensor1D,
  blockColumns = Math.max(MIN_BLOCK_COLUMNS, Math.floor(BLOCK_VALUES / coefficients.size)),
): tf.Tensor2D {
  const channels = rows.shape[1];
  const [batch, k] = coefficients.shape;
  return tf.tidy(() => {
    const selected = tf.reshape(indices, [batch * k]) as tf.Tensor1D;
    const places = extra === undefined ? selected : tf.concat([selected, extra.indices]);
    const scales = tf.reshape(coefficients, [batch, k, 1]);
    const blocks: tf.Tensor2D[] = [];
    for (let start = 0; start < channels; start += blockColumns) {
      const size = Math.min(blockColumns, channels - start);
      const columns = (t: tf.Tensor2D) => tf.slice(t, [0, start], [t.shape[0], size]);
      const part = columns(rows);
      const block = tf.reshape(rowNumbers === undefined ? part : tf.gather(part, rowNumbers), [
        batch,
        1,
        size,
      ]);
      const scaled = tf.reshape(tf.mul(scales, block), [batch * k, size]) as tf.Tensor2D;
      const terms = extra === undefined ? scaled : tf.concat([scaled, columns(extra.rows)]);
      blocks.push(tf.unsortedSegmentSum(terms, places, latents) as tf.Tensor2D);
    }
    return tf.concat(blocks, 1);
  });
}

/** coefficients [B, k] at `indices` of K, times rows [B, C], and extra rows: [K, C]. Caller disposes. */
export function selectedProduct(
  coefficients: tf.Tensor2D,
  indices: tf.Tensor2D,
  rows: tf.Tensor2D,
  latents: number,
  extra?: ExtraRows,
  rowNumbers?: tf.Tensor1D,
): tf.Tensor2D {
  if (rowNumbers !== undefined || areSparse(latents, coefficients.shape[1]))
    return sparseProduct(coefficients, indices, rows, latents, extra, rowNumbers);
  return denseProduct(coefficients, indices, rows, latents, extra);
}

/** Both products; x and g [B, C]. Caller disposes the results. */
export function saeProducts(
  x: tf.Tensor2D,
  g: tf.Tensor2D,
  { values, du, indices, rows }: Selection,
  latents: number,
  extra: { readonly encoder?: ExtraRows; readonly decoderRows?: ExtraRows } = {},
): SaeProducts {
  return {
    encoderGrad: selectedProduct(du, indices, x, latents, extra.encoder, rows),
    decoderRowsGrad: selectedProduct(values, indices, g, latents, extra.decoderRows, rows),
  };
}
