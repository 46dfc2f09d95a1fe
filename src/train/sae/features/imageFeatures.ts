import { type Logger, silentLogger } from '../../../core/log.js';
import { showProgress } from '../../../core/progress.js';
import { BatchLoader } from '../../../data/batchLoader.js';
import { brokenLimitOf } from '../../../data/brokenLimit.js';
import { evaluationSplit, listSplits, openImageSource, type Split } from '../../../data/imageSource.js';
import { subset } from '../../../data/subset.js';
import { type TappedModel, tapChannels } from '../../../explain/sae.js';
import { collectFeatures, expectedRows, type PositionChoice } from './collect.js';
import type { FeatureSource } from './featureSource.js';
import { holdOut } from './holdOut.js';
import { MemoryFeatures } from './memoryFeatures.js';

export interface FeatureRequest {
  readonly tap: string;
  readonly positions: PositionChoice;
  readonly seed: number;
  readonly split?: Split;
  /** Images of each class that are left out, as `holdOut` draws them; default 0. */
  readonly holdOut?: number;
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
  const split = listSplits(dataDir).length === 0 ? undefined : (request.split ?? evaluationSplit(dataDir));
  const images = await openImageSource(dataDir, split === undefined ? {} : { split });
  const { kept } = holdOut(images, request.holdOut ?? 0);
  const imageSize: [number, number] = [...preprocessing.crop];
  const batchSize = Math.min(request.imageBatch, kept.length);
  const loader = new BatchLoader(subset(images, kept), {
    batchSize,
    seed: 0,
    imageSize,
    augmentation: { kind: 'evaluation', resize: preprocessing.resize },
    workers: request.workers,
    brokenLimit: brokenLimitOf(images.size),
  });
  const progress = showProgress('features', loader.size, 'images', options.progress !== true);
  try {
    for (const warning of images.warnings) log.warn(warning);
    const rows = expectedRows(model, loader.size, imageSize, { tap, positions });
    const sink = new MemoryFeatures(info, rows);
    const source = await collectFeatures(model, loader, sink, {
      tap,
      positions,
      seed,
      imageSize,
      batchSize,
      samples: kept,
      progress,
      ...(signal === undefined ? {} : { signal }),
    });
    for (const broken of loader.broken) log.warn(`skipped: ${broken.message}`);
    return source;
  } finally {
    progress.stop();
    await loader.close();
    images.close();
  }
}
