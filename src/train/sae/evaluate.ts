import * as tf from '@tensorflow/tfjs';
import { type Progress, silentProgress } from '../../core/progress.js';
import type { BatchLoader } from '../../data/batchLoader.js';
import { compile } from '../../engine/compile.js';
import { contributeToTarget, encodeConcepts } from '../../explain/conceptProgram.js';
import { networkPart } from '../../explain/networkPart.js';
import { matchSae, type Sae, type TappedModel } from '../../explain/sae.js';
import { decodeSparse } from '../../layers/topKSae.js';
import { countCorrect } from '../accuracy.js';
import { ContributionStats, type ContributionSummary } from './contributionStats.js';
import { VarianceSums } from './metrics.js';

/** What splicing an autoencoder does to a network on a labelled data set. Accuracies and shares in percent. */
export interface SaeEvaluation {
  readonly images: number;
  /** The network as it is. */
  readonly top1: number;
  readonly top5: number;
  /** The network with its features replaced by their reconstruction. */
  readonly splicedTop1: number;
  readonly splicedTop5: number;
  /** Images whose predicted class stays the same. */
  readonly agreement: number;
  /** Active concepts per position, mean. */
  readonly l0: number;
  /** Different concepts per image, mean. */
  readonly imageL0: number;
  /** Concepts that are active nowhere in the data set, and their share of all. */
  readonly dead: number;
  readonly deadShare: number;
  /** Share of the features' variance that the reconstruction explains; null where they do not vary. */
  readonly varianceExplained: number | null;
  /** Contributions to the class that the spliced network predicts. */
  readonly contributions: ContributionSummary;
}

type Outputs = {
  readonly logits: tf.Tensor2D;
  readonly spliced: tf.Tensor2D;
  readonly features: tf.Tensor;
  readonly residual: tf.Tensor;
  readonly values: tf.Tensor;
  readonly indices: tf.Tensor;
  readonly contributions: tf.Tensor;
};

export interface SaeEvaluationOptions {
  /** [height, width] and batch size of the loader; a shorter last batch is filled up, the fill is not counted. */
  readonly imageSize: readonly [number, number];
  readonly batchSize: number;
  readonly progress?: Progress;
  readonly signal?: AbortSignal;
}

/** Index of the largest of `count` values from `start` on. */
function argMax(values: ArrayLike<number>, start: number, count: number): number {
  let best = start;
  for (let i = start + 1; i < start + count; i++) if (values[i] > values[best]) best = i;
  return best - start;
}

/** Counts over the codes of images: active pairs, concepts per image, which concepts ever fired. */
class CodeCounts {
  private active = 0;
  private positions = 0;
  private perImage = 0;
  private images = 0;
  private readonly ever: Uint8Array;

  constructor(private readonly latents: number) {
    this.ever = new Uint8Array(latents);
  }

  addImage(values: Float32Array, indices: Int32Array, k: number): void {
    const seen = new Set<number>();
    for (let i = 0; i < values.length; i++) {
      if (values[i] <= 0) continue;
      this.active++;
      seen.add(indices[i]);
    }
    for (const j of seen) this.ever[j] = 1;
    this.positions += values.length / k;
    this.perImage += seen.size;
    this.images++;
  }

  result(): Pick<SaeEvaluation, 'l0' | 'imageL0' | 'dead' | 'deadShare'> {
    const dead = this.ever.filter((fired) => fired === 0).length;
    return {
      l0: this.active / this.positions,
      imageL0: this.perImage / this.images,
      dead,
      deadShare: (100 * dead) / this.latents,
    };
  }
}

/**
 * Runs the loader's images through the network with and without the autoencoder at its tap.
 * Throws FactError E_SAE_MISMATCH, the loader's errors, and the reason of an aborted signal.
 */
export async function evaluateSae(
  model: TappedModel,
  sae: Sae,
  loader: BatchLoader,
  options: SaeEvaluationOptions,
): Promise<SaeEvaluation> {
  matchSae(model, sae);
  const { batchSize, progress = silentProgress, signal } = options;
  const [height, width] = options.imageSize;
  const lower = model.segment(null, sae.tap);
  const upper = model.segment(sae.tap, null);
  const explained = networkPart(upper);
  const rows = tf.transpose(sae.decoder);
  const step = compile(
    (images: tf.Tensor4D): Outputs => {
      const features = lower.apply(images, { training: false }) as tf.Tensor;
      const code = encodeConcepts(features, sae);
      const reconstruction = tf.reshape(decodeSparse(code, rows), features.shape);
      const spliced = upper.apply(reconstruction, { training: false }) as tf.Tensor2D;
      const predicted = tf.oneHot(spliced.argMax(1) as tf.Tensor1D, spliced.shape[1]);
      const target = tf.cast(predicted, 'float32') as tf.Tensor2D;
      return {
        logits: upper.apply(features, { training: false }) as tf.Tensor2D,
        spliced,
        features,
        residual: tf.sub(features, reconstruction),
        ...code,
        contributions: contributeToTarget(explained, sae, code, reconstruction, target),
      };
    },
    { name: 'autoencoder evaluation', bake: true },
  );
  const counts = new CodeCounts(sae.latents);
  const stats = new ContributionStats(sae.latents);
  const variance = new VarianceSums(sae.channels);
  const correct = { top1: 0, top5: 0, splicedTop1: 0, splicedTop5: 0, agreement: 0 };
  let images = 0;
  try {
    for await (const batch of loader.epoch(0)) {
      signal?.throwIfAborted();
      const pixels = new Float32Array(batchSize * height * width * 3);
      pixels.set(batch.images);
      const input = tf.tensor4d(pixels, [batchSize, height, width, 3]);
      const outputs = await step(input);
      const classes = outputs.logits.shape[1];
      const { logits: l, spliced: s, features: f, residual: r, values: v, contributions: c } = outputs;
      const [logits, spliced, features, residual, values, contributions] = (await Promise.all(
        [l, s, f, r, v, c].map((t) => t.data()),
      )) as Float32Array[];
      const indices = (await outputs.indices.data()) as Int32Array;
      tf.dispose([input, outputs]);
      const share = (array: { length: number }) => array.length / batchSize;
      variance.add(
        features.subarray(0, batch.size * share(features)),
        residual.subarray(0, batch.size * share(residual)),
      );
      for (let i = 0; i < batch.size; i++) {
        const [from, to] = [i * share(values), (i + 1) * share(values)];
        counts.addImage(values.subarray(from, to), indices.subarray(from, to), sae.k);
        stats.add(contributions.subarray(i * sae.latents, (i + 1) * sae.latents));
        const same = argMax(logits, i * classes, classes) === argMax(spliced, i * classes, classes);
        if (same) correct.agreement++;
      }
      correct.top1 += countCorrect(logits, batch.labels, classes);
      correct.top5 += countCorrect(logits, batch.labels, classes, 5);
      correct.splicedTop1 += countCorrect(spliced, batch.labels, classes);
      correct.splicedTop5 += countCorrect(spliced, batch.labels, classes, 5);
      images += batch.size;
      progress.update(images);
    }
  } finally {
    step.dispose();
    rows.dispose();
  }
  const percent = (count: number) => (100 * count) / images;
  return {
    images,
    top1: percent(correct.top1),
    top5: percent(correct.top5),
    splicedTop1: percent(correct.splicedTop1),
    splicedTop5: percent(correct.splicedTop5),
    agreement: percent(correct.agreement),
    ...counts.result(),
    varianceExplained: variance.explained(),
    contributions: stats.result(),
  };
}
