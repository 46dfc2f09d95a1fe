import * as tf from '@tensorflow/tfjs';
import type { NamedWeight } from './weights.js';

/** Runs a function while the network holds its moving average; its own weights are back afterwards, bit for bit. */
export async function withAverage<R>(
  weights: readonly NamedWeight[],
  average: ReadonlyMap<string, tf.Variable>,
  run: () => Promise<R>,
): Promise<R> {
  const own = new Map<string, tf.Tensor>();
  for (const { name, variable } of weights) {
    own.set(
      name,
      tf.tidy(() => copyOf(variable)),
    );
    tf.tidy(() => variable.assign(copyOf(average.get(name) ?? variable)));
  }
  try {
    return await run();
  } finally {
    for (const { name, variable } of weights) {
      const value = own.get(name);
      if (value === undefined) continue;
      variable.assign(value);
      value.dispose();
    }
  }
}

/** A tensor with its own memory: two variables must not share one record. */
function copyOf(variable: tf.Variable): tf.Tensor {
  return tf.tensor(variable.dataSync().slice(), variable.shape, variable.dtype as 'float32' | 'int32');
}
