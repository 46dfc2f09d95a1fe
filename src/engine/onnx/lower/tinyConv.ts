import { type Graph, type Sym, sizeOf } from '../graph.js';
import { reshape, transpose } from './layout.js';
import { isPadded, isUnitStride, toChannelsFirst, toChannelsLast, type WindowGeometry } from './window.js';

/**
 * Convolutions of many channels over tiny images, such as the last stage of a ResNet: one matrix product of the filters
 * with the taps of all images at once. ONNX Runtime's convolution goes image by image, whose few pixels fill its registers
 * badly. The taps come from a product with a 0/1 table, which for few pixels costs little; the filters' gradient (see
 * filterGradient.ts) takes the same taps. (An infinite pixel makes its whole image NaN here, by 0 times infinity.)
 */

const FLOAT = 'float32';
/** Channels that the product yields, over pixels of an image: above it the table costs less than it brings; measured. */
const LEAST_RATIO = 4;
const MOST_PIXELS = 64;

/** Whether the way of this file is the faster one for filters that the graph computes. */
export function isTiny(n: number, outputs: number, w: WindowGeometry): boolean {
  const pixels = sizeOf(w.input);
  return n > 1 && pixels <= MOST_PIXELS && outputs >= LEAST_RATIO * pixels;
}

/** [input pixels, taps output pixels]: 1 where a tap sees a pixel at an output; `turned`: the last tap first. */
function table(w: WindowGeometry, turned: boolean): Sym {
  const [kh, kw] = w.kernel;
  const [height, width] = w.input;
  const [rows, columns] = w.output;
  const shape = [height * width, kh * kw * rows * columns];
  const values = new Float32Array(sizeOf(shape));
  for (let tap = 0; tap < kh * kw; tap++) {
    const from = turned ? kh * kw - 1 - tap : tap;
    const [i, j] = [Math.floor(from / kw), from % kw];
    for (let pixel = 0; pixel < rows * columns; pixel++) {
      const y = Math.floor(pixel / columns) * w.stride[0] + i * w.dilation[0] - w.pads[0];
      const x = (pixel % columns) * w.stride[1] + j * w.dilation[1] - w.pads[1];
      if (y < 0 || x < 0 || y >= height || x >= width) continue;
      values[(y * width + x) * shape[1] + tap * rows * columns + pixel] = 1;
    }
  }
  return { shape, dtype: FLOAT, values };
}

/** The taps of all images: x [N,H,W,C] -> [C taps, N H' W']. */
export function tapsOfAll(graph: Graph, x: Sym, w: WindowGeometry, turned = false): Sym {
  const [n, height, width, channels] = x.shape;
  const area = sizeOf(w.kernel);
  const pixels = sizeOf(w.output);
  const rows = transpose(graph, toChannelsFirst(graph, x), [1, 0, 2, 3]);
  const flat = reshape(graph, rows, [channels * n, height * width]);
  const isWhole = area === 1 && isUnitStride(w) && !isPadded(w);
  const seen = isWhole
    ? flat
    : graph.node('MatMul', [flat, table(w, turned)], [channels * n, area * pixels], FLOAT);
  const byImage = reshape(graph, seen, [channels, n, area, pixels]);
  return reshape(graph, transpose(graph, byImage, [0, 2, 1, 3]), [channels * area, n * pixels]);
}

/** x [N,H,W,C] with weights [O,C,kh,kw], the taps in reverse order where `turned` -> [N,H',W',O]. */
export function convolveTiny(graph: Graph, x: Sym, weights: Sym, w: WindowGeometry, turned: boolean): Sym {
  const [n] = x.shape;
  const [outputs, ...filter] = weights.shape;
  const taps = tapsOfAll(graph, x, w, turned);
  const rows = reshape(graph, weights, [outputs, sizeOf(filter)]);
  const product = graph.node('MatMul', [rows, taps], [outputs, n * sizeOf(w.output)], FLOAT);
  const byImage = transpose(graph, reshape(graph, product, [outputs, n, ...w.output]), [1, 0, 2, 3]);
  return toChannelsLast(graph, byImage);
}
