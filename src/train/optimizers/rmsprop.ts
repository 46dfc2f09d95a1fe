import type { OptimizerConfig } from '../config/schema.js';
import type { Optimizer, WeightUpdate } from './optimizer.js';

/**
 * RMSprop as PyTorch computes it (not centred):
 *
 *     g <- g + decay w;   s <- alpha s + (1 - alpha) g^2;   d = g / (sqrt(s) + epsilon)
 *     w <- w - rate d             with momentum:  m <- momentum m + d;  w <- w - rate m
 */
export function rmsprop(config: Extract<OptimizerConfig, { name: 'rmsprop' }>): Optimizer {
  const { alpha, epsilon, momentum, weightDecay } = config;
  return {
    slotNames: momentum > 0 ? ['squareAverage', 'momentum'] : ['squareAverage'],
    scalars: () => [],
    step({ weight, gradient, slots, rate }): WeightUpdate {
      const g = weightDecay > 0 ? gradient.add(weight.mul(weightDecay)) : gradient;
      const squareAverage = slots.squareAverage.mul(alpha).add(g.square().mul(1 - alpha));
      const direction = g.div(squareAverage.sqrt().add(epsilon));
      if (momentum === 0) return { weight: weight.sub(direction.mul(rate)), slots: { squareAverage } };
      const m = slots.momentum.mul(momentum).add(direction);
      return { weight: weight.sub(m.mul(rate)), slots: { squareAverage, momentum: m } };
    },
  };
}
