import type { ModelSpec } from '../models/spec.js';
import { BatchLoader } from './batchLoader.js';
import { labelledFor } from './classLabels.js';
import { evaluationSplit, listSplits, openImageSource, type Split } from './imageSource.js';

export interface ImageOptions {
  /** Default: the split to measure on. Ignored where the data set is not divided. */
  readonly split?: Split;
  /** Images per batch; fewer where the data set is smaller. */
  readonly batchSize: number;
  readonly workers: number;
  /** The network whose classes the data set must have, as many and numbered as there; unset where labels do not matter. */
  readonly labelsFor?: Pick<ModelSpec, 'classNames' | 'options'>;
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
  const { labelsFor } = options;
  const found = await openImageSource(path, {
    ...(split === undefined ? {} : { split }),
    ...(labelsFor === undefined ? {} : { classes: labelsFor.options.numClasses }),
  });
  const source = labelsFor === undefined ? found : labelledFor(found, labelsFor);
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
