/** Independent float64 versions of the operations of src/engine/ops.ts: loops straight from the definitions. */
import type { ConvConfig, PoolConfig } from '../../src/engine/ops.js';

export interface Array4 {
  readonly shape: readonly [number, number, number, number];
  readonly values: Float64Array;
}

export function zeros4(...shape: [number, number, number, number]): Array4 {
  return { shape, values: new Float64Array(shape.reduce((a, b) => a * b, 1)) };
}

function at({ shape }: Array4, a: number, b: number, c: number, d: number): number {
  return ((a * shape[1] + b) * shape[2] + c) * shape[3] + d;
}

type Visit = (x: number, filter: number, y: number) => void;

function outputSize(size: number, kernel: number, axis: 0 | 1, c: ConvConfig | PoolConfig): number {
  return Math.floor((size + 2 * c.padding[axis] - c.dilation[axis] * (kernel - 1) - 1) / c.stride[axis]) + 1;
}

/** Calls `visit` with the flat places of each product x * filter that goes into y. */
function eachProduct(x: Array4, filter: Array4, y: Array4, c: ConvConfig, visit: Visit): void {
  const [kh, kw, perGroup, filters] = filter.shape;
  for (let n = 0; n < y.shape[0]; n++)
    for (let p = 0; p < y.shape[1]; p++)
      for (let q = 0; q < y.shape[2]; q++)
        for (let o = 0; o < filters; o++)
          for (let i = 0; i < kh; i++)
            for (let j = 0; j < kw; j++) {
              const h = p * c.stride[0] - c.padding[0] + i * c.dilation[0];
              const w = q * c.stride[1] - c.padding[1] + j * c.dilation[1];
              if (h < 0 || w < 0 || h >= x.shape[1] || w >= x.shape[2]) continue;
              const group = Math.floor(o / (filters / c.groups));
              for (let k = 0; k < perGroup; k++)
                visit(at(x, n, h, w, group * perGroup + k), at(filter, i, j, k, o), at(y, n, p, q, o));
            }
}

export function convOutput(x: Array4, filter: Array4, c: ConvConfig): Array4 {
  const [kh, kw, , filters] = filter.shape;
  return zeros4(x.shape[0], outputSize(x.shape[1], kh, 0, c), outputSize(x.shape[2], kw, 1, c), filters);
}

export function naiveConv2d(x: Array4, filter: Array4, c: ConvConfig): Array4 {
  const y = convOutput(x, filter, c);
  eachProduct(x, filter, y, c, (a, b, o) => {
    y.values[o] += x.values[a] * filter.values[b];
  });
  return y;
}

export function naiveInputGrad(
  dy: Array4,
  filter: Array4,
  inputShape: Array4['shape'],
  c: ConvConfig,
): Array4 {
  const dx = zeros4(...inputShape);
  eachProduct(dx, filter, dy, c, (a, b, o) => {
    dx.values[a] += dy.values[o] * filter.values[b];
  });
  return dx;
}

export function naiveFilterGrad(x: Array4, dy: Array4, filterShape: Array4['shape'], c: ConvConfig): Array4 {
  const df = zeros4(...filterShape);
  eachProduct(x, df, dy, c, (a, b, o) => {
    df.values[b] += x.values[a] * dy.values[o];
  });
  return df;
}

/** A window sum is the depthwise convolution with ones. */
export function poolAsConv(channels: number, p: PoolConfig): { filter: Array4; config: ConvConfig } {
  const filter = zeros4(p.kernel[0], p.kernel[1], 1, channels);
  filter.values.fill(1);
  return { filter, config: { stride: p.stride, padding: p.padding, dilation: p.dilation, groups: channels } };
}

/** a [m,k] b [k,n] with either transposed in memory. */
export function naiveMatMul(
  [m, n, k]: readonly [number, number, number],
  a: ArrayLike<number>,
  b: ArrayLike<number>,
  transposeA: boolean,
  transposeB: boolean,
): Float64Array {
  const c = new Float64Array(m * n);
  for (let i = 0; i < m; i++)
    for (let j = 0; j < n; j++)
      for (let p = 0; p < k; p++)
        c[i * n + j] += a[transposeA ? p * m + i : i * k + p] * b[transposeB ? j * k + p : p * n + j];
  return c;
}
