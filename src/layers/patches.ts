import * as tf from '@tensorflow/tfjs';
import { channelsOf, singleInput, singleShape, wholeNumber } from './checks.js';

export interface PatchesConfig {
  name?: string;
  /** Height and width of a patch. */
  size: number;
}

/** Cuts an image into patches, flattened as (row, column, channel): [N,H,W,C] -> [N,H/p,W/p,p*p*C]. */
export class Patches extends tf.layers.Layer {
  static readonly className = 'Patches';
  readonly size: number;

  constructor(config: PatchesConfig) {
    super(config as unknown as ConstructorParameters<typeof tf.layers.Layer>[0]);
    this.size = wholeNumber(this.name, 'size', config.size, 1);
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    return tf.tidy(() => {
      const x = singleInput(inputs);
      const [n, height, width, c] = x.shape;
      const p = this.size;
      const [h, w] = [height / p, width / p];
      // No engine agrees on permuting an empty batch; its order does not matter.
      if (x.size === 0) return tf.reshape(x, [n, h, w, p * p * c]);
      const rows = tf.transpose(tf.reshape(x, [n * h, p, w, p * c]), [0, 2, 1, 3]);
      return tf.reshape(rows, [n, h, w, p * p * c]);
    });
  }

  override computeOutputShape(inputShape: tf.Shape | tf.Shape[]): tf.Shape {
    const [n, height, width] = singleShape(inputShape);
    const along = (size: number | null): number | null =>
      size === null ? null : Math.floor(size / this.size);
    return [n, along(height), along(width), this.size ** 2 * channelsOf(this, inputShape, 4)];
  }

  override getConfig(): tf.serialization.ConfigDict {
    return { ...super.getConfig(), size: this.size };
  }
}
tf.serialization.registerClass(Patches);
