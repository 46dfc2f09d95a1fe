import { type Progress, silentProgress } from '../../../core/progress.js';
import type { BatchLoader } from '../../../data/batchLoader.js';
import type { TappedModel } from '../../../explain/sae.js';
import type { FeatureSink, FeatureSource } from './featureSource.js';
import type { PositionChoice } from './sampling.js';
import { TapReader, tapSizes } from './tapReader.js';

export { type PositionChoice, positionsPerImage } from './sampling.js';
export { positionWeights } from './tapReader.js';

export interface CollectOptions {
  readonly tap: string;
  readonly positions: PositionChoice;
  readonly seed: number;
  /** [height, width] of the loader's images. */
  readonly imageSize: readonly [number, number];
  /** Images per batch of the loader: shorter batches are filled up, so that one graph serves all. */
  readonly batchSize: number;
  /** Numbers in the data set of the loader's pictures, where it holds only some: the draw of positions goes by them. */
  readonly samples?: Uint32Array;
  readonly progress?: Progress;
  readonly signal?: AbortSignal;
}

/** Rows that a data set gives, broken images apart. */
export function expectedRows(
  model: TappedModel,
  images: number,
  size: readonly [number, number],
  options: Pick<CollectOptions, 'tap' | 'positions'>,
): number {
  return images * tapSizes(model, [options], size)[0].kept;
}

/**
 * Runs the images of the loader's first epoch through the network and gives the chosen rows to the sink, image by
 * image in the loader's order. Throws FactError E_TAP_UNKNOWN and the loader's and the sink's errors; with an aborted
 * signal the signal's reason.
 */
export async function collectFeatures(
  model: TappedModel,
  loader: BatchLoader,
  sink: FeatureSink,
  options: CollectOptions,
): Promise<FeatureSource> {
  const { tap, positions, seed, batchSize, imageSize, samples, progress = silentProgress, signal } = options;
  const reader = new TapReader(model, [{ tap, positions }], { imageSize, batchSize, seed });
  let images = 0;
  try {
    for await (const batch of loader.epoch(0)) {
      signal?.throwIfAborted();
      const [rows] = await reader.read(
        samples === undefined ? batch : { ...batch, samples: batch.samples.map((i) => samples[i]) },
      );
      await sink.append(rows.values);
      images += batch.size;
      progress.update(images);
    }
  } finally {
    reader.dispose();
  }
  return sink.finish();
}
