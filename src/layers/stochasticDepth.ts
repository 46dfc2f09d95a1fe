import * as tf from '@tensorflow/tfjs';
import { FactError } from '../core/errors.js';
import type { CallArgs } from './callArgs.js';
import { configError, finiteNumber, singleInput, singleShape } from './checks.js';

export interface StochasticDepthConfig {
  name?: string;
  /** Probability of dropping a sample's branch. */
  probability: number;
}

/**
 * Stochastic depth by rows (Huang et al. 2016): when training, each sample of a branch is dropped with probability p,
 * kept ones are divided by 1 - p; identity otherwise. Random numbers come in as a tensor (`uniform` of the call
 * arguments), so that a compiled step draws new ones each time: u < 1 - p keeps.
 */
export class StochasticDepth extends tf.layers.Layer {
  static readonly className = 'StochasticDepth';
  readonly probability: number;

  constructor(config: StochasticDepthConfig) {
    super(config as unknown as ConstructorParameters<typeof tf.layers.Layer>[0]);
    this.probability = finiteNumber(this.name, 'probability', config.probability, 0);
    if (this.probability > 1) throw configError(this.name, 'probability', 'at most 1', this.probability);
  }

  override call(inputs: tf.Tensor | tf.Tensor[], args: CallArgs): tf.Tensor {
    return tf.tidy(() => {
      const x = singleInput(inputs);
      if (args?.training !== true || this.probability === 0) return tf.clone(x);
      if (this.probability === 1) return tf.zerosLike(x);
      const uniform = args.uniform?.[this.name];
      if (uniform === undefined) {
        throw new FactError({
          code: 'E_RANDOM_MISSING',
          message: `${this.name}: training with stochastic depth needs random numbers for this layer`,
          remedy: 'Pass {training: true, uniform: {[layer name]: one number in [0, 1) a sample}}.',
        });
      }
      const kept = tf.cast(tf.less(uniform, 1 - this.probability), 'float32');
      const factor = tf.mul(kept, 1 / (1 - this.probability));
      return tf.mul(x, tf.reshape(factor, [x.shape[0], ...x.shape.slice(1).map(() => 1)]));
    });
  }

  override computeOutputShape(inputShape: tf.Shape | tf.Shape[]): tf.Shape {
    return singleShape(inputShape);
  }

  override getConfig(): tf.serialization.ConfigDict {
    return { ...super.getConfig(), probability: this.probability };
  }
}
tf.serialization.registerClass(StochasticDepth);
