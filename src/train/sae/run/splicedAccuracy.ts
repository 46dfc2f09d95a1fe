import * as tf from '@tensorflow/tfjs';
import { FactError } from '../../../core/errors.js';
import type { BatchLoader } from '../../../data/batchLoader.js';
import { type Compiled, compile } from '../../../engine/compile.js';
import { encodeConcepts } from '../../../explain/conceptProgram.js';
import type { Sae, TappedModel } from '../../../explain/sae.js';
import { decodeSparse } from '../../../layers/topKSae.js';
import { countCorrect } from '../../accuracy.js';
import type { AccuracyMeter } from './saeRun.js';

/** Images that are measured on, as a network wants them. */
export interface MeasuredImages {
  readonly loader: BatchLoader;
  /** [height, width] and batch size of the loader; a shorter last batch is filled up, the fill is not counted. */
  readonly imageSize: readonly [number, number];
  readonly batchSize: number;
}

type Splice = Compiled<[tf.Tensor, tf.Tensor2D, tf.Tensor2D], tf.Tensor>;

/**
 * Accuracy of a network whose features at a tap are replaced by what an autoencoder makes of them, in percent. Compiled
 * once: the autoencoder's weights are arguments, so that it can be measured again and again while it learns. Dispose it.
 */
export class SplicedAccuracy implements AccuracyMeter {
  private readonly lower: Compiled<[tf.Tensor4D], tf.Tensor>;
  private readonly upper: Compiled<[tf.Tensor], tf.Tensor2D>;
  /** The autoencoder in between, for one way of encoding. */
  private splice: { readonly key: string; readonly run: Splice } | null = null;

  /** Throws FactError E_TAP_UNKNOWN. */
  constructor(
    model: TappedModel,
    private readonly tap: string,
    private readonly images: MeasuredImages,
  ) {
    const options = { bake: true, independentRows: true } as const;
    const [below, above] = [model.segment(null, tap), model.segment(tap, null)];
    this.lower = compile((x: tf.Tensor4D) => below.apply(x, { training: false }) as tf.Tensor, {
      name: `features at ${tap}`,
      ...options,
    });
    this.upper = compile((f: tf.Tensor) => above.apply(f, { training: false }) as tf.Tensor2D, {
      name: `scores from ${tap}`,
      ...options,
    });
  }

  /** The compiled autoencoder: features [N, ..., C], encoder [K, C] and decoder [C, K] to the reconstruction. */
  private spliceOf(sae: Sae): Splice {
    const { encoder: _encoder, decoder: _decoder, meta: _meta, ...how } = sae;
    const key = JSON.stringify(how);
    if (this.splice?.key === key) return this.splice.run;
    this.splice?.run.dispose();
    const run: Splice = compile(
      (features: tf.Tensor, encoder: tf.Tensor2D, decoder: tf.Tensor2D) => {
        const code = encodeConcepts(features, { ...sae, encoder, decoder });
        return tf.reshape(decodeSparse(code, tf.transpose(decoder)), features.shape);
      },
      { name: `autoencoder at ${this.tap}` },
    );
    this.splice = { key, run };
    return run;
  }

  /**
   * Percentage of images that the spliced network gets right. Throws FactError E_DATA_EMPTY where none can be read, the
   * loader's errors, and the reason of an aborted signal.
   */
  async measure(sae: Sae, signal?: AbortSignal): Promise<number> {
    const { loader, batchSize, imageSize } = this.images;
    const [height, width] = imageSize;
    const splice = this.spliceOf(sae);
    let [correct, images] = [0, 0];
    for await (const batch of loader.epoch(0)) {
      signal?.throwIfAborted();
      const pixels = new Float32Array(batchSize * height * width * 3);
      pixels.set(batch.images);
      const input = tf.tensor4d(pixels, [batchSize, height, width, 3]);
      const features = await this.lower(input);
      const reconstruction = await splice(features, sae.encoder, sae.decoder);
      const scores = await this.upper(reconstruction);
      const values = (await scores.data()) as Float32Array;
      correct += countCorrect(values, batch.labels, scores.shape[1]);
      images += batch.size;
      tf.dispose([input, features, reconstruction, scores]);
    }
    if (images === 0) {
      throw new FactError({
        code: 'E_DATA_EMPTY',
        message: 'none of the images held out can be read',
        remedy: 'Check the data set, or hold out more images of each class.',
      });
    }
    return (100 * correct) / images;
  }

  dispose(): void {
    for (const program of [this.lower, this.upper, this.splice?.run]) program?.dispose();
  }
}
