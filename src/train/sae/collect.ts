/*
 * Features of a tap over a data set, as FaCT collects them: per image the weight of a position is
 * |sum over channels of gradient x feature|, gradient of the predicted logit in explanation mode; a number of positions
 * is drawn without replacement in proportion to it (sampling.ts). With all positions no gradient is needed.
 */
import * as tf from '@tensorflow/tfjs';
import { type Progress, silentProgress } from '../../core/progress.js';
import { Random } from '../../core/random.js';
import type { BatchLoader } from '../../data/batchLoader.js';
import { compile } from '../../engine/compile.js';
import { type TappedModel, tapChannels } from '../../explain/sae.js';
import type { FeatureSink, FeatureSource } from './featureSource.js';
import { drawPositions, exponentialVariates, positionBudget } from './sampling.js';

/** Stream of the draws, beside the seed and the number of the image. */
const DRAW_STREAM = 0x5ae;

/** `all`: every position; `budget`: FaCT's 72 * 512 floats per image; a number: so many, at most all. */
export type PositionChoice = 'all' | 'budget' | number;

export interface CollectOptions {
  readonly tap: string;
  readonly positions: PositionChoice;
  readonly seed: number;
  /** [height, width] of the loader's images. */
  readonly imageSize: readonly [number, number];
  /** Images per batch of the loader: shorter batches are filled up, so that one graph serves all. */
  readonly batchSize: number;
  readonly progress?: Progress;
  readonly signal?: AbortSignal;
}

type Tapped = { readonly features: tf.Tensor3D; readonly weights: tf.Tensor2D };

/** Positions kept per image. */
export function positionsPerImage(choice: PositionChoice, channels: number, positions: number): number {
  if (choice === 'all') return positions;
  return choice === 'budget' ? positionBudget(channels, positions) : Math.min(choice, positions);
}

/** Features [N, ..., C] with positions flattened [N, P, C]. */
function flatten(features: tf.Tensor): tf.Tensor3D {
  return tf.reshape(features, [features.shape[0], -1, features.shape[features.rank - 1]]) as tf.Tensor3D;
}

/**
 * Weights of the positions: |sum over channels of feature times gradient of the predicted logit|, in explanation mode.
 * features [N, ..., C], `upper` maps them to logits -> [N, P].
 */
export function positionWeights(features: tf.Tensor, upper: (f: tf.Tensor) => tf.Tensor): tf.Tensor2D {
  return tf.tidy(() => {
    const gradient = tf.grad((f: tf.Tensor) => tf.sum(tf.max(upper(f), -1)))(features);
    return tf.abs(tf.sum(flatten(tf.mul(features, gradient)), -1)) as tf.Tensor2D;
  });
}

function tappedFunction(model: TappedModel, tap: string, isWeighted: boolean) {
  const lower = model.segment(null, tap);
  const upper = model.segment(tap, null);
  return (images: tf.Tensor4D): Tapped => {
    const features = lower.apply(images, { training: false, explain: true }) as tf.Tensor;
    const flat = flatten(features);
    const weights = isWeighted
      ? positionWeights(features, (f) => upper.apply(f, { training: false, explain: true }) as tf.Tensor)
      : (tf.zeros([1, 1]) as tf.Tensor2D);
    return { features: flat, weights };
  };
}

/** Positions of a tap for images of a size. */
function positionsAt(model: TappedModel, tap: string, size: readonly [number, number]): number {
  const shape = model.segment(null, tap).computeOutputShape([1, ...size, 3]) as number[];
  return shape.slice(1, -1).reduce((product, d) => product * d, 1);
}

/** Rows that a data set gives, broken images apart. */
export function expectedRows(
  model: TappedModel,
  images: number,
  size: readonly [number, number],
  options: Pick<CollectOptions, 'tap' | 'positions'>,
): number {
  const positions = positionsAt(model, options.tap, size);
  return images * positionsPerImage(options.positions, tapChannels(model, options.tap), positions);
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
  const { tap, seed, batchSize, imageSize, progress = silentProgress, signal } = options;
  const [height, width] = imageSize;
  const channels = tapChannels(model, tap);
  const positions = positionsAt(model, tap, imageSize);
  const kept = positionsPerImage(options.positions, channels, positions);
  const isWeighted = kept < positions;
  const step = compile(tappedFunction(model, tap, isWeighted), { name: `features at ${tap}`, bake: true });
  let image = 0;
  try {
    for await (const batch of loader.epoch(0)) {
      signal?.throwIfAborted();
      const pixels = new Float32Array(batchSize * height * width * 3);
      pixels.set(batch.images);
      const images = tf.tensor4d(pixels, [batchSize, height, width, 3]);
      const result = await step(images);
      const features = (await result.features.data()) as Float32Array;
      const weights = (await result.weights.data()) as Float32Array;
      tf.dispose([images, result]);
      const rows = new Float32Array(batch.size * kept * channels);
      for (let i = 0; i < batch.size; i++, image++) {
        const own = features.subarray(i * positions * channels, (i + 1) * positions * channels);
        if (!isWeighted) {
          rows.set(own, i * kept * channels);
          continue;
        }
        const variates = exponentialVariates(new Random(seed, DRAW_STREAM, image), positions);
        const drawn = drawPositions(weights.subarray(i * positions, (i + 1) * positions), variates, kept);
        drawn.forEach((position, j) => {
          const from = own.subarray(position * channels, (position + 1) * channels);
          rows.set(from, (i * kept + j) * channels);
        });
      }
      await sink.append(rows);
      progress.update(image);
    }
  } finally {
    step.dispose();
  }
  return sink.finish();
}
