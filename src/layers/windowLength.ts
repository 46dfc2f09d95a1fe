/** Number of places of a window along an axis of `size` (null: unknown), as PyTorch counts them (floor). */
export function windowLength(
  size: number | null,
  kernel: number,
  stride: number,
  padding: number,
  dilation = 1,
): number | null {
  return size === null ? null : Math.floor((size + 2 * padding - dilation * (kernel - 1) - 1) / stride) + 1;
}
