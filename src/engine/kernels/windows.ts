/** A window sliding over the height and width of an NHWC tensor: pairs are [vertical, horizontal]. */
export interface WindowConfig {
  readonly stride: readonly [number, number];
  /** Rows and columns of zeros added on both sides; may exceed half the kernel. */
  readonly padding: readonly [number, number];
  readonly dilation: readonly [number, number];
}

/** A convolution: a window plus the number of groups. */
export interface ConvConfig extends WindowConfig {
  /** Channels in and out are split into this many equal groups; group g of the output sees only group g of the input. */
  readonly groups: number;
}

/** A sum over a window; every channel by itself. */
export interface PoolConfig extends WindowConfig {
  readonly kernel: readonly [number, number];
}

/** Positions that a window takes along one axis: floor((size + 2 padding - dilation (kernel - 1) - 1) / stride) + 1. */
function windowPositions(
  size: number,
  kernel: number,
  stride: number,
  padding: number,
  dilation: number,
): number {
  return Math.floor((size + 2 * padding - dilation * (kernel - 1) - 1) / stride) + 1;
}

/** [height, width] of the output of a window over `height` x `width` pixels. */
export function windowOutput(
  height: number,
  width: number,
  kernel: readonly [number, number],
  c: WindowConfig,
): [number, number] {
  return [
    windowPositions(height, kernel[0], c.stride[0], c.padding[0], c.dilation[0]),
    windowPositions(width, kernel[1], c.stride[1], c.padding[1], c.dilation[1]),
  ];
}
