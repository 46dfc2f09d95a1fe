import { FactError } from '../../core/errors.js';
import type { FeatureSource } from './featureSource.js';

/** Batches of the first pass that the norm factor is measured on. */
const NORM_BATCHES = 551;

/**
 * The number that features are divided by in training: the root of the mean over batches of the batch's mean squared
 * norm, over the first 551 batches of pass 0 (as the reference: a short last batch counts as a full one).
 * Throws FactError E_SAE_FEATURES where all features are zero or one is not finite.
 */
export async function normFactorOf(
  features: FeatureSource,
  seed: number,
  batchRows: number,
): Promise<number> {
  let total = 0;
  let batches = 0;
  for await (const values of features.batches({ seed, pass: 0, batchRows })) {
    let squares = 0;
    for (const value of values) squares += value * value;
    total += squares / (values.length / features.channels);
    if (++batches === NORM_BATCHES) break;
  }
  const factor = Math.sqrt(total / Math.max(1, batches));
  if (!(factor > 0) || !Number.isFinite(factor)) {
    throw new FactError({
      code: 'E_SAE_FEATURES',
      message: `features at tap ${features.tap}: their root mean square norm is ${factor}`,
      remedy: 'The network gives no usable features there; check its weights and the images.',
    });
  }
  return factor;
}
