/*
 * A statistic over a data set grows image by image and holds sums only: its memory is bounded by concepts and classes,
 * never by images. All of it is float64 numbers by name, so that a stopped evaluation can be written down and gone on
 * with: equal images in equal order give equal bits.
 */
import type { PassImage } from '../../../explain/concepts/pass.js';

export type SavedNumbers = Readonly<Record<string, Float64Array>>;

export interface Statistic {
  add(image: PassImage): void;
  /** The sums so far; may be the statistic's own arrays. */
  save(): SavedNumbers;
  /** Goes on from sums that `save` gave. Throws RangeError where their sizes differ. */
  restore(saved: SavedNumbers): void;
}

/** Copies saved arrays into those of the same names. Throws RangeError where a name or a size differs. */
export function restoreInto(own: SavedNumbers, saved: SavedNumbers): void {
  for (const [name, values] of Object.entries(own)) {
    const found = saved[name];
    if (found === undefined || found.length !== values.length)
      throw new RangeError(`"${name}" holds ${found?.length ?? 'no'} numbers, expected ${values.length}`);
    values.set(found);
  }
}

/** Mean, and standard deviation with n - 1 (null for fewer than two), of whole numbers given by their exact sums. */
export function fromSums(
  count: number,
  sum: number,
  squares: number,
): { mean: number; deviation: number | null } {
  const mean = sum / count;
  const variance = count > 1 ? Math.max(0, squares - sum * mean) / (count - 1) : null;
  return { mean, deviation: variance === null ? null : Math.sqrt(variance) };
}
