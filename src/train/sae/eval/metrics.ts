import * as tf from '@tensorflow/tfjs';

/**
 * Share of variance explained: 1 - sum over channels of var(x - x') / sum over channels of var(x), variances over the
 * rows about their mean; not finite where x does not vary. x, reconstruction [B, C]. Caller disposes.
 */
export function varianceExplained(x: tf.Tensor2D, reconstruction: tf.Tensor2D): tf.Scalar {
  return tf.tidy(() => {
    const spread = (t: tf.Tensor2D) => tf.sum(tf.square(tf.sub(t, tf.mean(t, 0, true))));
    return tf.sub(1, tf.div(spread(tf.sub(x, reconstruction) as tf.Tensor2D), spread(x))) as tf.Scalar;
  });
}
