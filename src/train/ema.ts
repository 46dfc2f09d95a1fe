import * as tf from '@tensorflow/tfjs';

/**
 * Decay that the reference derives from the one of a recipe, so that it means the same for each batch size:
 * `1 - min(1, (1 - decay) * images in an update * steps / epochs)`.
 */
export function effectiveDecay(options: {
  readonly decay: number;
  /** Images in one update: devices x accumulated batches x batch size. */
  readonly imagesPerUpdate: number;
  /** Batches between two updates of the average. */
  readonly steps: number;
  readonly epochs: number;
}): number {
  const { decay, imagesPerUpdate, steps, epochs } = options;
  return 1 - Math.min(1, ((1 - decay) * imagesPerUpdate * steps) / epochs);
}

/**
 * Decay to use at a batch: 1 leaves the average as it is, 0 makes it a copy. The average is updated at every `steps`-th
 * batch; up to the first update after the warm-up it is a plain copy.
 * @param batch batches done before this one in the whole run
 */
export function decayAt(batch: number, steps: number, warmupBatches: number, decay: number): number {
  if (batch % steps !== 0) return 1;
  const lastCopy = Math.ceil(warmupBatches / steps) * steps;
  return batch <= lastCopy ? 0 : decay;
}

/**
 * `average <- decay average + rest value` with rest = 1 - decay, which is computed in float64 before it is rounded;
 * int32 counters are truncated toward zero. Both as the reference does.
 */
export function averageStep(
  average: tf.Tensor,
  value: tf.Tensor,
  decay: tf.Scalar,
  rest: tf.Scalar,
): tf.Tensor {
  const mix = (a: tf.Tensor, b: tf.Tensor): tf.Tensor => tf.add(a.mul(decay), b.mul(rest));
  if (average.dtype !== 'int32') return mix(average, value);
  return mix(average.toFloat(), value.toFloat()).floor().toInt();
}
