import { coverage, positiveShares } from '../../explain/stats.js';

/** How the decisions of a network spread over its concepts, from contributions to the predicted class. */
export interface ContributionSummary {
  /** Concepts, largest first, that make up 80 % of an image's positive contribution: mean over images; null without any. */
  readonly conceptsTo80: number | null;
  /** Images without a positive contribution: left out above. */
  readonly withoutPositive: number;
  /** Concepts that contribute (other than 0) in at least one image. */
  readonly alive: number;
  /** Concepts that contribute in more than 85 % of the images. */
  readonly alwaysAlive: number;
  /** Percentage of the positive contribution that comes from those, mean over images. */
  readonly alwaysAliveShare: number;
}

const ALWAYS = 0.85;

/** The statistics of explain/stats.ts image by image, for data sets whose table of contributions fits no memory. */
export class ContributionStats {
  private readonly counts: Float64Array;
  private readonly shares: Float64Array;
  private images = 0;
  private valid = 0;
  private needed = 0;

  constructor(private readonly latents: number) {
    this.counts = new Float64Array(latents);
    this.shares = new Float64Array(latents);
  }

  /** @param contributions of one image: [latents] */
  add(contributions: ArrayLike<number>): void {
    const { latents } = this;
    const shape = { images: 1, latents };
    this.images++;
    for (let c = 0; c < latents; c++) if (contributions[c] !== 0) this.counts[c]++;
    const [shares] = positiveShares(contributions, shape);
    if (shares === null) return;
    this.valid++;
    for (let c = 0; c < latents; c++) this.shares[c] += shares[c];
    this.needed += coverage(contributions, shape).conceptsToReach;
  }

  result(): ContributionSummary {
    let [alive, alwaysAlive, together] = [0, 0, 0];
    this.counts.forEach((count, c) => {
      if (count > 0) alive++;
      if (count / this.images <= ALWAYS) return;
      alwaysAlive++;
      together += this.shares[c];
    });
    return {
      conceptsTo80: this.valid > 0 ? this.needed / this.valid : null,
      withoutPositive: this.images - this.valid,
      alive,
      alwaysAlive,
      alwaysAliveShare: this.valid > 0 ? together / this.valid : 0,
    };
  }
}
