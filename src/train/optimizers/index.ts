import type { OptimizerConfig } from '../config/schema.js';
import { adam } from './adam.js';
import type { Optimizer } from './optimizer.js';
import { rmsprop } from './rmsprop.js';
import { sgd } from './sgd.js';

export type { Optimizer, WeightStep } from './optimizer.js';

/** The optimiser that a recipe names. */
export function createOptimizer(config: OptimizerConfig): Optimizer {
  switch (config.name) {
    case 'adam':
    case 'adamw':
      return adam(config);
    case 'sgd':
      return sgd(config);
    case 'rmsprop':
      return rmsprop(config);
  }
}
