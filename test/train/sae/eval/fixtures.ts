import { Random } from '../../../../src/core/random.js';
import type { PassImage } from '../../../../src/explain/concepts/pass.js';

export interface RandomPass {
  readonly images: PassImage[];
  /** Row-major [images, latents]. */
  readonly contributions: Float32Array;
  readonly presence: Float32Array;
}

/**
 * Images as a pass gives them, of random numbers: at every position up to `width` of `latents` concepts, two concepts in
 * nearly all images, some in none; images 0, 7, 14, ... without a positive contribution if `isHard`.
 */
export function randomPass(
  seed: number,
  size: {
    images: number;
    latents: number;
    positions?: number;
    width?: number;
    classes?: number;
    channels?: number;
  },
  isHard = true,
): RandomPass {
  const { images, latents, positions = 9, width = 3, classes = 4, channels = 5 } = size;
  const random = new Random(seed);
  const contributions = new Float32Array(images * latents);
  const presence = new Float32Array(images * latents);
  const rows = (): Float32Array =>
    Float32Array.from({ length: positions * channels }, () => random.normal() + 1);
  const list = Array.from({ length: images }, (_, sample): PassImage => {
    const values = new Float32Array(positions * width);
    const indices = new Int32Array(positions * width);
    const worth = new Float32Array(positions * width);
    const own = presence.subarray(sample * latents, (sample + 1) * latents);
    const adds = contributions.subarray(sample * latents, (sample + 1) * latents);
    for (let p = 0; p < positions; p++) {
      const order = new Random(seed, sample, p).permutation(Math.max(width, latents - 2));
      for (let i = 0; i < width; i++) {
        const at = p * width + i;
        indices[at] = i === 0 && p < 2 ? latents - 1 - p : order[i] % latents;
        values[at] = i > 0 && random.next() < 0.3 ? 0 : random.uniform(0.1, 2);
        worth[at] = values[at] === 0 ? 0 : random.normal() + 0.3;
        if (isHard && sample % 7 === 0) worth[at] = -Math.abs(worth[at]);
        own[indices[at]] += values[at];
        adds[indices[at]] += values[at] * worth[at];
      }
    }
    const [features, residual] = [rows(), rows().map((v) => v * 0.3)];
    const scores = (): Float32Array => Float32Array.from({ length: classes }, () => random.normal());
    const [logits, spliced] = [scores(), scores()];
    return {
      sample,
      key: `image ${sample}`,
      label: sample % classes,
      logits,
      spliced,
      predicted: spliced.indexOf(Math.max(...spliced)),
      values,
      indices,
      worth,
      presence: own,
      contributions: adds,
      constants: new Float32Array(1),
      errors: lengths(residual, channels),
      lengths: lengths(features, channels),
      features: moments(features, channels),
      residual: moments(residual, channels),
      beside: [],
    };
  });
  return { images: list, contributions, presence };
}

export function lengths(rows: Float32Array, channels: number): Float32Array {
  return Float32Array.from({ length: rows.length / channels }, (_, p) =>
    Math.hypot(...rows.subarray(p * channels, (p + 1) * channels)),
  );
}

export function moments(rows: Float32Array, channels: number): { mean: Float32Array; spread: number } {
  const count = rows.length / channels;
  const mean = new Float64Array(channels);
  rows.forEach((v, i) => {
    mean[i % channels] += v / count;
  });
  return {
    mean: new Float32Array(mean),
    spread: rows.reduce((sum, v, i) => sum + (v - mean[i % channels]) ** 2, 0),
  };
}
