import type { PassCode } from '../../../explain/concepts/pass.js';
import type { SaeEvaluation } from './evaluationSchema.js';
import { fromSums, restoreInto, type SavedNumbers } from './statistic.js';

/** How often each concept of an autoencoder is active (activation above 0), and how strongly. */
export class ConceptUse {
  /** Positions at which a concept is active, images in which it is, sum of its squared activations: [latents] each. */
  readonly activePositions: Float64Array;
  readonly activeImages: Float64Array;
  readonly energy: Float64Array;
  /** Images, positions; concepts a position and its square, summed; different concepts an image and its square, summed; positions with every place taken. */
  private readonly scalars = new Float64Array(7);
  private readonly lastSeen: Float64Array;

  /** @param prefix of the names under which it is saved */
  constructor(
    readonly latents: number,
    private readonly prefix: string,
  ) {
    this.activePositions = new Float64Array(latents);
    this.activeImages = new Float64Array(latents);
    this.energy = new Float64Array(latents);
    this.lastSeen = new Float64Array(latents);
  }

  get images(): number {
    return this.scalars[0];
  }

  get positions(): number {
    return this.scalars[1];
  }

  addCode({ values, indices }: PassCode, positions: number): void {
    const s = this.scalars;
    const width = values.length / positions;
    s[0]++;
    s[1] += positions;
    let different = 0;
    for (let p = 0; p < positions; p++) {
      let active = 0;
      for (let i = p * width; i < (p + 1) * width; i++) {
        const value = values[i];
        if (!(value > 0)) continue;
        const concept = indices[i];
        active++;
        this.activePositions[concept]++;
        this.energy[concept] += value * value;
        if (this.lastSeen[concept] === s[0]) continue;
        this.lastSeen[concept] = s[0];
        this.activeImages[concept]++;
        different++;
      }
      s[2] += active;
      s[3] += active * active;
      if (active === width) s[6]++;
    }
    s[4] += different;
    s[5] += different * different;
  }

  save(): SavedNumbers {
    const { prefix, activePositions, activeImages, energy, scalars } = this;
    return {
      [`${prefix}.positions`]: activePositions,
      [`${prefix}.images`]: activeImages,
      [`${prefix}.energy`]: energy,
      [`${prefix}.scalars`]: scalars,
    };
  }

  restore(saved: SavedNumbers): void {
    restoreInto(this.save(), saved);
  }

  /** Active concepts at a position, and different ones in an image; positions with all places of the code taken. */
  sparsity(): SaeEvaluation['sparsity'] {
    const [images, positions, active, activeSquares, different, differentSquares, full] = Array.from(
      this.scalars,
    );
    return {
      l0: fromSums(positions, active, activeSquares),
      imageL0: fromSums(images, different, differentSquares),
      fullPositionsPercent: (100 * full) / positions,
    };
  }

  /** Numbers of the concepts that are active somewhere. */
  alive(): number[] {
    const found: number[] = [];
    this.activePositions.forEach((count, concept) => {
      if (count > 0) found.push(concept);
    });
    return found;
  }
}
