/** Windows of convolutions and pools in TensorFlow's terms: every padding is written out as explicit numbers. */
import * as tf from '@tensorflow/tfjs';
import { FactError } from '../../../core/errors.js';
import type { WindowConfig } from '../../kernels/windows.js';
import { ints, type OpAttrs, string } from '../binding.js';

export type Shape4 = [number, number, number, number];

/** A window; pads are rows above, rows below, columns left, columns right. */
export interface Window {
  readonly kernel: readonly [number, number];
  readonly stride: readonly [number, number];
  readonly dilation: readonly [number, number];
  readonly pads: readonly [number, number, number, number];
  /** Height and width of what the windows make of the image. */
  readonly out: readonly [number, number];
}

/** Attributes of tfjs's own convolutions and pools. */
export interface StockAttrs {
  readonly strides: number | [number, number];
  readonly dilations?: number | [number, number];
  readonly pad: 'same' | 'valid' | number | tf.backend_util.ExplicitPadding;
  readonly dimRoundingMode?: 'floor' | 'round' | 'ceil';
  readonly dataFormat?: 'NHWC' | 'NCHW';
  readonly filterSize: number | [number, number];
  readonly inputShape: Shape4;
  readonly filterShape: Shape4;
}

/** Padding behind the image that `count` windows need, where rounding up makes one more than fits. */
function behind(
  size: number,
  before: number,
  after: number,
  kernel: number,
  stride: number,
  count: number,
): number {
  return Math.max(after, (count - 1) * stride + kernel - size - before);
}

function windowOf(c: tf.backend_util.Conv2DInfo): Window {
  const { top, bottom, left, right } = c.padInfo;
  const below = behind(c.inHeight, top, bottom, c.effectiveFilterHeight, c.strideHeight, c.outHeight);
  const after = behind(c.inWidth, left, right, c.effectiveFilterWidth, c.strideWidth, c.outWidth);
  return {
    kernel: [c.filterHeight, c.filterWidth],
    stride: [c.strideHeight, c.strideWidth],
    dilation: [c.dilationHeight, c.dilationWidth],
    pads: [top, below, left, after],
    out: [c.outHeight, c.outWidth],
  };
}

/** The window of one of tfjs's convolution kernels. Throws FactError E_ENGINE_UNSUPPORTED for channels first. */
export function stockConvWindow(
  image: Shape4,
  filter: Shape4,
  attrs: StockAttrs,
  isDepthwise: boolean,
): Window {
  if (attrs.dataFormat === 'NCHW')
    throw new FactError({
      code: 'E_ENGINE_UNSUPPORTED',
      message: 'engine tensorflow: convolution with channels first (NCHW)',
      remedy: 'Use channels last (NHWC), the order of this package.',
    });
  const { strides, dilations, pad, dimRoundingMode } = attrs;
  return windowOf(
    tf.backend_util.computeConv2DInfo(
      image,
      filter,
      strides,
      dilations ?? 1,
      pad,
      dimRoundingMode,
      isDepthwise,
    ),
  );
}

/** The window of one of tfjs's pooling kernels. */
export function stockPoolWindow(image: Shape4, attrs: StockAttrs): Window {
  const { filterSize, strides, pad, dimRoundingMode } = attrs;
  return windowOf(tf.backend_util.computePool2DInfo(image, filterSize, strides, 1, pad, dimRoundingMode));
}

/** The window of one of this package's own kernels. */
export function ownWindow(
  kernel: readonly [number, number],
  c: WindowConfig,
  out: readonly [number, number] = [0, 0],
): Window {
  const [h, w] = c.padding;
  return { kernel, stride: c.stride, dilation: c.dilation, pads: [h, h, w, w], out };
}

/** Whether the pads along one axis are those that TensorFlow adds by itself under the name SAME. */
function isSame(size: number, kernel: number, stride: number, before: number, after: number): boolean {
  const total = Math.max(0, (Math.ceil(size / stride) - 1) * stride + kernel - size);
  return before === Math.floor(total / 2) && after === total - before;
}

export type Padding = 'VALID' | 'SAME' | 'EXPLICIT';

/**
 * The name of a window's padding over an image of this height and width. It matters for speed: TensorFlow's fast
 * gradients of convolutions (oneDNN) take no explicit padding.
 */
export function paddingOf({ kernel, stride, dilation, pads }: Window, image: readonly number[]): Padding {
  if (pads.every((size) => size === 0)) return 'VALID';
  const isAllSame = [0, 1].every((axis) =>
    isSame(
      image[axis],
      dilation[axis] * (kernel[axis] - 1) + 1,
      stride[axis],
      pads[2 * axis],
      pads[2 * axis + 1],
    ),
  );
  return isAllSame ? 'SAME' : 'EXPLICIT';
}

/** The attributes that TensorFlow's convolutions share, for an image of this height and width. */
export function windowAttrs(window: Window, image: readonly number[]): OpAttrs {
  const { stride, dilation, pads } = window;
  const padding = paddingOf(window, image);
  return {
    strides: ints([1, stride[0], stride[1], 1]),
    dilations: ints([1, dilation[0], dilation[1], 1]),
    padding: string(padding),
    ...(padding === 'EXPLICIT' ? { explicit_paddings: ints([0, 0, ...pads, 0, 0]) } : {}),
  };
}

/** Paddings of an NHWC tensor as TensorFlow's Pad takes them: two numbers an axis. */
export function padList({ pads }: Window): number[] {
  return [0, 0, ...pads, 0, 0];
}

/** The window over an image that was padded before. */
export function unpadded(window: Window): Window {
  return { ...window, pads: [0, 0, 0, 0] };
}

/** Shape of an image with the window's padding written out. */
export function paddedShape([n, h, w, c]: Shape4, { pads }: Window): Shape4 {
  return [n, h + pads[0] + pads[1], w + pads[2] + pads[3], c];
}
