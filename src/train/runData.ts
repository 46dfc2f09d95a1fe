import type { Augmentation } from '../data/augment.js';
import { BatchLoader } from '../data/batchLoader.js';
import { evaluationSplit, listSplits, openImageSource } from '../data/imageSource.js';
import { configError } from './config/errors.js';
import type { TrainConfig } from './config/schema.js';

/** The two halves of a run's data. Close it. */
export interface RunData {
  readonly train: BatchLoader;
  readonly val: BatchLoader;
  readonly classes: number;
  readonly classNames: readonly string[];
  readonly evalBatchSize: number;
  readonly warnings: readonly string[];
  close(): Promise<void>;
}

/** The loader's words for the recipe's augmentation. */
function augmentationOf(config: TrainConfig['data']): Augmentation {
  const { crop, padding, flip, scale, ratio } = config.augment;
  switch (crop) {
    case 'none':
      return flip ? { kind: 'padCrop', padding: 0, flip } : { kind: 'evaluation' };
    case 'pad':
      return { kind: 'padCrop', padding, flip };
    case 'resized':
      return { kind: 'resizedCrop', flip, scale, ratio };
  }
}

/** Opens the training and the validation split. Throws FactError E_CONFIG where no path is given, E_DATA_*. */
export async function openRunData(config: TrainConfig, dataDir: string | undefined): Promise<RunData> {
  const path = dataDir ?? config.data.path;
  if (path === null) {
    throw configError(
      'data.path',
      'no data set is given',
      'Add --data-dir FOLDER, or set data.path in the recipe.',
    );
  }
  const { batchSize, imageSize, workers, trainSplit, valSplit, evalResize } = config.data;
  const splits = listSplits(path);
  const trainSource = await openImageSource(path, splits.length > 0 ? { split: trainSplit } : {});
  const classes = trainSource.classNames.length;
  const split = valSplit ?? evaluationSplit(path);
  const valSource = await openImageSource(path, {
    classes,
    ...(splits.length > 0 && split ? { split } : {}),
  });
  const evalBatchSize = Math.min(config.data.evalBatchSize ?? batchSize, valSource.size);
  const train = new BatchLoader(trainSource, {
    batchSize,
    seed: config.seed,
    imageSize,
    augmentation: augmentationOf(config.data),
    shuffle: true,
    dropLast: true,
    workers,
  });
  const val = new BatchLoader(valSource, {
    batchSize: evalBatchSize,
    seed: config.seed,
    imageSize,
    augmentation: evalResize === null ? { kind: 'evaluation' } : { kind: 'evaluation', resize: evalResize },
    workers: 1,
  });
  return {
    train,
    val,
    classes,
    classNames: trainSource.classNames,
    evalBatchSize,
    warnings: [...new Set([...trainSource.warnings, ...valSource.warnings])],
    close: async () => {
      await train.close();
      await val.close();
    },
  };
}
