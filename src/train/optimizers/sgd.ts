import type { OptimizerConfig } from '../config/schema.js';
import type { Optimizer, WeightUpdate } from './optimizer.js';

/**
 * Stochastic gradient descent as PyTorch computes it (no dampening):
 *
 *     g <- g + decay w;   m <- momentum m + g;   w <- w - rate m       (nesterov: w <- w - rate (g + momentum m))
 */
export function sgd(config: Extract<OptimizerConfig, { name: 'sgd' }>): Optimizer {
  const { momentum, nesterov, weightDecay } = config;
  return {
    slotNames: momentum > 0 ? ['momentum'] : [],
    scalars: () => [],
    step({ weight, gradient, slots, rate }): WeightUpdate {
      const g = weightDecay > 0 ? gradient.add(weight.mul(weightDecay)) : gradient;
      if (momentum === 0) return { weight: weight.sub(g.mul(rate)), slots: {} };
      const m = slots.momentum.mul(momentum).add(g);
      const direction = nesterov ? g.add(m.mul(momentum)) : m;
      return { weight: weight.sub(direction.mul(rate)), slots: { momentum: m } };
    },
  };
}
