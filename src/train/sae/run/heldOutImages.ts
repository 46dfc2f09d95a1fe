import { FactError } from '../../../core/errors.js';
import { BatchLoader } from '../../../data/batchLoader.js';
import { brokenLimitOf } from '../../../data/brokenLimit.js';
import { labelledFor } from '../../../data/classLabels.js';
import { type ImageSource, listSplits, openImageSource, type Split } from '../../../data/imageSource.js';
import { subset } from '../../../data/subset.js';
import type { ModelSpec } from '../../../models/spec.js';
import { holdOut } from '../features/holdOut.js';
import type { MeasuredImages } from './splicedAccuracy.js';

export interface HeldOutRequest {
  /** Split that was trained on. Ignored where the data set is not divided. */
  readonly split: Split;
  /** Number of each class, drawn as training did; or the images by their keys. */
  readonly which: number | readonly string[];
  readonly imageBatch: number;
  readonly workers: number;
}

/** A data set's pictures in the split of a recipe. Caller closes. Throws FactError E_DATA_*. */
export function openSplit(path: string, split: Split): Promise<ImageSource> {
  return openImageSource(path, listSplits(path).length === 0 ? {} : { split });
}

/** Numbers of the pictures with these keys. Throws FactError E_DATA_CHANGED where one is missing. */
function numbersOf(source: ImageSource, keys: readonly string[], path: string): Uint32Array {
  const wanted = new Set(keys);
  const numbers = Uint32Array.from({ length: source.size }, (_, i) => i).filter((i) =>
    wanted.has(source.key(i)),
  );
  if (numbers.length === wanted.size) return numbers;
  throw new FactError({
    code: 'E_DATA_CHANGED',
    message: `${path}: ${wanted.size - numbers.length} of the ${wanted.size} images that were held out are not there`,
    remedy: 'Give the data set and split that the features were taken from.',
  });
}

/**
 * The images that training held out, as a network wants them; null where none were. Caller closes.
 * Throws FactError E_DATA_*.
 */
export async function openHeldOut(
  path: string,
  spec: ModelSpec,
  { split, which, imageBatch, workers }: HeldOutRequest,
): Promise<(MeasuredImages & { close(): Promise<void> }) | null> {
  const source = await openSplit(path, split);
  const samples = typeof which === 'number' ? holdOut(source, which).heldOut : numbersOf(source, which, path);
  if (samples.length === 0) {
    source.close();
    return null;
  }
  const { preprocessing } = spec;
  const imageSize: [number, number] = [...preprocessing.crop];
  const batchSize = Math.min(imageBatch, samples.length);
  const loader = new BatchLoader(subset(labelledFor(source, spec), samples), {
    batchSize,
    seed: 0,
    imageSize,
    augmentation: { kind: 'evaluation', resize: preprocessing.resize },
    workers,
    brokenLimit: brokenLimitOf(source.size),
  });
  const close = async (): Promise<void> => {
    await loader.close();
    source.close();
  };
  return { loader, imageSize, batchSize, close };
}
