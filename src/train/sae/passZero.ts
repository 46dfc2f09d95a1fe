import type { SaeTrainConfig } from './config.js';
import { startWeights } from './inits.js';
import { NormFactorMeter } from './normFactor.js';

/** What a run begins with: what its features are divided by, and its first weights. */
export interface RunStart {
  readonly normFactor: number;
  /** Row-major [K, C] and [C, K]. */
  readonly encoder: Float32Array;
  readonly decoder: Float32Array;
}

/** Reads from a pass of its own, before the first epoch, what a new run needs of its features. */
export class PassZero {
  private readonly meter: NormFactorMeter;
  /** First rows of the pass, for weights that start from data. */
  private readonly drawn: Float32Array;
  private used = 0;

  constructor(
    private readonly config: SaeTrainConfig,
    private readonly channels: number,
  ) {
    this.meter = new NormFactorMeter(channels);
    this.drawn = new Float32Array(config.init === 'data' ? config.latents * channels : 0);
  }

  /** Whether no further batch is needed. */
  get isFull(): boolean {
    return this.meter.isFull && this.used === this.drawn.length;
  }

  /** Adds the next batch of the pass, row-major [n, C]. */
  add(values: Float32Array): void {
    this.meter.add(values);
    const wanted = values.subarray(0, this.drawn.length - this.used);
    this.drawn.set(wanted, this.used);
    this.used += wanted.length;
  }

  /** Throws FactError E_SAE_FEATURES where the features are all zero or not finite. */
  result(): RunStart {
    const { init, latents, seed, initSeed, tap } = this.config;
    const normFactor = this.meter.factor(tap);
    const sizes = { channels: this.channels, latents, seed: initSeed ?? seed };
    return { normFactor, ...startWeights(init, sizes, this.drawn.subarray(0, this.used)) };
  }
}
