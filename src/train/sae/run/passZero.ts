import type { SaeTrainConfig } from '../config.js';
import { NormFactorMeter } from '../features/normFactor.js';
import { archetypalStart } from '../step/archetypal.js';
import { archetypePoints, archetypeSampleRows } from '../step/archetypes.js';
import { startWeights } from '../step/inits.js';
import type { SaeStart } from '../step/trainer.js';

/** What a run begins with: what its features are divided by, and its first weights. */
export type RunStart = SaeStart & { readonly normFactor: number };

/** Rows that a recipe's first weights are made of. */
function rowsWanted({ architecture, archetypal, init, latents }: SaeTrainConfig, channels: number): number {
  if (architecture === 'archetypal') return archetypeSampleRows(archetypal, channels);
  return init === 'data' ? latents : 0;
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
    this.drawn = new Float32Array(rowsWanted(config, channels) * channels);
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

  /** Throws FactError E_SAE_FEATURES where the features are all zero or not finite, E_SAE_ARCHETYPES. */
  async result(): Promise<RunStart> {
    const { channels, config } = this;
    const { init, latents, tap, archetypal } = config;
    const seed = config.initSeed ?? config.seed;
    const normFactor = this.meter.factor(tap);
    const drawn = this.drawn.subarray(0, this.used);
    if (config.architecture === 'archetypal') {
      const points = await archetypePoints(drawn, { channels, normFactor, ...archetypal });
      return { normFactor, ...archetypalStart(points, channels, latents, seed) };
    }
    return { normFactor, ...startWeights(init, { channels, latents, seed }, drawn) };
  }
}
