/*
 * Which classes a concept serves, by the images' labels. With S_cy the sum of concept c's presence over the images of
 * class y and n_y the number of those images:
 *
 *     m_cy = S_cy / n_y        p_cy = m_cy / sum over y of m_cy        H_c = - sum over y of p_cy ln p_cy   (nats)
 *
 * exp(H_c) is the effective number of classes: 1 where a concept is present in one class only, the number of classes
 * where it is present alike in all. Means and not sums, so that large classes do not count more.
 *
 * Rows are allocated for concepts that are present somewhere: at most latents x classes numbers (131 MB of float64 for
 * 16384 x 1000).
 */
import type { PassImage } from '../../../explain/concepts/pass.js';
import { restoreInto, type SavedNumbers, type Statistic } from './statistic.js';

export interface ConceptLabels {
  /** H_c, nats; null where the concept is present in no image: [latents]. */
  readonly entropy: (number | null)[];
  /** Class with the largest p_cy, and that p_cy; null likewise. */
  readonly topClass: (number | null)[];
  readonly topShare: (number | null)[];
}

/** Entropy of weights that need not sum to one, in nats; 0 of a single positive one. */
export function entropyOf(weights: ArrayLike<number>): number {
  let total = 0;
  for (let i = 0; i < weights.length; i++) total += weights[i];
  let entropy = 0;
  for (let i = 0; i < weights.length; i++) {
    const p = weights[i] / total;
    if (p > 0) entropy -= p * Math.log(p);
  }
  return Math.max(0, entropy);
}

export class LabelTable implements Statistic {
  private readonly rows: (Float64Array | null)[];
  /** Images of each class. */
  readonly images: Float64Array;

  constructor(
    private readonly latents: number,
    private readonly classes: number,
  ) {
    this.rows = new Array<Float64Array | null>(latents).fill(null);
    this.images = new Float64Array(classes);
  }

  add({ presence, label }: Pick<PassImage, 'presence' | 'label'>): void {
    this.images[label]++;
    for (let c = 0; c < this.latents; c++) if (presence[c] > 0) this.row(c)[label] += presence[c];
  }

  private row(concept: number): Float64Array {
    const found = this.rows[concept] ?? new Float64Array(this.classes);
    this.rows[concept] = found;
    return found;
  }

  save(): SavedNumbers {
    const concepts: number[] = [];
    this.rows.forEach((row, c) => {
      if (row !== null) concepts.push(c);
    });
    const sums = new Float64Array(concepts.length * this.classes);
    concepts.forEach((c, i) => {
      sums.set(this.row(c), i * this.classes);
    });
    return {
      'labels.images': this.images,
      'labels.concepts': Float64Array.from(concepts),
      'labels.sums': sums,
    };
  }

  restore(saved: SavedNumbers): void {
    const { 'labels.concepts': concepts, 'labels.sums': sums } = saved;
    if (sums?.length !== concepts?.length * this.classes)
      throw new RangeError('"labels.sums" has a wrong size');
    restoreInto({ 'labels.images': this.images }, saved);
    this.rows.fill(null);
    concepts.forEach((c, i) => {
      this.row(c).set(sums.subarray(i * this.classes, (i + 1) * this.classes));
    });
  }

  result(): ConceptLabels {
    const entropy: (number | null)[] = [];
    const topClass: (number | null)[] = [];
    const topShare: (number | null)[] = [];
    for (const row of this.rows) {
      if (row === null) {
        for (const list of [entropy, topClass, topShare]) list.push(null);
        continue;
      }
      const means = row.map((sum, y) => (this.images[y] > 0 ? sum / this.images[y] : 0));
      const top = means.reduce((best, mean, y) => (mean > means[best] ? y : best), 0);
      entropy.push(entropyOf(means));
      topClass.push(top);
      topShare.push(means[top] / means.reduce((sum, mean) => sum + mean, 0));
    }
    return { entropy, topClass, topShare };
  }
}
