import { pixelsToReach } from '../../../explain/c2.js';
import type { PassImage } from '../../../explain/concepts/pass.js';
import { restoreInto, type SavedNumbers, type Statistic } from './statistic.js';

/**
 * Spatial size by positions of the tap: the fewest positions that hold 80 % of a concept's activation in an image, over
 * all images in which it is present. Needs no backward pass.
 */
export class PositionSizes implements Statistic {
  private readonly sums: Float64Array;
  private readonly images: Float64Array;
  private readonly positions = new Float64Array(1);
  private readonly counts: Int32Array;

  constructor(latents: number) {
    this.sums = new Float64Array(latents);
    this.images = new Float64Array(latents);
    this.counts = new Int32Array(latents);
  }

  add({ values, indices, errors }: Pick<PassImage, 'values' | 'indices' | 'errors'>): void {
    this.positions[0] = errors.length;
    for (const [concept, activations] of this.byConcept(values, indices)) {
      this.sums[concept] += pixelsToReach(activations);
      this.images[concept]++;
    }
  }

  /** Positive activations of each concept of an image, one at each position where it is active. */
  private *byConcept(values: Float32Array, indices: Int32Array): Generator<[number, Float32Array]> {
    const { counts } = this;
    const present: number[] = [];
    for (let i = 0; i < values.length; i++) {
      if (!(values[i] > 0)) continue;
      if (counts[indices[i]]++ === 0) present.push(indices[i]);
    }
    const total = present.reduce((sum, concept) => sum + counts[concept], 0);
    const grouped = new Float32Array(total);
    const ends: number[] = [];
    let end = 0;
    for (const concept of present) {
      end += counts[concept];
      ends.push(end);
      counts[concept] = end;
    }
    // From its end on, each group is filled backwards.
    for (let i = 0; i < values.length; i++) if (values[i] > 0) grouped[--counts[indices[i]]] = values[i];
    for (const concept of present) counts[concept] = 0;
    for (const [i, concept] of present.entries())
      yield [concept, grouped.subarray(i === 0 ? 0 : ends[i - 1], ends[i])];
  }

  save(): SavedNumbers {
    return { 'sizes.sums': this.sums, 'sizes.images': this.images, 'sizes.positions': this.positions };
  }

  restore(saved: SavedNumbers): void {
    restoreInto(this.save(), saved);
  }

  /** Positions at the tap, and each concept's mean number of positions, null where it is never present: [latents]. */
  result(): { positions: number; sizes: (number | null)[] } {
    return {
      positions: this.positions[0],
      sizes: Array.from(this.sums, (sum, c) => (this.images[c] > 0 ? sum / this.images[c] : null)),
    };
  }
}
