import { FactError } from '../../../core/errors.js';
import type { FeatureSource } from './featureSource.js';

/** Batches of the first pass that the norm factor is measured on. */
const NORM_BATCHES = 551;

/**
 * Measures the number that features are divided by in training: the root of the mean over batches of the batch's mean
 * squared norm, over the first 551 batches given (as the reference: a short last batch counts as a full one).
 */
export class NormFactorMeter {
  private total = 0;
  private batches = 0;

  constructor(private readonly channels: number) {}

  /** Whether all batches that count were given. */
  get isFull(): boolean {
    return this.batches >= NORM_BATCHES;
  }

  /** Adds a batch, row-major [n, channels]; those beyond the last that counts are left out. */
  add(values: Float32Array): void {
    if (this.isFull) return;
    let squares = 0;
    for (const value of values) squares += value * value;
    this.total += squares / (values.length / this.channels);
    this.batches++;
  }

  /** Throws FactError E_SAE_FEATURES where all features are zero or one is not finite; `tap` names them. */
  factor(tap: string): number {
    const factor = Math.sqrt(this.total / Math.max(1, this.batches));
    if (factor > 0 && Number.isFinite(factor)) return factor;
    throw new FactError({
      code: 'E_SAE_FEATURES',
      message: `features at tap ${tap}: their root mean square norm is ${factor}`,
      remedy: 'The network gives no usable features there; check its weights and the images.',
    });
  }
}

/** The norm factor of a source, on its pass 0. Throws FactError E_SAE_FEATURES. */
export async function normFactorOf(
  features: FeatureSource,
  seed: number,
  batchRows: number,
): Promise<number> {
  const meter = new NormFactorMeter(features.channels);
  for await (const values of features.batches({ seed, pass: 0, batchRows })) {
    meter.add(values);
    if (meter.isFull) break;
  }
  return meter.factor(features.tap);
}
