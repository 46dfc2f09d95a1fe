/*
 * Features of images at any number of taps, as FaCT collects them, from one compiled pass over the network. Per image
 * the weight of a position is |sum over channels of gradient x feature|, gradient of the predicted logit in explanation
 * mode; a number of positions is drawn without replacement in proportion to it (sampling.ts). One backward pass gives
 * the gradients at all taps; where every position is kept none is needed.
 */
import * as tf from '@tensorflow/tfjs';
import { Random } from '../../../core/random.js';
import type { Batch } from '../../../data/batchLoader.js';
import { compile } from '../../../engine/compile.js';
import { type TappedModel, tapChannels } from '../../../explain/sae.js';
import { drawPositions, exponentialVariates, type PositionChoice, positionsPerImage } from './sampling.js';

/** Stream of the draws, beside the seed and the number of the image. */
const DRAW_STREAM = 0x5ae;

export interface TapRequest {
  readonly tap: string;
  readonly positions: PositionChoice;
}

/** What a reader gives at one tap. */
export interface TapSize {
  /** The network's own name of it. */
  readonly tap: string;
  readonly channels: number;
  /** Positions of an image, and how many of them are kept. */
  readonly positions: number;
  readonly kept: number;
}

/** Chosen rows of a batch at one tap, image by image, in the order in which they were drawn. */
export interface TapRows {
  /** [images * kept, channels] */
  readonly values: Float32Array;
  /** [images * kept], number of the position within its image, row by row. */
  readonly positions: Int32Array;
}

export interface TapReaderOptions {
  /** [height, width] of the images. */
  readonly imageSize: readonly [number, number];
  /** Most images of a batch: shorter batches are filled up, so that one graph serves all. */
  readonly batchSize: number;
  readonly seed: number;
}

/** The sizes at taps for images of a size, in the order of the requests. Throws FactError E_TAP_UNKNOWN. */
export function tapSizes(
  model: TappedModel,
  requests: readonly TapRequest[],
  imageSize: readonly [number, number],
): TapSize[] {
  return requests.map((request) => {
    const channels = tapChannels(model, request.tap);
    const shape = model.segment(null, request.tap).computeOutputShape([1, ...imageSize, 3]) as number[];
    const positions = shape.slice(1, -1).reduce((product, d) => product * d, 1);
    const kept = positionsPerImage(request.positions, channels, positions);
    return { tap: stageName(model, request.tap), channels, positions, kept };
  });
}

/** The network's own name of a tap that may be given with the prefix of the reference's wrapper. */
function stageName(model: TappedModel, tap: string): string {
  return model.stageNames.includes(tap) ? tap : tap.replace(/^0\./, '');
}

/** Features [N, ..., C] with positions flattened [N, P, C]. */
function flatten(features: tf.Tensor): tf.Tensor3D {
  return tf.reshape(features, [features.shape[0], -1, features.shape[features.rank - 1]]) as tf.Tensor3D;
}

/** |sum over channels of feature x gradient|: both [N, ..., C] -> [N, P]. */
function weigh(features: tf.Tensor, gradient: tf.Tensor): tf.Tensor2D {
  return tf.tidy(() => tf.abs(tf.sum(flatten(tf.mul(features, gradient)), -1)) as tf.Tensor2D);
}

/**
 * Weights of the positions: |sum over channels of feature times gradient of the predicted logit|, in explanation mode.
 * features [N, ..., C], `upper` maps them to logits -> [N, P].
 */
export function positionWeights(features: tf.Tensor, upper: (f: tf.Tensor) => tf.Tensor): tf.Tensor2D {
  return tf.tidy(() => {
    const gradient = tf.grad((f: tf.Tensor) => tf.sum(tf.max(upper(f), -1)))(features);
    return weigh(features, gradient);
  });
}

/** Lets features through unchanged; on the way back, `onWeights` is given the weights of their positions. */
function probe(features: tf.Tensor, onWeights: (weights: tf.Tensor2D) => void): tf.Tensor {
  return tf.customGrad((f, save) => {
    (save as tf.GradSaveFunc)([f as tf.Tensor]);
    return {
      value: (f as tf.Tensor).clone(),
      gradFunc: (gradient, saved) => {
        onWeights(tf.keep(weigh(saved[0], gradient)));
        return gradient;
      },
    };
  })(features);
}

type Outputs = {
  /** [N, P, C] of each tap */
  readonly features: readonly tf.Tensor3D[];
  /** [N, P] of each tap that draws. */
  readonly weights: readonly tf.Tensor2D[];
};

/** Images -> features at all taps (in the order of the network), and weights at those that draw. */
function tapProgram(model: TappedModel, taps: readonly TapSize[]): (images: tf.Tensor4D) => Outputs {
  const part = (from: string | null, to: string | null) => {
    const segment = model.segment(from, to);
    return (x: tf.Tensor) => segment.apply(x, { training: false, explain: true }) as tf.Tensor;
  };
  const parts = taps.map(({ tap }, i) => part(i === 0 ? null : taps[i - 1].tap, tap));
  const first = taps.findIndex(draws);
  const head = first < 0 ? null : part(taps[taps.length - 1].tap, null);
  return (images) => {
    const features: tf.Tensor[] = [];
    const below = first < 0 ? taps.length : first + 1;
    for (let i = 0; i < below; i++) features.push(parts[i](i === 0 ? images : features[i - 1]));
    if (head === null) return { features: features.map(flatten), weights: [] };
    // The features above come out of the function that is differentiated; its results are kept past its own tidy.
    const weights = new Map<number, tf.Tensor2D>();
    const above: tf.Tensor[] = [];
    const logit = (lowest: tf.Tensor): tf.Scalar => {
      let f = probe(lowest, (w) => weights.set(first, w));
      for (let i = first + 1; i < taps.length; i++) {
        f = parts[i](f);
        above.push(tf.keep(f.clone()));
        if (draws(taps[i])) f = probe(f, (w) => weights.set(i, w));
      }
      return tf.sum(tf.max(head(f), -1));
    };
    tf.dispose(tf.grad(logit)(features[first]));
    const release = <T extends tf.Tensor>(kept: T): T => {
      const own = kept.clone() as T;
      kept.dispose();
      return own;
    };
    return {
      features: [...features, ...above.map(release)].map(flatten),
      weights: [...weights].sort(([a], [b]) => a - b).map(([, w]) => release(w)),
    };
  };
}

function draws({ kept, positions }: TapSize): boolean {
  return kept < positions;
}

/** Reads chosen rows at taps of a network, batch by batch. Dispose it: it holds a graph. */
export class TapReader {
  /** In the order of the requests. */
  readonly taps: readonly TapSize[];
  /** Places of the taps within the network's order, and of the weights of those that draw. */
  private readonly order: readonly number[];
  private readonly step;

  /** Throws FactError E_TAP_UNKNOWN. */
  constructor(
    model: TappedModel,
    requests: readonly TapRequest[],
    private readonly options: TapReaderOptions,
  ) {
    this.taps = tapSizes(model, requests, options.imageSize);
    const depth = (tap: TapSize) => model.stageNames.indexOf(tap.tap);
    this.order = this.taps.map((_, i) => i).sort((a, b) => depth(this.taps[a]) - depth(this.taps[b]));
    const sorted = this.order.map((i) => this.taps[i]);
    this.step = compile(tapProgram(model, sorted), {
      name: `features at ${sorted.map(({ tap }) => tap).join(', ')}`,
      bake: true,
      independentRows: true,
    });
  }

  /**
   * Rows of a batch at each tap, in the order of `taps`. The draw depends on the seed and the number of the sample
   * alone. Calls may overlap: while one computes, the results of another are drawn from.
   */
  async read(batch: Batch): Promise<readonly TapRows[]> {
    const { batchSize, imageSize } = this.options;
    const [height, width] = imageSize;
    let pixels = batch.images;
    if (batch.size < batchSize) {
      pixels = new Float32Array(batchSize * height * width * 3);
      pixels.set(batch.images);
    }
    const images = tf.tensor4d(pixels, [batchSize, height, width, 3]);
    const outputs = await this.step(images).finally(() => images.dispose());
    try {
      const rows = new Map<number, TapRows>();
      let drawing = 0;
      for (const [place, i] of this.order.entries()) {
        const tap = this.taps[i];
        const features = (await outputs.features[place].data()) as Float32Array;
        const weights = draws(tap) ? ((await outputs.weights[drawing++].data()) as Float32Array) : null;
        rows.set(i, this.choose(tap, batch, features, weights));
      }
      return this.taps.map((_, i) => rows.get(i) as TapRows);
    } finally {
      tf.dispose([...outputs.features, ...outputs.weights]);
    }
  }

  private choose(
    { positions, channels, kept }: TapSize,
    batch: Batch,
    features: Float32Array,
    weights: Float32Array | null,
  ): TapRows {
    const chosen = new Int32Array(batch.size * kept);
    if (weights === null) {
      for (let i = 0; i < chosen.length; i++) chosen[i] = i % positions;
      return { values: features.slice(0, chosen.length * channels), positions: chosen };
    }
    const values = new Float32Array(chosen.length * channels);
    for (let i = 0; i < batch.size; i++) {
      const random = new Random(this.options.seed, DRAW_STREAM, batch.samples[i]);
      const own = weights.subarray(i * positions, (i + 1) * positions);
      const drawn = drawPositions(own, exponentialVariates(random, positions), kept);
      chosen.set(drawn, i * kept);
      for (let j = 0; j < kept; j++) {
        const from = (i * positions + drawn[j]) * channels;
        values.set(features.subarray(from, from + channels), (i * kept + j) * channels);
      }
    }
    return { values, positions: chosen };
  }

  dispose(): void {
    this.step.dispose();
  }
}
