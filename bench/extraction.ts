/** Features of a tap as `fact sae features` takes them: one pass over the network, weights of positions, the draw, the rows. */
import type * as tf from '@tensorflow/tfjs';
import type { BcosModel } from '../src/models/index.js';
import { TapReader } from '../src/train/sae/features/tapReader.js';
import type { Case } from './cases.js';

/** FaCT's budget of positions of each image x [N, H, W, 3] at a tap. Takes over both arguments. */
export function extraction(model: BcosModel, tap: string, x: tf.Tensor4D): Case {
  const [size, height, width] = x.shape;
  const images = Float32Array.from(x.dataSync());
  x.dispose();
  const request = { tap, positions: 'budget' } as const;
  const reader = new TapReader(model, [request], { imageSize: [height, width], batchSize: size, seed: 0 });
  const samples = Int32Array.from({ length: size }, (_, i) => i);
  const batch = {
    images,
    labels: new Int32Array(size),
    samples,
    keys: Array.from(samples, String),
    size,
    index: 0,
    waitMs: 0,
  };
  return {
    run: async () => {
      const [{ values }] = await reader.read(batch);
      return values[0] + values[values.length - 1];
    },
    dispose: () => {
      reader.dispose();
      model.network.dispose();
    },
  };
}
