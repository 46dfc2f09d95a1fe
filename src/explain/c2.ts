/**
 * C2-score: how alike the places are that a concept marks in different images (FaCT). Float64 on plain arrays; feature
 * maps (of any self-supervised network, upsampled to the image) come from outside, channel first: [channels, pixels].
 */

import { resizeMap } from './picture/resizeMap.js';

/** Weighted mean feature of an image: sum over pixels of attribution * feature / sum of attribution; null of 0 / 0. */
export function conceptEncoding(
  features: ArrayLike<number>,
  attribution: ArrayLike<number>,
  channels: number,
): Float64Array | null {
  const pixels = attribution.length;
  let total = 0;
  for (let p = 0; p < pixels; p++) total += attribution[p];
  if (total === 0) return null;
  const out = new Float64Array(channels);
  for (let c = 0; c < channels; c++) {
    let sum = 0;
    for (let p = 0; p < pixels; p++) sum += attribution[p] * features[c * pixels + p];
    out[c] = sum / total;
  }
  return out;
}

/**
 * Weighted mean cosine over the pairs i != j of encodings, weights w_i w_j. Linear-time form with
 * s = sum of w_i x_i/||x_i||: `(||s||^2 - sum w_i^2) / ((sum w_i)^2 - sum w_i^2)`. NaN for fewer than two encodings.
 */
export function pairwiseScore(encodings: readonly ArrayLike<number>[], weights?: ArrayLike<number>): number {
  if (encodings.length < 2) return Number.NaN;
  const total = new Float64Array(encodings[0].length);
  let weightSum = 0;
  let weightSquares = 0;
  let selfPairs = 0;
  encodings.forEach((x, i) => {
    const w = weights === undefined ? 1 : weights[i];
    let norm = 0;
    for (let c = 0; c < x.length; c++) norm += x[c] ** 2;
    norm = Math.sqrt(norm);
    weightSum += w;
    weightSquares += w * w;
    if (norm === 0) return;
    selfPairs += w * w;
    for (let c = 0; c < x.length; c++) total[c] += (w * x[c]) / norm;
  });
  const pairs = total.reduce((sum, v) => sum + v * v, 0) - selfPairs;
  return pairs / (weightSum * weightSum - weightSquares);
}

/** Images that represent a concept: see `selectImages`. */
const BASE_COUNT = 10;
const MINIMUM_COUNT = 2;

/** Quantile with linear interpolation of values sorted rising. */
function quantile(sorted: Float64Array, q: number): number {
  const position = q * (sorted.length - 1);
  const low = Math.floor(position);
  const high = Math.min(low + 1, sorted.length - 1);
  return sorted[low] + (position - low) * (sorted[high] - sorted[low]);
}

/**
 * Indices of the images that represent a concept, of its presence in each image: presence strictly above
 * min(quantile of the positive presences, 11th largest); all positive ones if there are at most ten or `q` is null;
 * empty if fewer than two remain.
 */
export function selectImages(presence: ArrayLike<number>, q: number | null): number[] {
  const positive = Float64Array.from(presence)
    .filter((v) => v > 0)
    .sort();
  const threshold =
    q === null || positive.length <= BASE_COUNT
      ? 0
      : Math.min(quantile(positive, q), positive[positive.length - 1 - BASE_COUNT]);
  const chosen: number[] = [];
  for (let i = 0; i < presence.length; i++) if (presence[i] > threshold) chosen.push(i);
  return chosen.length < MINIMUM_COUNT ? [] : chosen;
}

/** Fewest pixels that together hold `share` (default 80 %) of the positive attribution; 0 where there is none. */
export function pixelsToReach(attribution: ArrayLike<number>, share = 0.8): number {
  const positive = Float64Array.from(attribution)
    .filter((v) => v > 0)
    .sort()
    .reverse();
  const goal = share * positive.reduce((sum, v) => sum + v, 0);
  let sum = 0;
  for (let i = 0; i < positive.length; i++) {
    sum += positive[i];
    if (sum >= goal) return i + 1;
  }
  return positive.length;
}

/** Random baseline of one image: a uniform map clipped from below by one more uniform number, and its weight. */
export function randomAttribution(
  uniform: ArrayLike<number>,
  floor: number,
): { attribution: Float64Array; weight: number } {
  const attribution = Float64Array.from(uniform, (v) => Math.max(v, floor));
  return { attribution, weight: attribution.reduce((sum, v) => sum + v, 0) };
}

/** One image that represents a concept. */
export interface ConceptRow {
  readonly concept: number;
  readonly presence: number;
  readonly encoding: ArrayLike<number>;
  readonly pixels: number;
}

export interface ConceptScore {
  readonly concept: number;
  readonly count: number;
  readonly score: number;
  readonly meanPixels: number;
}

/** Concept number of the random baseline's rows. */
export const BASELINE_CONCEPT = -2;
const WELL_SUPPORTED = 5;

export interface DatasetScores {
  /** One entry a concept with at least two rows, by concept number. */
  readonly concepts: readonly ConceptScore[];
  readonly baseline: number;
  readonly mean: number;
  /** Mean over the concepts with at least five images. */
  readonly meanWellSupported: number;
  readonly aboveBaseline: number;
  readonly wellSupportedAboveBaseline: number;
}

/** Scores of all concepts; the mean over images of their plain mean features is subtracted from every encoding first. */
export function datasetScores(
  rows: readonly ConceptRow[],
  meanFeatures: readonly ArrayLike<number>[],
): DatasetScores {
  const channels = meanFeatures[0]?.length ?? 0;
  const centre = new Float64Array(channels);
  for (const row of meanFeatures) {
    for (let c = 0; c < channels; c++) centre[c] += row[c] / meanFeatures.length;
  }
  const byConcept = new Map<number, ConceptRow[]>();
  for (const row of rows) {
    const list = byConcept.get(row.concept);
    if (list === undefined) byConcept.set(row.concept, [row]);
    else list.push(row);
  }
  const scoreOf = (list: readonly ConceptRow[]): number =>
    pairwiseScore(
      list.map((row) => Float64Array.from(row.encoding, (v, c) => v - centre[c])),
      list.map((row) => row.presence),
    );
  const concepts = [...byConcept]
    .filter(([concept, list]) => concept !== BASELINE_CONCEPT && list.length >= MINIMUM_COUNT)
    .sort(([a], [b]) => a - b)
    .map(([concept, list]) => ({
      concept,
      count: list.length,
      score: scoreOf(list),
      meanPixels: list.reduce((sum, row) => sum + row.pixels, 0) / list.length,
    }));
  const mean = (list: readonly ConceptScore[]): number =>
    list.reduce((sum, entry) => sum + entry.score, 0) / list.length;
  const baseline = scoreOf(byConcept.get(BASELINE_CONCEPT) ?? []);
  const all = mean(concepts);
  const supported = mean(concepts.filter((entry) => entry.count >= WELL_SUPPORTED));
  return {
    concepts,
    baseline,
    mean: all,
    meanWellSupported: supported,
    aboveBaseline: all - baseline,
    wellSupportedAboveBaseline: supported - baseline,
  };
}

/** Percentages of the values in `bins` equal bins over [-1, 1], the last bin closed. */
export function scoreHistogram(scores: readonly number[], bins = 50): Float64Array {
  const out = new Float64Array(bins);
  for (const score of scores) {
    const bin = Math.min(bins - 1, Math.floor(((score + 1) / 2) * bins));
    if (bin >= 0) out[bin] += 100 / scores.length;
  }
  return out;
}

/** One image of the stand-alone scorer: an activation value, its map of any size, the features at image size. */
export interface ScoredImage {
  readonly activation: number;
  readonly map: ArrayLike<number>;
  readonly mapSize: readonly [number, number];
  readonly features: ArrayLike<number>;
}

/** Stand-alone C2-score of a concept: maps clipped at 0, resized to the image; no mean is subtracted. */
export function conceptScore(
  images: readonly ScoredImage[],
  channels: number,
  imageSize: readonly [number, number],
): number {
  const kept = images.flatMap((image) => {
    const clipped = Float64Array.from(image.map, (v) => Math.max(0, v));
    const attribution = resizeMap(clipped, image.mapSize, imageSize);
    const encoding = conceptEncoding(image.features, attribution, channels);
    return encoding === null ? [] : [{ encoding, weight: image.activation }];
  });
  return pairwiseScore(
    kept.map((entry) => entry.encoding),
    kept.map((entry) => entry.weight),
  );
}
