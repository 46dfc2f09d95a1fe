/**
 * Statistics of concept explanations over a test set, float64. `contributions` and `presence` are row-major
 * [images, latents]; contributions are those to the predicted class. Definitions: FaCT, evaluation of concepts.
 */
export interface TableShape {
  readonly images: number;
  readonly latents: number;
}

export interface MeanAndDeviation {
  readonly mean: number;
  /** With n - 1 in the divisor. */
  readonly deviation: number;
}

/** Mean and standard deviation (n - 1). */
export function meanAndDeviation(values: ArrayLike<number>): MeanAndDeviation {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i];
  const mean = sum / values.length;
  let squares = 0;
  for (let i = 0; i < values.length; i++) squares += (values[i] - mean) ** 2;
  return { mean, deviation: Math.sqrt(squares / (values.length - 1)) };
}

/** Image-L0: mean number of concepts that are present (presence other than 0) in an image. */
export function imageL0(presence: ArrayLike<number>, shape: TableShape): number {
  let count = 0;
  for (let i = 0; i < shape.images * shape.latents; i++) if (presence[i] !== 0) count++;
  return count / shape.images;
}

/**
 * Positive shares in percent: 100 max(contribution, 0) / sum of the image's positive contributions. Null in place of an
 * image without any positive contribution (0 / 0).
 */
export function positiveShares(
  contributions: ArrayLike<number>,
  shape: TableShape,
): readonly (Float64Array | null)[] {
  return Array.from({ length: shape.images }, (_, image) => {
    const row = new Float64Array(shape.latents);
    let sum = 0;
    for (let c = 0; c < shape.latents; c++) {
      row[c] = Math.max(0, contributions[image * shape.latents + c]);
      sum += row[c];
    }
    return sum > 0 ? row.map((v) => (100 * v) / sum) : null;
  });
}

export interface Coverage {
  /** Mean over images of the fewest concepts, largest first, whose shares reach the threshold (PosCover-L0). */
  readonly conceptsToReach: number;
  /** Mean and standard deviation (n - 1) over images of the cumulative sorted shares: [latents] each. */
  readonly curveMean: Float64Array;
  readonly curveDeviation: Float64Array;
  /** Images without a positive contribution: left out above, and named here. */
  readonly withoutPositive: readonly number[];
  /** `conceptsToReach` as the reference counts it: an image without positive contribution counts as 1. */
  readonly conceptsToReachAllImages: number;
}

/** Coverage of the positive evidence by the largest concepts. `threshold` in percent, default 80. */
export function coverage(contributions: ArrayLike<number>, shape: TableShape, threshold = 80): Coverage {
  const withoutPositive: number[] = [];
  const curves: Float64Array[] = [];
  let needed = 0;
  positiveShares(contributions, shape).forEach((shares, image) => {
    if (shares === null) {
      withoutPositive.push(image);
      return;
    }
    const curve = shares.sort().reverse();
    for (let c = 1; c < curve.length; c++) curve[c] += curve[c - 1];
    const reached = curve.findIndex((v) => v >= threshold);
    needed += reached < 0 ? curve.length : reached + 1;
    curves.push(curve);
  });
  const curveMean = new Float64Array(shape.latents);
  const curveDeviation = new Float64Array(shape.latents);
  for (let c = 0; c < shape.latents; c++) {
    const { mean, deviation } = meanAndDeviation(curves.map((curve) => curve[c]));
    curveMean[c] = mean;
    curveDeviation[c] = deviation;
  }
  return {
    conceptsToReach: needed / curves.length,
    curveMean,
    curveDeviation,
    withoutPositive,
    conceptsToReachAllImages: (needed + withoutPositive.length) / shape.images,
  };
}

export interface Alive {
  /** Percentage of the concepts that contribute (other than 0) in at least one image. */
  readonly alivePercent: number;
  /** Concepts that contribute in more than `threshold` of the images. */
  readonly alwaysAlive: readonly number[];
  /** Mean over images of the summed positive shares (percent) of those concepts. */
  readonly alwaysAliveSharePercent: number;
}

/** Which concepts contribute anywhere, and which nearly always. `threshold` is a fraction of the images. */
export function aliveConcepts(contributions: ArrayLike<number>, shape: TableShape, threshold = 0.85): Alive {
  const counts = new Float64Array(shape.latents);
  for (let i = 0; i < shape.images * shape.latents; i++)
    if (contributions[i] !== 0) counts[i % shape.latents]++;
  const alwaysAlive: number[] = [];
  counts.forEach((count, c) => {
    if (count / shape.images > threshold) alwaysAlive.push(c);
  });
  const valid = positiveShares(contributions, shape).filter((shares) => shares !== null);
  let together = 0;
  for (const shares of valid) for (const c of alwaysAlive) together += shares[c];
  return {
    alivePercent: (100 * counts.filter((count) => count > 0).length) / shape.latents,
    alwaysAlive,
    alwaysAliveSharePercent: valid.length > 0 ? together / valid.length : 0,
  };
}
