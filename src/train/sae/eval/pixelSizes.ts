/*
 * Spatial size by pixels, as FaCT counts it: the fewest pixels that hold 80 % of the positive pixel contributions to a
 * concept's presence. One backward pass through the network below the tap for each concept and image, so it is taken of
 * a sample: images evenly spaced over the data set, and of each the concepts that contribute most to the predicted class.
 */
import * as tf from '@tensorflow/tfjs';
import { compile } from '../../../engine/compile.js';
import { pixelsToReach } from '../../../explain/c2.js';
import { encodeConcepts, mapConcepts } from '../../../explain/conceptProgram.js';
import type { PassImage } from '../../../explain/concepts/pass.js';
import { networkPart } from '../../../explain/networkPart.js';
import { runPart } from '../../../explain/parts.js';
import type { Sae, TappedModel } from '../../../explain/sae.js';
import type { SaeEvaluation } from './evaluationSchema.js';
import { restoreInto, type SavedNumbers } from './statistic.js';

/** Tap at which the image has its six channels: pixels are attributed there. */
const INPUT_TAP = 'input';

/** Whether a picture is one of `wanted` evenly spaced ones of `size`. */
export function isSampled(sample: number, size: number, wanted: number): boolean {
  const share = Math.min(1, wanted / size);
  return Math.floor((sample + 1) * share + 1e-9) > Math.floor(sample * share + 1e-9);
}

/** Numbers of the `count` largest positive contributions, largest first, ties by number. */
export function topConcepts(contributions: ArrayLike<number>, count: number): number[] {
  const positive: number[] = [];
  for (let c = 0; c < contributions.length; c++) if (contributions[c] > 0) positive.push(c);
  return positive.sort((a, b) => contributions[b] - contributions[a] || a - b).slice(0, count);
}

/** Holds a compiled program: dispose it. */
export class PixelSizes {
  private readonly maps;
  private readonly sums: Float64Array;
  private readonly images: Float64Array;
  /** Images; pairs of image and concept; sum of sizes and of their squares; pairs without positive pixels. */
  private readonly scalars = new Float64Array(5);

  /** @param concepts of each image */
  constructor(
    model: TappedModel,
    sae: Sae,
    private readonly imageSize: readonly [number, number],
    private readonly concepts: number,
  ) {
    const encode = networkPart(model.segment(null, INPUT_TAP));
    const lower = networkPart(model.segment(INPUT_TAP, sae.tap));
    this.sums = new Float64Array(sae.latents);
    this.images = new Float64Array(sae.latents);
    this.maps = compile(
      (image: tf.Tensor4D, ids: tf.Tensor2D): tf.Tensor4D =>
        tf.tidy(() => {
          const x = runPart(encode, image) as tf.Tensor4D;
          const code = encodeConcepts(runPart(lower, x), sae);
          return mapConcepts(lower, sae, x, code, ids).maps;
        }),
      { name: `pixel maps of concepts at ${sae.tap}`, bake: true },
    );
  }

  /** @param pixels [H, W, 3] of that image */
  async add({ contributions }: Pick<PassImage, 'contributions'>, pixels: Float32Array): Promise<void> {
    const chosen = topConcepts(contributions, this.concepts);
    if (chosen.length === 0) return;
    // Filled up with the first, so that one graph serves all; the fill is not counted.
    const ids = Int32Array.from({ length: this.concepts }, (_, i) => chosen[i] ?? chosen[0]);
    const inputs = [
      tf.tensor4d(pixels, [1, ...this.imageSize, 3]),
      tf.tensor2d(ids, [1, ids.length], 'int32'),
    ] as const;
    const maps = await this.maps(...inputs);
    const values = (await maps.data()) as Float32Array;
    tf.dispose([...inputs, maps]);
    const s = this.scalars;
    s[0]++;
    const size = this.imageSize[0] * this.imageSize[1];
    for (const [i, concept] of chosen.entries()) {
      const pixelsNeeded = pixelsToReach(values.subarray(i * size, (i + 1) * size));
      if (pixelsNeeded === 0) {
        s[4]++;
        continue;
      }
      s[1]++;
      s[2] += pixelsNeeded;
      s[3] += pixelsNeeded * pixelsNeeded;
      this.sums[concept] += pixelsNeeded;
      this.images[concept]++;
    }
  }

  save(): SavedNumbers {
    return { 'pixels.sums': this.sums, 'pixels.images': this.images, 'pixels.scalars': this.scalars };
  }

  restore(saved: SavedNumbers): void {
    restoreInto(this.save(), saved);
  }

  /** Null where no image of the sample has a concept that contributes. */
  result(): SaeEvaluation['spatial']['pixels'] {
    const [images, pairs, sum, squares] = Array.from(this.scalars);
    if (pairs === 0) return null;
    const size = this.imageSize[0] * this.imageSize[1];
    const mean = sum / pairs;
    return {
      images,
      conceptsPerImage: this.concepts,
      pairs,
      meanPixels: mean,
      deviationPixels: pairs > 1 ? Math.sqrt(Math.max(0, squares - sum * mean) / (pairs - 1)) : null,
      meanPercent: (100 * mean) / size,
      imagePixels: size,
    };
  }

  /** Mean pixels of each concept of the sample, null for the others: [latents]. */
  sizes(): (number | null)[] {
    return Array.from(this.sums, (sum, c) => (this.images[c] > 0 ? sum / this.images[c] : null));
  }

  dispose(): void {
    this.maps.dispose();
  }
}
