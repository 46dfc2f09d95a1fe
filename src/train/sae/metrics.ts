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

/** Sums from which the explained variance over many batches follows, in float64. */
export class VarianceSums {
  private rows = 0;
  private readonly sums: { x: Float64Array; xx: Float64Array; r: Float64Array; rr: Float64Array };

  constructor(private readonly channels: number) {
    const zeros = () => new Float64Array(channels);
    this.sums = { x: zeros(), xx: zeros(), r: zeros(), rr: zeros() };
  }

  /** Adds rows: features and residuals, row-major [n, C]. */
  add(features: Float32Array, residuals: Float32Array): void {
    const { x, xx, r, rr } = this.sums;
    for (let i = 0, c = 0; i < features.length; i++) {
      x[c] += features[i];
      xx[c] += features[i] * features[i];
      r[c] += residuals[i];
      rr[c] += residuals[i] * residuals[i];
      if (++c === this.channels) c = 0;
    }
    this.rows += features.length / this.channels;
  }

  /** 1 - sum of var(residual) / sum of var(feature); null where the features do not vary. */
  explained(): number | null {
    const spread = (sum: Float64Array, squares: Float64Array): number =>
      squares.reduce((total, square, c) => total + square - (sum[c] * sum[c]) / this.rows, 0);
    const total = this.rows === 0 ? 0 : spread(this.sums.x, this.sums.xx);
    return total > 0 ? 1 - spread(this.sums.r, this.sums.rr) / total : null;
  }
}
