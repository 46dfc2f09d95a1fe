import { type Logger, silentLogger } from '../../core/log.js';
import { showProgress } from '../../core/progress.js';
import type { Split } from '../../data/imageSource.js';
import { openImages } from '../../data/openImages.js';
import { type TappedModel, tapChannels } from '../../explain/sae.js';
import { collectFeatures, expectedRows, type PositionChoice } from './collect.js';
import type { FeatureSource } from './featureSource.js';
import { MemoryFeatures } from './memoryFeatures.js';

export interface FeatureRequest {
  readonly tap: string;
  readonly positions: PositionChoice;
  readonly seed: number;
  readonly split?: Split;
  readonly imageBatch: number;
  readonly workers: number;
}

export interface FeatureRunOptions {
  readonly signal?: AbortSignal;
  readonly log?: Logger;
  readonly progress?: boolean;
}

/**
 * Features of a model's tap over a data set, held in memory. Caller closes the source.
 * Throws FactError E_TAP_UNKNOWN, E_DATA_*, E_SAE_MEMORY; the reason of an aborted signal.
 */
export async function imageFeatures(
  model: TappedModel,
  dataDir: string,
  request: FeatureRequest,
  options: FeatureRunOptions = {},
): Promise<FeatureSource> {
  const { log = silentLogger, signal } = options;
  const { tap, positions, seed } = request;
  const { arch, weightsHash, preprocessing } = model.spec;
  const info = { channels: tapChannels(model, tap), tap, arch, modelHash: weightsHash };
  const { loader, imageSize, batchSize } = await openImages(dataDir, preprocessing, {
    ...(request.split === undefined ? {} : { split: request.split }),
    batchSize: request.imageBatch,
    workers: request.workers,
  });
  const progress = showProgress('features', loader.size, 'images', options.progress !== true);
  try {
    for (const warning of loader.source.warnings) log.warn(warning);
    const rows = expectedRows(model, loader.size, imageSize, { tap, positions });
    const sink = new MemoryFeatures(info, rows);
    const source = await collectFeatures(model, loader, sink, {
      tap,
      positions,
      seed,
      imageSize,
      batchSize,
      progress,
      ...(signal === undefined ? {} : { signal }),
    });
    for (const broken of loader.broken) log.warn(`skipped: ${broken.message}`);
    return source;
  } finally {
    progress.stop();
    await loader.close();
  }
}
