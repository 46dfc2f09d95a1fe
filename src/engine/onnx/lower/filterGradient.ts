import { STORED_ORDER, VIEW_ORDER } from '../filterStorage.js';
import { type Graph, type Shape, type Sym, sizeOf } from '../graph.js';
import { mul, sub } from './elementwise.js';
import { concat, reshape, transpose } from './layout.js';
import { isTiny, tapsOfAll } from './tinyConv.js';
import { transposedView } from './views.js';
import {
  flattenPixels,
  isUnitStride,
  taps,
  toChannelsFirst,
  type WindowGeometry,
  windowAttributes,
} from './window.js';

/**
 * Gradient of a convolution to its filter: with stride s, dilation d and P zeros above and to the left,
 *
 *     df[o,c,i,j] = sum over images n and output pixels p of dy[n,o,p] x[n, c, s p + d (i,j) - P]
 *
 * One matrix product over pixels for all taps (i, j). What differs is how the pixels come to lie under each other:
 *
 *   shifted    stride 1, output as large as the input. In a flattened image a tap is a shift by (d i - P) W + (d j - P)
 *              pixels. x comes in kh copies, shifted by rows, dy in kw copies, shifted by columns; the product of both
 *              sides holds every tap. Zeros between the copies stand for the padding above and below; columns of dy
 *              that would meet the next row's pixels are zero. kh C + kw O values a pixel, all in two copies.
 *   gathered   else: the taps of x side by side, kh kw C values a pixel, copied by a convolution with filters that are
 *              1 at one tap (faster than one strided slice a tap, of which ONNX Runtime runs one thread).
 *   sliced     windows with many taps: that convolution would cost their number squared.
 *
 * Tiny images of many channels take the taps that their convolution has taken: tinyConv.ts.
 *
 * Where an image has few pixels for its channels, the product runs over the pixels of all images at once instead of
 * image by image: the products of single images would be larger than their factors. Shifted images then need zeros
 * between them; where those would be a good part of a large product the taps are gathered instead.
 */

const FLOAT = 'float32';
/** Rows of the product times the share of zeros in its length, above which gathering is faster; measured. */
const DEAR_GAP = 64;
/** Rows of the left factor below which reordering the right one costs more than turning the product round. */
const FEW_ROWS = 128;
/** Most taps that are gathered by a convolution. */
const MOST_GATHERED = 49;

/** x [N,H,W,C], dy [N,H',W',O] -> df [kh,kw,C/groups,O], stored as [O,C/groups,kh,kw]. */
export function filterGradient(
  graph: Graph,
  x: Sym,
  dy: Sym,
  filterShape: Shape,
  w: WindowGeometry,
  groups: number,
): Sym {
  const [kh, kw, inputs, outputs] = filterShape;
  if (x.withInverse !== undefined && groups === 1 && isSmallTable(w))
    return forInverse(graph, x.withInverse, dy, filterShape, w);
  const image = toChannelsFirst(graph, x);
  const errors = toChannelsFirst(graph, dy);
  const stored = gradientFrom(graph, x, image, errors, w, groups);
  return transposedView(reshape(graph, stored, [outputs, inputs, kh, kw]), VIEW_ORDER);
}

/** [O, C/G taps] in one of the ways above. */
function gradientFrom(graph: Graph, x: Sym, image: Sym, errors: Sym, w: WindowGeometry, groups: number): Sym {
  const [n, outputs] = errors.shape;
  if (groups === 1 && isTiny(n, outputs, w)) {
    const taps = tapsOfAll(graph, x, w);
    const flat = together(graph, errors, 0);
    return sumOfProducts(graph, flat, reshape(graph, taps, [1, ...taps.shape]), 1);
  }
  if (isShift(w) && !isGapDear(image, w, outputs)) return shifted(graph, image, errors, w, groups);
  return byWindows(graph, gathered(graph, x, w), errors, groups);
}

function isShift(w: WindowGeometry): boolean {
  return isUnitStride(w) && w.input[0] === w.output[0] && w.input[1] === w.output[1];
}

/** Zeros after an image between others: as many as a tap reaches out of it, backwards or forwards. */
function gapAfter(w: WindowGeometry): number {
  const [top, left] = w.pads;
  const [, width] = w.input;
  const [down, right] = [0, 1].map((axis) => w.dilation[axis] * (w.kernel[axis] - 1) - w.pads[axis]);
  return Math.max(top * width + left, down * width + right);
}

/** Whether the product over all images would be dear for the zeros between them. */
function isGapDear(image: Sym, w: WindowGeometry, outputs: number): boolean {
  const [n, inputs, height, width] = image.shape;
  const [kh, kw] = w.kernel;
  const pixels = height * width;
  const isTogether = takesImagesTogether(
    n,
    kh * kw * inputs * outputs,
    (kh * inputs + kw * outputs) * pixels,
  );
  return isTogether && kh * kw <= MOST_GATHERED && (outputs * gapAfter(w)) / pixels > DEAR_GAP;
}

/**
 * Sum over images (and per group) of left right^T: [N,G P,L], [N,G Q,L] -> [G P, Q]. ONNX Runtime reorders the right
 * factor for itself, so that the smaller one stands there.
 */
function sumOfProducts(graph: Graph, left: Sym, right: Sym, groups: number): Sym {
  const [n, p, length] = left.shape;
  const q = right.shape[1] / groups;
  if (groups === 1 && q > p && p < FEW_ROWS)
    return transpose(graph, sumOfProducts(graph, right, left, 1), [1, 0]);
  const byGroup = (x: Sym): Sym =>
    groups === 1 ? x : reshape(graph, x, [n, groups, x.shape[1] / groups, length]);
  const turned = byGroup(right);
  const swap = groups === 1 ? [0, 2, 1] : [0, 1, 3, 2];
  const shape = groups === 1 ? [n, p, q] : [n, groups, p / groups, q];
  const products = graph.node('MatMul', [byGroup(left), transpose(graph, turned, swap)], shape, FLOAT);
  const sum =
    n === 1
      ? products
      : graph.node('ReduceSum', [products, graph.ints([0])], shape.slice(1), FLOAT, { keepdims: 0 });
  return reshape(graph, sum, [p, q]);
}

/** Whether the products of single images are larger than their factors: see the top of the file. */
function takesImagesTogether(n: number, products: number, factors: number): boolean {
  return n > 1 && products > factors;
}

function zeros(shape: Shape): Sym {
  return { shape, dtype: FLOAT, uniform: 0 };
}

/** Copies of [N,C,L] one after the other along each row, `before[i]` zeros before the i-th: [N, C, before + L + ...]. */
function strung(graph: Graph, copies: readonly Sym[], before: readonly number[], total: number): Sym {
  const [n, c, length] = copies[0].shape;
  const parts: Sym[] = [];
  let pending = 0;
  copies.forEach((copy, i) => {
    pending += before[i];
    if (pending > 0) parts.push(zeros([n, c, pending]));
    parts.push(copy);
    pending = total - before[i] - length;
  });
  if (pending > 0) parts.push(zeros([n, c, pending]));
  return concat(graph, parts, 2);
}

/** [N,C,H,W] -> [1, C, N (H W + gap)]: the images of a channel in one row, with zeros after each. */
function together(graph: Graph, x: Sym, gap: number): Sym {
  const [n, c, ...size] = x.shape;
  const pixels = sizeOf(size);
  const rows = reshape(graph, transpose(graph, x, [1, 0, 2, 3]), [c, n, pixels]);
  const padded = gap === 0 ? rows : concat(graph, [rows, zeros([c, n, gap])], 2);
  return reshape(graph, padded, [1, c, n * (pixels + gap)]);
}

/** 1 for the columns whose pixel `offset` further to the right is inside the image; null where all are. */
function columnMask(width: number, offset: number): Sym | null {
  if (offset === 0) return null;
  const values = Float32Array.from({ length: width }, (_, at) =>
    at + offset >= 0 && at + offset < width ? 1 : 0,
  );
  return { shape: [1, 1, 1, width], dtype: FLOAT, values };
}

function shifted(graph: Graph, image: Sym, errors: Sym, w: WindowGeometry, groups: number): Sym {
  const [kh, kw] = w.kernel;
  const [n, inputs, height, width] = image.shape;
  const outputs = errors.shape[1];
  const [top, left] = w.pads;
  const reach = w.dilation[0] * (kh - 1);
  const columnOffsets = Array.from({ length: kw }, (_, j) => j * w.dilation[1] - left);
  const masked = columnOffsets.map((offset) => {
    const mask = columnMask(width, offset);
    return mask === null ? errors : mul(graph, { a: errors, b: mask });
  });

  const pixels = height * width;
  const products = (kh * kw * inputs * outputs) / groups;
  const isTogether = takesImagesTogether(n, products, (kh * inputs + kw * outputs) * pixels);
  const gap = gapAfter(w);
  const flat = (x: Sym): Sym => (isTogether ? together(graph, x, gap) : flattenPixels(graph, x));
  const rows = flat(image);
  const length = rows.shape[2];

  // Copy i of x lies (reach - d i) rows further on, copy j of dy (reach - top) rows and its column offset.
  const errorStarts = columnOffsets.map((offset) => (reach - top) * width + offset);
  const slack = Math.max(0, -Math.min(...errorStarts));
  const rowStarts = Array.from({ length: kh }, (_, i) => slack + (reach - i * w.dilation[0]) * width);
  const starts = errorStarts.map((start) => slack + start);
  const total = length + Math.max(...rowStarts, ...starts);
  const stringOf = (copies: readonly Sym[], before: readonly number[]): Sym => {
    const string = strung(graph, copies, before, total);
    const [images, channels] = string.shape;
    return reshape(graph, string, [images, channels * copies.length, total]);
  };
  const shiftedRows = stringOf(
    rowStarts.map(() => rows),
    rowStarts,
  );
  const shiftedErrors = stringOf(masked.map(flat), starts);
  // [O kw, C/G kh] -> [O, C/G, kh, kw]
  const sum = reshape(graph, sumOfProducts(graph, shiftedErrors, shiftedRows, groups), [
    outputs,
    kw,
    inputs / groups,
    kh,
  ]);
  return transpose(graph, sum, [0, 2, 3, 1]);
}

/** [C taps, 1, kh, kw]: filter c, t is 1 at tap t. */
function oneHotFilters(channels: number, [kh, kw]: readonly [number, number]): Sym {
  const area = kh * kw;
  const values = new Float32Array(channels * area * area);
  for (let filter = 0; filter < channels * area; filter++) values[filter * area + (filter % area)] = 1;
  return { shape: [channels * area, 1, kh, kw], dtype: FLOAT, values };
}

/** The taps of each channel side by side: [N,H,W,C] -> [N, C kh kw, H', W']. */
function gathered(graph: Graph, x: Sym, w: WindowGeometry): Sym {
  const image = toChannelsFirst(graph, x);
  const [n, channels] = image.shape;
  const area = w.kernel[0] * w.kernel[1];
  if (area > MOST_GATHERED) {
    const blocks = taps(graph, x, w).map((block) => reshape(graph, block, [n, channels, 1, ...w.output]));
    return reshape(graph, concat(graph, blocks, 2), [n, channels * area, ...w.output]);
  }
  const attributes = { ...windowAttributes(w), group: channels };
  const shape = [n, channels * area, ...w.output];
  return graph.node('Conv', [image, oneHotFilters(channels, w.kernel)], shape, FLOAT, attributes);
}

/** rows [N, C taps, H', W'], errors [N, O, H', W'] -> [O, C/G taps]. */
function byWindows(graph: Graph, rows: Sym, errors: Sym, groups: number): Sym {
  const [n, inputs, ...size] = rows.shape;
  const outputs = errors.shape[1];
  const isTogether = takesImagesTogether(n, (inputs * outputs) / groups, (inputs + outputs) * sizeOf(size));
  const flat = (x: Sym): Sym => (isTogether ? together(graph, x, 0) : flattenPixels(graph, x));
  return sumOfProducts(graph, flat(errors), flat(rows), groups);
}

/** Most entries of the table of which tap sees the image at which output pixel. */
const LARGEST_TABLE = 2 ** 20;

function isSmallTable(w: WindowGeometry): boolean {
  return sizeOf(w.kernel) * sizeOf(w.output) <= LARGEST_TABLE;
}

/** [pixels, taps]: 1 where a tap lies inside the image. */
function insideTable(w: WindowGeometry): Sym {
  const [kh, kw] = w.kernel;
  const [height, width] = w.output;
  const isInside = (axis: 0 | 1, at: number, tap: number): boolean => {
    const place = at * w.stride[axis] + tap * w.dilation[axis] - w.pads[axis];
    return place >= 0 && place < w.input[axis];
  };
  const values = Float32Array.from({ length: height * width * kh * kw }, (_, i) => {
    const tap = i % (kh * kw);
    const pixel = Math.floor(i / (kh * kw));
    const row = isInside(0, Math.floor(pixel / width), Math.floor(tap / kw));
    return row && isInside(1, pixel % width, tap % kw) ? 1 : 0;
  });
  return { shape: [height * width, kh * kw], dtype: FLOAT, values };
}

/**
 * The gradient for an image [x, 1 - x]: that for x, and for the other half what a channel of ones gets less that for x.
 * A channel of ones gets the sum of the errors whose tap lies inside the image. Half the work.
 */
function forInverse(graph: Graph, x: Sym, dy: Sym, filterShape: Shape, w: WindowGeometry): Sym {
  const [kh, kw, inputs, outputs] = filterShape;
  const half = transpose(
    graph,
    filterGradient(graph, x, dy, [kh, kw, inputs / 2, outputs], w, 1),
    STORED_ORDER,
  );
  const errors = flattenPixels(graph, toChannelsFirst(graph, dy));
  const shape = errors.shape.slice(1);
  const sum = graph.node('ReduceSum', [errors, graph.ints([0])], shape, FLOAT, { keepdims: 0 });
  const ones = graph.node('MatMul', [sum, insideTable(w)], [outputs, kh * kw], FLOAT);
  const other = sub(graph, { a: reshape(graph, ones, [outputs, 1, kh, kw]), b: half });
  return transposedView(concat(graph, [half, other], 1), VIEW_ORDER);
}
