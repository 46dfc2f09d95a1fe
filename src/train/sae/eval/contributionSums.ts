/*
 * The statistics of explain/stats.ts image by image, for data sets whose table [images, latents] fits no memory. Of the
 * coverage curve it holds what is missing to 100 %, which is 0 from the last positive concept of an image on: sums of
 * it and of its square lose no digits where the curve's deviation goes to zero.
 */
import type { PassImage } from '../../../explain/concepts/pass.js';
import type { SaeEvaluation } from './evaluationSchema.js';
import { quantilesOfCounts } from './histogram.js';
import { restoreInto, type SavedNumbers, type Statistic } from './statistic.js';

/** Contributes in more than this share of the images: "always alive". */
export const ALWAYS = 0.85;
/** Percent of the positive contribution that few concepts are to reach. */
export const COVERED = 80;

export class ContributionSums implements Statistic {
  /** Images in which a concept contributes (other than 0), and its summed positive share: [latents]. */
  readonly contributing: Float64Array;
  readonly shares: Float64Array;
  /** What is missing to 100 % after the n + 1 largest concepts, summed over images, and its square: [latents]. */
  private readonly missing: Float64Array;
  private readonly missingSquares: Float64Array;
  /** Images that need n concepts: [latents + 1]. */
  private readonly needed: Float64Array;
  /** Images; images with a positive contribution; most positive concepts in an image. */
  private readonly scalars = new Float64Array(3);
  private readonly row: Float64Array;

  constructor(private readonly latents: number) {
    this.contributing = new Float64Array(latents);
    this.shares = new Float64Array(latents);
    this.missing = new Float64Array(latents);
    this.missingSquares = new Float64Array(latents);
    this.needed = new Float64Array(latents + 1);
    this.row = new Float64Array(latents);
  }

  /** Images with a positive contribution. */
  get valid(): number {
    return this.scalars[1];
  }

  add({ contributions }: Pick<PassImage, 'contributions'>): void {
    const { latents, scalars, row } = this;
    let sum = 0;
    let positive = 0;
    for (let c = 0; c < latents; c++) {
      const value = contributions[c];
      if (value !== 0) this.contributing[c]++;
      if (value > 0) {
        sum += value;
        positive++;
      }
    }
    scalars[0]++;
    if (!(sum > 0)) return;
    scalars[1]++;
    scalars[2] = Math.max(scalars[2], positive);
    let at = 0;
    for (let c = 0; c < latents; c++) {
      if (!(contributions[c] > 0)) continue;
      const share = (100 * contributions[c]) / sum;
      this.shares[c] += share;
      row[at++] = share;
    }
    const sorted = row.subarray(0, positive).sort().reverse();
    let covered = 0;
    let needed = 0;
    for (let c = 0; c < positive; c++) {
      covered += sorted[c];
      if (needed === 0 && covered >= COVERED) needed = c + 1;
      if (c + 1 === positive) break;
      const missing = 100 - covered;
      this.missing[c] += missing;
      this.missingSquares[c] += missing * missing;
    }
    this.needed[needed === 0 ? latents : needed]++;
  }

  save(): SavedNumbers {
    const { contributing, shares, missing, missingSquares, needed, scalars } = this;
    return {
      'contributions.images': contributing,
      'contributions.shares': shares,
      'contributions.missing': missing,
      'contributions.missingSquares': missingSquares,
      'contributions.needed': needed,
      'contributions.scalars': scalars,
    };
  }

  restore(saved: SavedNumbers): void {
    restoreInto(this.save(), saved);
  }

  result(): SaeEvaluation['contributions'] {
    const [images, valid, longest] = Array.from(this.scalars);
    const alwaysAlive: number[] = [];
    let [alive, together, needed] = [0, 0, 0];
    this.contributing.forEach((count, c) => {
      if (count > 0) alive++;
      if (count / images <= ALWAYS) return;
      alwaysAlive.push(c);
      together += this.shares[c];
    });
    this.needed.forEach((count, n) => {
      needed += count * n;
    });
    const hasAny = valid > 0;
    return {
      conceptsTo80: hasAny ? needed / valid : null,
      conceptsTo80Quantiles: hasAny ? quantilesOfCounts(this.needed) : null,
      conceptsTo80AllImages: (needed + images - valid) / images,
      imagesWithoutPositive: images - valid,
      alive,
      alivePercent: (100 * alive) / this.latents,
      alwaysAlive,
      alwaysAliveSharePercent: hasAny ? together / valid : 0,
      coverage: {
        mean: Array.from(this.missing.subarray(0, longest), (sum) => 100 - sum / valid),
        deviation:
          valid > 1
            ? Array.from(this.missing.subarray(0, longest), (sum, c) =>
                Math.sqrt(Math.max(0, this.missingSquares[c] - (sum * sum) / valid) / (valid - 1)),
              )
            : null,
      },
      conceptsTo80Images: Array.from(this.needed.subarray(0, 1 + lastUsed(this.needed))),
    };
  }
}

/** Last place that holds something other than 0; -1 of none. */
function lastUsed(counts: Float64Array): number {
  return counts.findLastIndex((count) => count > 0);
}
