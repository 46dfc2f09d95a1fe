/*
 * How much of the features a reconstruction keeps. Images come as moments (mean over positions, squared distances from
 * it), which add up without the loss of digits that plain sums of squares have:
 *
 *     sum over rows (x - mean)^2 = sum over images [ spread_i + P (mean_i - mean)^2 ]
 *     variance explained = 1 - that sum for F - F^ / that sum for F           over all channels
 */
import type { PassImage, RowMoments } from '../../../explain/concepts/pass.js';
import { meanAndDeviation } from '../../../explain/stats.js';
import type { SaeEvaluation } from './evaluationSchema.js';
import { restoreInto, type SavedNumbers, type Statistic } from './statistic.js';

/** Squared distances from the mean over the rows of many images, all of as many rows. */
class Spread {
  /** Sums over images of the means and of their squares, by channel; of the spreads inside images. */
  readonly sums: Float64Array;
  readonly squares: Float64Array;
  readonly inside = new Float64Array(1);

  constructor(channels: number) {
    this.sums = new Float64Array(channels);
    this.squares = new Float64Array(channels);
  }

  add({ mean, spread }: RowMoments): void {
    for (let c = 0; c < mean.length; c++) {
      this.sums[c] += mean[c];
      this.squares[c] += mean[c] * mean[c];
    }
    this.inside[0] += spread;
  }

  total(images: number, positions: number): number {
    const between = this.squares.reduce((sum, square, c) => sum + square - this.sums[c] ** 2 / images, 0);
    return this.inside[0] + positions * Math.max(0, between);
  }
}

/** Variance explained, and lengths of what is missed: ||F_p - F^_p|| at every position. */
export class ReconstructionSums implements Statistic {
  private readonly features: Spread;
  private readonly residual: Spread;
  /** Images, positions an image, positions; of the errors: mean, squared distances; sums of lengths and of error/length; positions with F = 0. */
  private readonly scalars = new Float64Array(8);

  constructor(channels: number) {
    this.features = new Spread(channels);
    this.residual = new Spread(channels);
  }

  add(image: Pick<PassImage, 'features' | 'residual' | 'errors' | 'lengths'>): void {
    const { errors, lengths } = image;
    const s = this.scalars;
    this.features.add(image.features);
    this.residual.add(image.residual);
    s[0]++;
    s[1] = errors.length;
    this.addErrors(errors);
    for (let p = 0; p < errors.length; p++) {
      s[5] += lengths[p];
      if (lengths[p] > 0) s[6] += errors[p] / lengths[p];
      else s[7]++;
    }
  }

  /** Chan's merge of means and squared distances. */
  private addErrors(errors: ArrayLike<number>): void {
    const s = this.scalars;
    const own = meanAndDeviation(errors);
    const n = errors.length;
    const squares = n > 1 ? own.deviation ** 2 * (n - 1) : 0;
    const difference = own.mean - s[3];
    const total = s[2] + n;
    s[4] += squares + (difference ** 2 * s[2] * n) / total;
    s[3] += (difference * n) / total;
    s[2] = total;
  }

  save(): SavedNumbers {
    const named = (name: string, { sums, squares, inside }: Spread): [string, Float64Array][] => [
      [`${name}.sums`, sums],
      [`${name}.squares`, squares],
      [`${name}.inside`, inside],
    ];
    return Object.fromEntries([
      ...named('features', this.features),
      ...named('residual', this.residual),
      ['reconstruction', this.scalars],
    ]);
  }

  restore(saved: SavedNumbers): void {
    restoreInto(this.save(), saved);
  }

  result(): SaeEvaluation['reconstruction'] {
    const [images, positions, count, mean, squares, lengths, relative, empty] = Array.from(this.scalars);
    const total = this.features.total(images, positions);
    return {
      varianceExplained: total > 0 ? 1 - this.residual.total(images, positions) / total : null,
      l2ErrorMean: mean,
      l2ErrorDeviation: count > 1 ? Math.sqrt(squares / (count - 1)) : null,
      featureLengthMean: lengths / count,
      relativeErrorMean: count > empty ? relative / (count - empty) : null,
    };
  }
}
