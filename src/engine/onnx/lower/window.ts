import * as tf from '@tensorflow/tfjs';
import { type Graph, type Shape, type Sym, sizeOf } from '../graph.js';
import { reshape, slice, transpose } from './layout.js';
import { unsupported } from './lowering.js';

type Pair = readonly [number, number];

/** A window sliding over an image: sizes are [height, width], pads ONNX's [top, left, bottom, right]. */
export interface WindowGeometry {
  readonly kernel: Pair;
  readonly stride: Pair;
  readonly dilation: Pair;
  readonly pads: readonly [number, number, number, number];
  readonly input: Pair;
  readonly output: Pair;
}

interface StockAttrs {
  readonly strides: number | [number, number];
  readonly pad: 'valid' | 'same' | number | tf.backend_util.ExplicitPadding;
  readonly dilations?: number | [number, number];
  readonly dimRoundingMode?: 'floor' | 'round' | 'ceil';
  readonly dataFormat?: string;
}

function fromInfo(c: tf.backend_util.Conv2DInfo): WindowGeometry {
  const { top, left, bottom, right } = c.padInfo;
  const w: WindowGeometry = {
    kernel: [c.filterHeight, c.filterWidth],
    stride: [c.strideHeight, c.strideWidth],
    dilation: [c.dilationHeight, c.dilationWidth],
    pads: [top, left, bottom, right],
    input: [c.inHeight, c.inWidth],
    output: [c.outHeight, c.outWidth],
  };
  // tfjs may round up, and with numeric padding it takes the height's kernel and stride for the width too.
  const surplus = outputPadding(w);
  if (surplus.some((rows, axis) => rows < 0 || rows >= w.stride[axis])) {
    throw unsupported('Conv2D or pooling', 'an output size that is not rounded down');
  }
  return w;
}

/** Geometry of one of tfjs's own convolutions. */
export function stockConvolution(
  image: Shape,
  filter: Shape,
  a: StockAttrs,
  depthwise: boolean,
): WindowGeometry {
  if (a.dataFormat === 'NCHW') throw unsupported('Conv2D', 'dataFormat NCHW');
  const [shape, kernel] = [[...image], [...filter]] as [tf.Tensor4D['shape'], tf.Tensor4D['shape']];
  return fromInfo(
    tf.backend_util.computeConv2DInfo(
      shape,
      kernel,
      a.strides,
      a.dilations ?? 1,
      a.pad,
      a.dimRoundingMode,
      depthwise,
      'channelsLast',
    ),
  );
}

/** Geometry of one of tfjs's own poolings. */
export function stockPooling(
  image: Shape,
  a: StockAttrs & { readonly filterSize: number | [number, number] },
): WindowGeometry {
  const shape = [...image] as tf.Tensor4D['shape'];
  return fromInfo(
    tf.backend_util.computePool2DInfo(shape, a.filterSize, a.strides, 1, a.pad, a.dimRoundingMode),
  );
}

/** Geometry of a window with numeric padding, the same on both sides. */
export function paddedWindow(
  image: Shape,
  kernel: Pair,
  c: { readonly stride: Pair; readonly padding: Pair; readonly dilation: Pair },
): WindowGeometry {
  const positions = (axis: 0 | 1): number =>
    Math.floor(
      (image[axis + 1] + 2 * c.padding[axis] - c.dilation[axis] * (kernel[axis] - 1) - 1) / c.stride[axis],
    ) + 1;
  return {
    kernel,
    stride: c.stride,
    dilation: c.dilation,
    pads: [c.padding[0], c.padding[1], c.padding[0], c.padding[1]],
    input: [image[1], image[2]],
    output: [positions(0), positions(1)],
  };
}

/** ONNX attributes of a window. */
export function windowAttributes(w: WindowGeometry): {
  kernel_shape: Pair;
  strides: Pair;
  dilations: Pair;
  pads: readonly number[];
} {
  return { kernel_shape: w.kernel, strides: w.stride, dilations: w.dilation, pads: w.pads };
}

/** Rows and columns that a transposed window must add at the end to reach the input's size. */
export function outputPadding(w: WindowGeometry): Pair {
  const missing = (axis: 0 | 1): number =>
    w.input[axis] -
    ((w.output[axis] - 1) * w.stride[axis] +
      w.dilation[axis] * (w.kernel[axis] - 1) +
      1 -
      w.pads[axis] -
      w.pads[axis + 2]);
  return [missing(0), missing(1)];
}

export function isUnitStride(w: WindowGeometry): boolean {
  return w.stride[0] === 1 && w.stride[1] === 1;
}

export function isPadded(w: WindowGeometry): boolean {
  return w.pads.some((amount) => amount !== 0);
}

/** NHWC -> NCHW. ONNX Runtime's optimiser cancels these transposes between neighbouring operations. */
export function toChannelsFirst(graph: Graph, x: Sym): Sym {
  return transpose(graph, x, [0, 3, 1, 2]);
}

/** NCHW -> NHWC. */
export function toChannelsLast(graph: Graph, x: Sym): Sym {
  return transpose(graph, x, [0, 2, 3, 1]);
}

/** Adds zeros around an NCHW image. */
export function padImage(graph: Graph, x: Sym, pads: readonly number[]): Sym {
  const [top, left, bottom, right] = pads;
  if (pads.every((amount) => amount === 0)) return x;
  const [n, c, h, w] = x.shape;
  const shape = [n, c, h + top + bottom, w + left + right];
  return graph.node('Pad', [x, graph.ints([0, 0, top, left, 0, 0, bottom, right])], shape, x.dtype);
}

/**
 * What each tap of the window sees: for tap (i, j) the [N,C,H',W'] block of the padded image, in the order of a
 * filter's first two axes.
 */
export function taps(graph: Graph, image: Sym, w: WindowGeometry): Sym[] {
  const padded = padImage(graph, toChannelsFirst(graph, image), w.pads);
  const shape = [padded.shape[0], padded.shape[1], ...w.output];
  const blocks: Sym[] = [];
  for (let i = 0; i < w.kernel[0]; i++) {
    for (let j = 0; j < w.kernel[1]; j++) {
      const begin = [i * w.dilation[0], j * w.dilation[1]];
      if (isUnitStride(w)) {
        blocks.push(slice(graph, padded, [0, 0, ...begin], shape));
        continue;
      }
      const end = begin.map((at, axis) => at + (w.output[axis] - 1) * w.stride[axis] + 1);
      const inputs = [padded, graph.ints(begin), graph.ints(end), graph.ints([2, 3]), graph.ints(w.stride)];
      blocks.push(graph.node('Slice', inputs, shape, image.dtype));
    }
  }
  return blocks;
}

/** [N,C,H,W] -> [N,C,H*W]. */
export function flattenPixels(graph: Graph, x: Sym): Sym {
  const [n, c, ...pixels] = x.shape;
  return reshape(graph, x, [n, c, sizeOf(pixels)]);
}
