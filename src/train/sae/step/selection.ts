/*
 * Which responses of a batch x [B, C] count. E [K, C] encoder, v = x E^T [B, K].
 *
 *   topk:       the k largest positive of each row
 *   batchtopk:  the k B largest positive of the whole batch (Bussmann et al. 2024, arXiv 2412.06410)
 *
 * [B, K] never exists as a whole: the k largest of each row are taken some rows at a time, while these responses lie in
 * the cache (encoding 4096 rows of 512 channels into 8192 latents: 142 ms and 30 MB, 169 ms and 270 MB as a whole).
 *
 * The batch's largest are chosen among the `width` largest of each row. That is exact where no row has all of its
 * `width` chosen; `full` counts those that have, and the caller then takes a larger width. Ties at the end go to the
 * row that comes first, within a row to the lower latent.
 */
import * as tf from '@tensorflow/tfjs';
import { scatterLast } from '../../../engine/ops.js';

/** A code of a batch with as many places in every row: values [B, width] >= 0, indices int32 [B, width]. */
export type Code = { readonly values: tf.Tensor2D; readonly indices: tf.Tensor2D };

/** What the batch's choice says beside the code. */
export type BatchChoice = {
  /** Rows of which all `width` values are chosen although there are more latents: some may be missing. */
  readonly full: tf.Scalar;
  /** The smallest value chosen; 0 where none is. */
  readonly smallest: tf.Scalar;
  /** Which of the B x width places are chosen, int32 [k B]: row x width + place. */
  readonly places: tf.Tensor1D;
  /** Share of the rows that have 0, 1, ... activations; the last of the `bins` places stands for more, too. [bins] */
  readonly perRow: tf.Tensor1D;
};

export type BatchCode = Code & BatchChoice;

/** Responses of one chunk of rows: 16 MiB (measured on ONNX Runtime; 4 to 32 MiB differ by a tenth). */
const CHUNK_VALUES = 2 ** 22;

/** [start, size] of chunks of rows whose responses to `latents` latents stay in the cache. */
function responseChunks(rows: number, latents: number): readonly (readonly [number, number])[] {
  const size = Math.max(1, Math.floor(CHUNK_VALUES / latents));
  return Array.from({ length: Math.ceil(rows / size) }, (_, i) => [
    i * size,
    Math.min(size, rows - i * size),
  ]);
}

/** The `k` largest responses of each row, negative ones as 0. Caller disposes. */
export function selectByRow(x: tf.Tensor2D, encoder: tf.Tensor2D, k: number): Code {
  const [rows, channels] = x.shape;
  return tf.tidy(() => {
    const parts = responseChunks(rows, encoder.shape[0]).map(([start, size]) =>
      tf.tidy(() => {
        const part = tf.slice(x, [start, 0], [size, channels]);
        return { ...tf.topk(tf.matMul(part, encoder, false, true) as tf.Tensor2D, k) };
      }),
    );
    return {
      values: tf.relu(tf.concat(parts.map(({ values }) => values as tf.Tensor2D))) as tf.Tensor2D,
      indices: tf.concat(parts.map(({ indices }) => indices as tf.Tensor2D)),
    };
  });
}

/** The `k` B largest responses of the batch, at most `width` >= k a row. Caller disposes. */
export function selectByBatch(
  x: tf.Tensor2D,
  encoder: tf.Tensor2D,
  k: number,
  width: number,
  bins: number,
): BatchCode {
  const rows = x.shape[0];
  return tf.tidy(() => {
    const { values: candidates, indices } = selectByRow(x, encoder, width);
    const count = k * rows;
    const { indices: places } = tf.topk(tf.reshape(candidates, [1, rows * width]), count);
    const isChosen = tf.reshape(scatterLast(tf.ones([1, count]), places, rows * width), [rows, width]);
    const values = tf.mul(candidates, isChosen) as tf.Tensor2D;
    const positive = tf.step(values);
    const last = tf.slice(positive, [0, width - 1], [rows, 1]);
    const largest = tf.max(values);
    const rowBins = tf.cast(tf.minimum(tf.sum(positive, 1), bins - 1), 'int32') as tf.Tensor1D;
    return {
      values,
      indices,
      places: tf.reshape(places, [count]) as tf.Tensor1D,
      full: (width < encoder.shape[0] ? tf.sum(last) : tf.scalar(0)) as tf.Scalar,
      // What is not chosen counts as the largest value, which changes no minimum.
      smallest: tf.min(tf.add(values, tf.mul(tf.sub(1, positive), largest))) as tf.Scalar,
      perRow: tf.unsortedSegmentSum(tf.fill([rows], 1 / rows), rowBins, bins) as tf.Tensor1D,
    };
  });
}
