import { type Shape, sizeOf } from '../graph.js';

/**
 * The axis of a reshaped value that runs over the same elements as `axis` did before, or undefined where that axis was
 * split or merged: both have as many elements, and as many lie before each.
 */
export function axisAfterReshape(before: Shape, axis: number, after: Shape): number | undefined {
  const outer = sizeOf(before.slice(0, axis));
  let product = 1;
  for (const [place, size] of after.entries()) {
    if (product === outer && size === before[axis]) return place;
    product *= size;
  }
  return undefined;
}

/** The axis of the result of a broadcast that an operand's axis becomes. */
export function axisAfterBroadcast(axis: number, rank: number, resultRank: number): number {
  return axis + resultRank - rank;
}
