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
 * Rules of initial weights [..., in, out], as PyTorch's networks use them:
 * `kaiming-fan-out` normal, deviation sqrt(2 / (outputs * receptive field)) (He et al. 2015; ResNet, VGG);
 * `kaiming-fan-in` normal, deviation sqrt(2 / (inputs * receptive field)) (DenseNet);
 * `normal-0.02` normal, deviation 0.02 (ConvNeXt, DINOv2; they cut it at +-2, a hundred deviations out);
 * `uniform-fan-in` uniform within 1 / sqrt(inputs * receptive field), biases too (PyTorch's default; ViTs).
 * Biases are zero under the other rules.
 */
export const INITIAL_RULES = ['kaiming-fan-out', 'kaiming-fan-in', 'normal-0.02', 'uniform-fan-in'] as const;
export type InitialRule = (typeof INITIAL_RULES)[number];

interface RandomInitialConfig {
  kind: 'normal' | 'uniform';
  /** Deviation, or half the width of the range. */
  size: number;
  seed: number;
  /** The stream of random numbers. */
  stream: string;
}

/** Random initial values, seeded: equal configurations give equal values on every engine. */
export class RandomInitial extends tf.serialization.Serializable implements Initializer {
  static readonly className = 'FactRandomInitial';

  constructor(private readonly config: RandomInitialConfig) {
    super();
  }

  fromConfigUsesCustomObjects(): boolean {
    return false;
  }

  apply(shape: tf.Shape): tf.Tensor {
    const { kind, size, seed, stream } = this.config;
    const sizes = shape.map((d) => d ?? 1);
    const random = new Random(seed, nameKey(stream));
    const draw = kind === 'normal' ? () => size * random.normal() : () => random.uniform(-size, size);
    const length = sizes.reduce((p, d) => p * d, 1);
    return tf.tensor(Float32Array.from({ length }, draw), sizes);
  }

  getConfig(): tf.serialization.ConfigDict {
    return { ...this.config };
  }
}

/** Initial weights of shape [..., in, out] for a layer of that name. */
export function initialWeights(
  rule: InitialRule,
  shape: readonly number[],
  seed: number,
  name: string,
): Initializer {
  const field = shape.slice(0, -2).reduce((p, d) => p * d, 1);
  const fanIn = field * shape[shape.length - 2];
  const fanOut = field * shape[shape.length - 1];
  const sizes: Readonly<Record<InitialRule, number>> = {
    'kaiming-fan-out': Math.sqrt(2 / fanOut),
    'kaiming-fan-in': Math.sqrt(2 / fanIn),
    'normal-0.02': 0.02,
    'uniform-fan-in': 1 / Math.sqrt(fanIn),
  };
  const kind = rule === 'uniform-fan-in' ? 'uniform' : 'normal';
  return new RandomInitial({ kind, size: sizes[rule], seed, stream: name });
}

/** The initial bias of a layer whose weights have that shape. */
export function initialBias(
  rule: InitialRule,
  shape: readonly number[],
  seed: number,
  name: string,
): Initializer {
  if (rule !== 'uniform-fan-in') return tf.initializers.zeros();
  const fanIn = shape.slice(0, -1).reduce((p, d) => p * d, 1);
  return new RandomInitial({ kind: 'uniform', size: 1 / Math.sqrt(fanIn), seed, stream: `${name}/bias` });
}
