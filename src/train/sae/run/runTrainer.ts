import { createSae, type Sae } from '../../../explain/sae.js';
import type { SaeTrainConfig } from '../config.js';
import type { FeatureInfo } from '../features/featureSource.js';
import { SaeTrainer } from '../step/trainer.js';
import type { RunStart } from './passZero.js';
import type { SaeEpochSummary } from './runLogs.js';

/** Rows are counted in int32. */
const MOST_ROWS = 2 ** 31 - 1;

/** What a run must know of its features before it sees any. */
export interface RunFeatures extends FeatureInfo {
  readonly rows: number;
  readonly fingerprint: string;
}

/** Rows of an update of this recipe. */
export function batchRowsOf(config: SaeTrainConfig, rows: number): number {
  return Math.min(config.batchRows, rows);
}

/** The trainer that a recipe asks for. */
export function makeTrainer(config: SaeTrainConfig, features: RunFeatures, start: RunStart): SaeTrainer {
  const { latents, k, epochs, aux, warmupEpochs, decayAfterEpochs, learningRate } = config;
  const batchRows = batchRowsOf(config, features.rows);
  const stepsPerEpoch = Math.ceil(features.rows / batchRows);
  return new SaeTrainer(
    {
      channels: features.channels,
      latents,
      k,
      learningRate,
      schedule: {
        totalSteps: epochs * stepsPerEpoch,
        warmupSteps: Math.round(warmupEpochs * stepsPerEpoch),
        decayStart: decayAfterEpochs === null ? null : Math.round(decayAfterEpochs * stepsPerEpoch),
      },
      architecture: config.architecture,
      ...config.batchTopK,
      points: config.archetypal.points,
      relaxation: config.archetypal.relaxation,
      auxAlpha: aux.alpha,
      auxK: aux.k,
      deadAfterRows: Math.min(MOST_ROWS, Math.max(1, Math.floor(features.rows * aux.deadAfter))),
      batchRows,
      normFactor: start.normFactor,
    },
    start,
  );
}

/** What an autoencoder says of its last epoch: without times, so that the same run gives the same bytes. */
function untimed(summary: SaeEpochSummary | null): Partial<SaeEpochSummary> | null {
  if (summary === null) return null;
  const { seconds, rowsPerSecond, dataWait, ...numbers } = summary;
  return numbers;
}

/** An autoencoder with what became known of its epoch since; shares the tensors. */
export function withSummary(sae: Sae, summary: SaeEpochSummary): Sae {
  const training = { ...sae.meta.training, lastEpoch: untimed(summary) };
  return { ...sae, meta: { ...sae.meta, training } };
}

/** The autoencoder as it is now; `summary`: what is known of it. Caller disposes. */
export async function autoencoderOf(
  trainer: SaeTrainer,
  config: SaeTrainConfig,
  features: RunFeatures,
  summary: SaeEpochSummary | null,
): Promise<Sae> {
  const { encoder, decoder } = await trainer.weights();
  const { training, ...code } = trainer.code();
  return createSae({
    channels: features.channels,
    latents: config.latents,
    ...code,
    encoder,
    decoder,
    tap: features.tap,
    modelHash: features.modelHash,
    meta: {
      arch: features.arch,
      normFactor: trainer.options.normFactor,
      trainedK: config.k,
      training: {
        ...training,
        config,
        rows: features.rows,
        updates: trainer.updates,
        lastEpoch: untimed(summary),
      },
    },
  });
}
