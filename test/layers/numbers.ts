import * as tf from '@tensorflow/tfjs';
import { Random } from '../../src/core/random.js';

/** Random normal values of a shape, the same for the same key. Caller disposes. */
export function randomTensor(shape: readonly number[], key: number, scale = 1): tf.Tensor {
  const random = new Random(17, key);
  const count = shape.reduce((p, d) => p * d, 1);
  return tf.tensor(
    Float32Array.from({ length: count }, () => scale * random.normal()),
    [...shape],
  );
}

/** Gives every float weight of a layer random values: positive ones to variances. */
export function randomiseWeights(layer: tf.layers.Layer, key: number): void {
  layer.weights.forEach((weight, i) => {
    tf.tidy(() => {
      const value = weight.read();
      if (value.dtype !== 'float32') return;
      const random = randomTensor(value.shape, key + i, 0.5);
      const { originalName } = weight;
      if (originalName.endsWith('running_var')) weight.write(tf.add(tf.abs(random), 0.5));
      else if (/(^|\/)b$/.test(originalName)) weight.write(tf.add(tf.abs(random), 1));
      else weight.write(random);
    });
  });
}

/** Inner product of two tensors in float64. */
export function innerProduct(a: tf.Tensor, b: tf.Tensor): number {
  const [x, y] = [a.dataSync(), b.dataSync()];
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += x[i] * y[i];
  return sum;
}
