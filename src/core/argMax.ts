/** Index of the largest value, counted from `start`, of the `count` values from there on; of equal ones the first. 0 of none. */
export function argMax(values: ArrayLike<number>, start = 0, count = values.length - start): number {
  let best = start;
  for (let i = start + 1; i < start + count; i++) if (values[i] > values[best]) best = i;
  return best - start;
}
