import * as tf from '@tensorflow/tfjs';
import type { Progress } from '../core/progress.js';
import { silentProgress } from '../core/progress.js';
import type { Batch } from '../data/batchLoader.js';
import { type Compiled, compile } from '../engine/compile.js';
import { countCorrect } from './accuracy.js';
import { type LossFunction, rowLosses } from './losses/losses.js';
import { oneHot } from './mixing.js';

/** Result of a pass over a labelled data set; accuracies in percent. */
export interface Evaluation {
  readonly images: number;
  readonly loss: number;
  readonly top1: number;
  readonly top5: number;
}

type Outputs = { readonly logits: tf.Tensor; readonly losses: tf.Tensor };

/** Forward pass in evaluation mode with the loss of each image; compiled once. Dispose it. */
export class Evaluator {
  private readonly forward: Compiled<[tf.Tensor4D, tf.Tensor2D], Outputs>;

  /** @param bake weights as constants: faster, for a network that does not change any more */
  constructor(
    network: tf.LayersModel,
    loss: LossFunction,
    private readonly classes: number,
    bake = false,
  ) {
    this.forward = compile(
      (images: tf.Tensor4D, targets: tf.Tensor2D) => {
        const logits = network.apply(images, { training: false }) as tf.Tensor2D;
        return { logits, losses: rowLosses(loss, logits, targets) };
      },
      { name: 'evaluation', bake },
    );
  }

  /**
   * Loss and accuracies over the batches. A last batch that is not full is filled up with zeros, so that one graph
   * serves all; the fill is not counted. Sums in float64.
   * @param stop ends early after the batch where it returns true
   */
  async run(
    batches: AsyncIterable<Batch>,
    shape: readonly [batch: number, height: number, width: number],
    options: { readonly progress?: Progress; readonly stop?: () => boolean } = {},
  ): Promise<Evaluation> {
    const [size, height, width] = shape;
    const progress = options.progress ?? silentProgress;
    let images = 0;
    let loss = 0;
    let correct1 = 0;
    let correct5 = 0;
    for await (const batch of batches) {
      const { logits, losses } = await this.batch(batch, [size, height, width]);
      for (let i = 0; i < batch.size; i++) loss += losses[i];
      correct1 += countCorrect(logits, batch.labels, this.classes);
      correct5 += countCorrect(logits, batch.labels, this.classes, 5);
      images += batch.size;
      progress.update(images);
      if (options.stop?.()) break;
    }
    const percent = (count: number): number => (100 * count) / images;
    return { images, loss: loss / images, top1: percent(correct1), top5: percent(correct5) };
  }

  dispose(): void {
    this.forward.dispose();
  }

  private async batch(
    batch: Batch,
    [size, height, width]: readonly [number, number, number],
  ): Promise<{ logits: ArrayLike<number>; losses: ArrayLike<number> }> {
    const labels = new Int32Array(size);
    labels.set(batch.labels);
    let pixels: Float32Array = batch.images;
    if (batch.size < size) {
      pixels = new Float32Array(size * height * width * 3);
      pixels.set(batch.images);
    }
    const images = tf.tensor4d(pixels, [size, height, width, 3], 'float32');
    const targets = tf.tensor2d(oneHot(labels, this.classes), [size, this.classes], 'float32');
    try {
      const outputs = await this.forward(images, targets);
      const [logits, losses] = await Promise.all([outputs.logits.data(), outputs.losses.data()]);
      tf.dispose([outputs.logits, outputs.losses]);
      return { logits, losses };
    } finally {
      tf.dispose([images, targets]);
    }
  }
}
