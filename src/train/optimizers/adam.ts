import * as tf from '@tensorflow/tfjs';
import type { OptimizerConfig } from '../config/schema.js';
import type { Optimizer } from './optimizer.js';

type AdamConfig = Extract<OptimizerConfig, { name: 'adam' | 'adamw' }>;

/**
 * Adam and AdamW as PyTorch computes them. For update s = 1, 2, ...:
 *
 *     adam:   g <- g + decay w            adamw:  w <- w - rate decay w
 *     m <- b1 m + (1 - b1) g              v <- b2 v + (1 - b2) g^2
 *     w <- w - rate / (1 - b1^s) * m / (sqrt(v) / sqrt(1 - b2^s) + epsilon)
 */
export function adam(config: AdamConfig): Optimizer {
  const [b1, b2] = config.betas;
  const decay = config.weightDecay;
  const isDecoupled = config.name === 'adamw';
  return {
    slotNames: ['moment1', 'moment2'],
    scalars: (update) => [1 / (1 - b1 ** update), 1 / Math.sqrt(1 - b2 ** update)],
    step({ weight, gradient, slots, rate, scalars: [correction1, correction2] }) {
      const g = decay > 0 && !isDecoupled ? gradient.add(weight.mul(decay)) : gradient;
      const w = decay > 0 && isDecoupled ? weight.sub(weight.mul(rate.mul(decay))) : weight;
      const moment1 = slots.moment1.mul(b1).add(g.mul(1 - b1));
      const moment2 = slots.moment2.mul(b2).add(g.square().mul(1 - b2));
      // Both sides of the quotient are divided by correction2, a number: one pass over the weights less.
      const denominator = moment2.sqrt().add(tf.div(config.epsilon, correction2));
      return {
        weight: w.sub(moment1.mul(rate.mul(correction1).div(correction2)).div(denominator)),
        slots: { moment1, moment2 },
      };
    },
  };
}
