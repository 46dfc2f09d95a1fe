import { type Logger, silentLogger } from '../../core/log.js';
import { showProgress } from '../../core/progress.js';
import { BatchLoader } from '../../data/batchLoader.js';
import { evaluationSplit, listSplits, openImageSource, type Split } from '../../data/imageSource.js';
import { type TappedModel, tapChannels } from '../../explain/sae.js';
import type { ModelSpec } from '../../models/spec.js';
import { collectFeatures, expectedRows, type PositionChoice } from './collect.js';
import { FeatureFolderSink } from './featureFolder.js';
import type { FeatureSource } from './featureSource.js';
import { MemoryFeatures } from './memoryFeatures.js';

export interface ImageOptions {
  /** Default: the split to measure on. Ignored where the data set is not divided. */
  readonly split?: Split;
  /** Images per batch; fewer where the data set is smaller. */
  readonly batchSize: number;
  readonly workers: number;
  /** Number of classes the data set must have; unset where labels do not matter. */
  readonly classes?: number;
}

export interface OpenedImages {
  readonly loader: BatchLoader;
  readonly imageSize: readonly [number, number];
  readonly batchSize: number;
}

/**
 * Images of a data set as a network wants them: its evaluation transform, in the data set's order, no augmentation.
 * Caller closes. Throws FactError E_DATA_*.
 */
export async function openImages(
  path: string,
  preprocessing: ModelSpec['preprocessing'],
  options: ImageOptions,
): Promise<OpenedImages> {
  const split = listSplits(path).length === 0 ? undefined : (options.split ?? evaluationSplit(path));
  const source = await openImageSource(path, {
    ...(split === undefined ? {} : { split }),
    ...(options.classes === undefined ? {} : { classes: options.classes }),
  });
  const imageSize: [number, number] = [...preprocessing.crop];
  const batchSize = Math.min(options.batchSize, source.size);
  const loader = new BatchLoader(source, {
    batchSize,
    seed: 0,
    imageSize,
    augmentation: { kind: 'evaluation', resize: preprocessing.resize },
    shuffle: false,
    workers: options.workers,
  });
  return { loader, imageSize, batchSize };
}

export interface FeatureRequest {
  readonly tap: string;
  readonly positions: PositionChoice;
  readonly seed: number;
  readonly split?: Split;
  readonly imageBatch: number;
  readonly workers: number;
}

export interface FeatureRunOptions {
  /** Folder for the features; unset: they are held in memory. */
  readonly out?: string;
  readonly signal?: AbortSignal;
  readonly log?: Logger;
  readonly progress?: boolean;
}

/**
 * Features of a model's tap over a data set. Caller closes the source.
 * Throws FactError E_TAP_UNKNOWN, E_DATA_*, E_SAE_MEMORY, E_WRITE; the reason of an aborted signal.
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
    const sink =
      options.out === undefined
        ? new MemoryFeatures(info, expectedRows(model, loader.size, imageSize, { tap, positions }))
        : new FeatureFolderSink(options.out, info);
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
