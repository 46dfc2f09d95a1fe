import type { PassImage } from '../../../explain/concepts/pass.js';
import type { Sae, TappedModel } from '../../../explain/sae.js';
import { AccuracyCounts } from './accuracy.js';
import { ConceptUse } from './conceptUse.js';
import { ContributionSums } from './contributionSums.js';
import type { Measured } from './evaluationSchema.js';
import { histogram, quantiles } from './histogram.js';
import { LabelTable } from './labelTable.js';
import { isSampled, PixelSizes } from './pixelSizes.js';
import { PositionSizes } from './positionSizes.js';
import { ReconstructionSums } from './reconstruction.js';
import type { SavedNumbers, Statistic } from './statistic.js';

/** Active at this share of the positions or more: "too active". */
export const TOO_ACTIVE = 0.6;
/** Bins of the density histogram in a factor of ten. */
const BINS_A_DECADE = 4;

export interface StatisticsOptions {
  /** [height, width] of the images. */
  readonly imageSize: readonly [number, number];
  /** Pictures of the data set, and of how many the spatial size in pixels is taken. */
  readonly size: number;
  readonly pixelImages: number;
  readonly pixelConcepts: number;
  readonly beside: readonly Sae[];
}

function mean(values: readonly number[]): number | null {
  return values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0) / values.length;
}

const present = (values: readonly (number | null)[]): number[] => values.filter((value) => value !== null);

/** Everything that `fact sae eval` counts on its way over the images. Holds a compiled program: dispose it. */
export class SaeStatistics {
  readonly use: ConceptUse;
  /** Of the autoencoders beside. */
  readonly otherUses: readonly ConceptUse[];
  readonly labels: LabelTable;
  private readonly accuracy = new AccuracyCounts();
  private readonly reconstruction: ReconstructionSums;
  private readonly contributions: ContributionSums;
  private readonly sizes: PositionSizes;
  private readonly pixels: PixelSizes;

  constructor(
    model: TappedModel,
    private readonly sae: Sae,
    private readonly options: StatisticsOptions,
  ) {
    const { latents, channels } = sae;
    this.use = new ConceptUse(latents, 'use');
    this.otherUses = options.beside.map((other, i) => new ConceptUse(other.latents, `use${i + 1}`));
    this.labels = new LabelTable(latents, model.spec.options.numClasses);
    this.reconstruction = new ReconstructionSums(channels);
    this.contributions = new ContributionSums(latents);
    this.sizes = new PositionSizes(latents);
    this.pixels = new PixelSizes(model, sae, options.imageSize, Math.min(options.pixelConcepts, latents));
  }

  get images(): number {
    return this.accuracy.images;
  }

  private get perImage(): readonly Statistic[] {
    return [this.accuracy, this.reconstruction, this.contributions, this.labels, this.sizes];
  }

  /** @param pixels [H, W, 3] of that image */
  async add(image: PassImage, pixels: Float32Array): Promise<void> {
    for (const statistic of this.perImage) statistic.add(image);
    const positions = image.errors.length;
    this.use.addCode(image, positions);
    for (const [i, code] of image.beside.entries()) this.otherUses[i].addCode(code, positions);
    const { size, pixelImages } = this.options;
    if (isSampled(image.sample, size, pixelImages)) await this.pixels.add(image, pixels);
  }

  private get parts(): readonly { save(): SavedNumbers; restore(saved: SavedNumbers): void }[] {
    return [...this.perImage, this.use, ...this.otherUses, this.pixels];
  }

  save(): SavedNumbers {
    return Object.assign({}, ...this.parts.map((part) => part.save()));
  }

  /** Throws RangeError where the saved sums are of other sizes. */
  restore(saved: SavedNumbers): void {
    for (const part of this.parts) part.restore(saved);
  }

  /** All numbers of at least one image. */
  result(): Measured {
    const { latents } = this.sae;
    const { use, contributions } = this;
    const labels = this.labels.result();
    const entropies = present(labels.entropy);
    const effective = entropies.map(Math.exp);
    const { positions, sizes } = this.sizes.result();
    const sizesPresent = present(sizes);
    const meanSize = mean(sizesPresent);
    const tooActive: number[] = [];
    use.activePositions.forEach((count, c) => {
      if (count / use.positions >= TOO_ACTIVE) tooActive.push(c);
    });
    const densities = Array.from(use.activePositions)
      .filter((count) => count > 0)
      .map((count) => Math.log10(count / use.positions));
    const lowest = Math.min(-1, Math.floor(-Math.log10(use.positions)));
    const dead = latents - densities.length;
    return {
      accuracy: this.accuracy.result(),
      reconstruction: this.reconstruction.result(),
      sparsity: use.sparsity(),
      activity: {
        dead,
        deadPercent: (100 * dead) / latents,
        tooActive,
        log10Density: histogram(densities, lowest, 0, -lowest * BINS_A_DECADE),
      },
      contributions: contributions.result(),
      labels: {
        entropyMean: mean(entropies),
        entropyQuantiles: entropies.length > 0 ? quantiles(entropies) : null,
        effectiveClassesMean: mean(effective),
        effectiveClassesQuantiles: effective.length > 0 ? quantiles(effective) : null,
        largestEntropy: Math.log(this.labels.images.filter((count) => count > 0).length),
      },
      spatial: {
        positions: {
          mean: meanSize,
          meanPercent: meanSize === null ? null : (100 * meanSize) / positions,
          quantiles: sizesPresent.length > 0 ? quantiles(sizesPresent) : null,
          positions,
        },
        pixels: this.pixels.result(),
      },
      concepts: {
        activePositions: Array.from(use.activePositions),
        activeImages: Array.from(use.activeImages),
        contributingImages: Array.from(contributions.contributing),
        meanSharePercent: Array.from(contributions.shares, (sum) =>
          contributions.valid > 0 ? sum / contributions.valid : 0,
        ),
        entropy: labels.entropy,
        effectiveClasses: labels.entropy.map((entropy) => (entropy === null ? null : Math.exp(entropy))),
        topClass: labels.topClass,
        topClassShare: labels.topShare,
        meanPositions: sizes,
        meanPixels: this.pixels.sizes(),
        matchedCosine: new Array<null>(latents).fill(null),
      },
    };
  }

  dispose(): void {
    this.pixels.dispose();
  }
}
