import * as tf from '@tensorflow/tfjs';
import type { Directions } from './unitColumns.js';

/** The nearest directions of each direction of another set, largest cosine first: [count, width] each. */
export interface Nearest {
  readonly width: number;
  readonly cosines: Float32Array;
  readonly indices: Int32Array;
}

/** Cosines held at once. */
const BLOCK_VALUES = 2 ** 24;

/** For each direction of `a` the `width` (at most those there are) nearest of `b`; one product of matrices by blocks. */
export async function nearestDirections(a: Directions, b: Directions, width: number): Promise<Nearest> {
  const kept = Math.min(width, b.count);
  const cosines = new Float32Array(a.count * kept);
  const indices = new Int32Array(a.count * kept);
  const block = Math.max(1, Math.floor(BLOCK_VALUES / b.count));
  const others = tf.tensor2d(b.rows, [b.count, b.channels]);
  try {
    for (let start = 0; start < a.count; start += block) {
      const rows = Math.min(block, a.count - start);
      const own = a.rows.slice(start * a.channels, (start + rows) * a.channels);
      const found = tf.tidy(() => {
        const x = tf.tensor2d(own, [rows, a.channels]);
        const { values, indices: at } = tf.topk(tf.matMul(x, others, false, true), kept, true);
        return { values, at };
      });
      cosines.set((await found.values.data()) as Float32Array, start * kept);
      indices.set((await found.at.data()) as Int32Array, start * kept);
      tf.dispose(found);
    }
  } finally {
    others.dispose();
  }
  return { width: kept, cosines, indices };
}
