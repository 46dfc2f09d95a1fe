import * as tf from '@tensorflow/tfjs';
import { channelsOf, configError, singleInput, singleShape } from './checks.js';

const TEMPERATURE = 10000;

/**
 * Sine-cosine position embedding of a grid, row-major [height*width, dim]: with omega_k = 10000^(-k/(dim/4-1)),
 * k < dim/4, the vector at (row y, column x) is [sin(x omega), cos(x omega), sin(y omega), cos(y omega)].
 */
export function positionEmbedding(height: number, width: number, dim: number): Float32Array {
  const quarter = dim / 4;
  const omega = Float32Array.from({ length: quarter }, (_, k) => TEMPERATURE ** (-k / (quarter - 1)));
  const values = new Float32Array(height * width * dim);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const at = (y * width + x) * dim;
      for (let k = 0; k < quarter; k++) {
        // The reference forms the angles in float32.
        const [ax, ay] = [Math.fround(x * omega[k]), Math.fround(y * omega[k])];
        values[at + k] = Math.sin(ax);
        values[at + quarter + k] = Math.cos(ax);
        values[at + 2 * quarter + k] = Math.sin(ay);
        values[at + 3 * quarter + k] = Math.cos(ay);
      }
    }
  }
  return values;
}

/** Adds the position embedding to a grid of tokens and flattens it: [N,h,w,D] -> [N,h*w,D]. D a multiple of 4, >= 8. */
export class PosEmbSinCos2d extends tf.layers.Layer {
  static readonly className = 'PosEmbSinCos2d';

  override build(inputShape: tf.Shape | tf.Shape[]): void {
    const dim = channelsOf(this, inputShape, 4);
    if (dim % 4 !== 0 || dim < 8) throw configError(this.name, 'width', 'a multiple of 4, at least 8', dim);
    super.build(inputShape);
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    return tf.tidy(() => {
      const x = singleInput(inputs);
      const [n, h, w, d] = x.shape;
      const embedding = tf.tensor(positionEmbedding(h, w, d), [1, h * w, d]);
      return tf.add(tf.reshape(x, [n, h * w, d]), embedding);
    });
  }

  override computeOutputShape(inputShape: tf.Shape | tf.Shape[]): tf.Shape {
    const [n, h, w, d] = singleShape(inputShape);
    return [n, h === null || w === null ? null : h * w, d];
  }
}
tf.serialization.registerClass(PosEmbSinCos2d);
