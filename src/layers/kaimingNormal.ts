import * as tf from '@tensorflow/tfjs';
import { Random } from '../core/random.js';

/** A 32-bit number from a name (FNV-1a), so that each layer of a model draws from its own stream. */
export function nameKey(name: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}

/** The interface of tfjs's initialisers, which it does not export as a type. */
export type Initializer = ReturnType<typeof tf.initializers.zeros>;

/**
 * Kaiming normal initial weights, mode fan-out, gain sqrt(2) (He et al. 2015): standard deviation
 * sqrt(2 / (outputs * receptive field)), as PyTorch computes it for weights [..., in, out]. Seeded: equal (seed, name)
 * give equal weights on every engine.
 */
export class KaimingNormal extends tf.serialization.Serializable implements Initializer {
  static readonly className = 'FactKaimingNormal';
  private readonly seed: number;
  private readonly stream: string;

  constructor(config: { seed: number; stream: string }) {
    super();
    this.seed = config.seed;
    this.stream = config.stream;
  }

  fromConfigUsesCustomObjects(): boolean {
    return false;
  }

  apply(shape: tf.Shape): tf.Tensor {
    const sizes = shape.map((d) => d ?? 1);
    const fanOut = sizes.slice(0, -2).reduce((p, d) => p * d, 1) * sizes[sizes.length - 1];
    const deviation = Math.sqrt(2 / fanOut);
    const random = new Random(this.seed, nameKey(this.stream));
    const count = sizes.reduce((p, d) => p * d, 1);
    return tf.tensor(
      Float32Array.from({ length: count }, () => deviation * random.normal()),
      sizes,
    );
  }

  getConfig(): tf.serialization.ConfigDict {
    return { seed: this.seed, stream: this.stream };
  }
}
