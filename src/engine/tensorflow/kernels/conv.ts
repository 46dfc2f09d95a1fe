/**
 * Convolutions. TensorFlow's processor kernels compute groups and dilation forward and neither backward; its depthwise
 * kernels know neither dilation nor uneven strides. Where a form is missing, a dilated filter becomes one with zeros
 * between its taps, and groups are split, convolved and joined (`kernels/composedConv2d.ts`).
 */
import * as tf from '@tensorflow/tfjs';
import type { ActivationAttrs } from '../../kernels/activation.js';
import {
  composedConv2d,
  composedConv2dFilterGrad,
  composedConv2dInputGrad,
  dilateFilter,
  undilateFilter,
} from '../../kernels/composedConv2d.js';
import type { ConvConfig } from '../../kernels/windows.js';
import type { TensorflowBackend } from '../backend.js';
import { activated } from './fused.js';
import { asTensor, type Info, type Kernel, type KernelTable } from './kernel.js';
import {
  ownWindow,
  paddedShape,
  paddingOf,
  padList,
  type Shape4,
  type StockAttrs,
  stockConvWindow,
  unpadded,
  type Window,
  windowAttrs,
} from './window.js';

interface OwnAttrs extends ConvConfig {
  readonly inputShape: Shape4;
  readonly filterShape: Shape4;
}

function shape4(t: Info): Shape4 {
  return t.shape as Shape4;
}

/** Height and width. */
function sides(t: Info): number[] {
  return [t.shape[1], t.shape[2]];
}

function isDilated({ dilation }: { readonly dilation: readonly [number, number] }): boolean {
  return dilation[0] !== 1 || dilation[1] !== 1;
}

/** Whether TensorFlow's depthwise kernels take it, a dilated filter being written out. */
function isPlainDepthwise(c: ConvConfig, channels: number): boolean {
  return c.groups === channels && c.groups > 1 && c.stride[0] === c.stride[1];
}

/**
 * The image's gradient as a convolution of dy with the filter turned round, its two channel axes exchanged: for windows
 * that move by one pixel. It knows groups, dilation and explicit padding, and is then two to six times faster than
 * Conv2DBackpropInput. Null where the padding exceeds what the kernel reaches, or the window moves further.
 */
function inputGradAsConv(
  backend: TensorflowBackend,
  dy: Info,
  filter: Info,
  groups: number,
  window: Window,
): Info | null {
  const { kernel, stride, dilation, pads } = window;
  const [kh, kw, inputs, outputs] = shape4(filter);
  const reach = [0, 0, 1, 1].map((axis) => dilation[axis] * (kernel[axis] - 1));
  const turnedPads = reach.map((size, i) => size - pads[i]) as unknown as Window['pads'];
  if (stride[0] !== 1 || stride[1] !== 1 || turnedPads.some((size) => size < 0)) return null;
  return backend.scoped(() => {
    const turned = kh * kw === 1 ? filter : backend.run('ReverseV2', [filter, backend.list([0, 1])]);
    const perGroup = outputs / groups;
    let exchanged: Info;
    if (groups === 1) {
      exchanged = backend.run('Transpose', [turned, backend.list([0, 1, 3, 2])]);
    } else {
      const split = backend.run('Reshape', [turned, backend.list([kh, kw, inputs, groups, perGroup])]);
      const moved = backend.run('Transpose', [split, backend.list([0, 1, 4, 3, 2])]);
      exchanged = backend.run('Reshape', [moved, backend.list([kh, kw, perGroup, groups * inputs])]);
    }
    return backend.run('Conv2D', [dy, exchanged], windowAttrs({ ...window, pads: turnedPads }, sides(dy)));
  });
}

/** dx of a convolution without groups and dilation. */
function inputGrad(backend: TensorflowBackend, dy: Info, filter: Info, image: Shape4, window: Window): Info {
  const run = (shape: Shape4, w: Window): Info =>
    backend.run(
      'Conv2DBackpropInput',
      [backend.list(shape), filter, dy],
      windowAttrs(w, [shape[1], shape[2]]),
    );
  if (paddingOf(window, [image[1], image[2]]) !== 'EXPLICIT') return run(image, window);
  const turned = inputGradAsConv(backend, dy, filter, 1, window);
  if (turned !== null) return turned;
  return backend.scoped(() => {
    const whole = run(paddedShape(image, window), unpadded(window));
    return backend.run('Slice', [
      whole,
      backend.list([0, window.pads[0], window.pads[2], 0]),
      backend.list(image),
    ]);
  });
}

/** df of a convolution without groups and dilation. */
function filterGrad(
  backend: TensorflowBackend,
  x: Info,
  dy: Info,
  filterShape: Shape4,
  window: Window,
): Info {
  const run = (image: Info, w: Window): Info =>
    backend.run('Conv2DBackpropFilter', [image, backend.list(filterShape), dy], windowAttrs(w, sides(image)));
  if (paddingOf(window, sides(x)) !== 'EXPLICIT') return run(x, window);
  return backend.scoped(() =>
    run(backend.run('Pad', [x, backend.list(padList(window), [4, 2])]), unpadded(window)),
  );
}

/** The window of the same filter with its gaps written out as zeros. */
function spread(window: Window): Window {
  const [h, w] = window.kernel;
  const [dh, dw] = window.dilation;
  return { ...window, kernel: [dh * (h - 1) + 1, dw * (w - 1) + 1], dilation: [1, 1] };
}

/** x, filter [kh,kw,C,m] with every channel by itself; strides are equal. */
function depthwise(backend: TensorflowBackend, x: Info, filter: Info, window: Window): Info {
  const run = (f: Info): Info =>
    backend.run('DepthwiseConv2dNative', [x, f], windowAttrs(spread(window), sides(x)));
  if (!isDilated(window)) return run(filter);
  return tf.tidy(() => asTensor(run(dilateFilter(filter as tf.Tensor4D, window.dilation)), backend));
}

function depthwiseInputGrad(
  backend: TensorflowBackend,
  dy: Info,
  filter: Info,
  shape: Shape4,
  window: Window,
): Info {
  const op = 'DepthwiseConv2dNativeBackpropInput';
  const attrs = windowAttrs(spread(window), [shape[1], shape[2]]);
  const run = (f: Info): Info => backend.run(op, [backend.list(shape), f, dy], attrs);
  if (!isDilated(window)) return run(filter);
  return tf.tidy(() => asTensor(run(dilateFilter(filter as tf.Tensor4D, window.dilation)), backend));
}

function depthwiseFilterGrad(
  backend: TensorflowBackend,
  x: Info,
  dy: Info,
  shape: Shape4,
  window: Window,
): Info {
  const op = 'DepthwiseConv2dNativeBackpropFilter';
  const attrs = windowAttrs(spread(window), sides(x));
  if (!isDilated(window)) return backend.run(op, [x, backend.list(shape), dy], attrs);
  const [kh, kw, channels, multiplier] = shape;
  const [dh, dw] = window.dilation;
  const dilated: Shape4 = [dh * (kh - 1) + 1, dw * (kw - 1) + 1, channels, multiplier];
  return tf.tidy(() => {
    const gradient = asTensor(backend.run(op, [x, backend.list(dilated), dy], attrs), backend);
    return undilateFilter(gradient as tf.Tensor4D, shape, window.dilation);
  });
}

/** tfjs's depthwise filters [kh,kw,C,m] as a convolution in C groups, for the forms that `depthwise` lacks. */
function asGroups([kh, kw, channels, multiplier]: Shape4, w: Window): { shape: Shape4; config: ConvConfig } {
  const config = {
    stride: w.stride,
    padding: [w.pads[0], w.pads[2]] as const,
    dilation: w.dilation,
    groups: channels,
  };
  return { shape: [kh, kw, 1, channels * multiplier], config };
}

const STOCK: KernelTable = {
  Conv2D: ((backend, { x, filter }, attrs) => {
    const window = stockConvWindow(shape4(x), shape4(filter), attrs, false);
    return backend.run('Conv2D', [x, filter], windowAttrs(window, sides(x)));
  }) as Kernel<StockAttrs>,
  Conv2DBackpropInput: ((backend, { dy, filter }, attrs) => {
    const window = stockConvWindow(attrs.inputShape, shape4(filter), attrs, false);
    return inputGrad(backend, dy, filter, attrs.inputShape, window);
  }) as Kernel<StockAttrs>,
  Conv2DBackpropFilter: ((backend, { x, dy }, attrs) => {
    const window = stockConvWindow(shape4(x), attrs.filterShape, attrs, false);
    return filterGrad(backend, x, dy, attrs.filterShape, window);
  }) as Kernel<StockAttrs>,
  FusedConv2D: ((backend, inputs, attrs) => {
    const { x, filter } = inputs;
    const window = stockConvWindow(shape4(x), shape4(filter), attrs, false);
    return activated(
      backend,
      backend.run('Conv2D', [x, filter], windowAttrs(window, sides(x))),
      inputs,
      attrs,
    );
  }) as Kernel<StockAttrs & ActivationAttrs>,
  DepthwiseConv2dNative: ((backend, { x, filter }, attrs) =>
    stockDepthwise(backend, x, filter, attrs)) as Kernel<StockAttrs>,
  FusedDepthwiseConv2D: ((backend, inputs, attrs) =>
    activated(backend, stockDepthwise(backend, inputs.x, inputs.filter, attrs), inputs, attrs)) as Kernel<
    StockAttrs & ActivationAttrs
  >,
  DepthwiseConv2dNativeBackpropInput: ((backend, { dy, filter }, attrs) => {
    const window = stockConvWindow(attrs.inputShape, shape4(filter), attrs, true);
    if (window.stride[0] === window.stride[1])
      return depthwiseInputGrad(backend, dy, filter, attrs.inputShape, window);
    const { shape, config } = asGroups(shape4(filter), window);
    return tf.tidy(() =>
      composedConv2dInputGrad(
        dy as tf.Tensor4D,
        tf.reshape(filter as tf.Tensor4D, shape),
        attrs.inputShape,
        config,
      ),
    );
  }) as Kernel<StockAttrs>,
  DepthwiseConv2dNativeBackpropFilter: ((backend, { x, dy }, attrs) => {
    const window = stockConvWindow(shape4(x), attrs.filterShape, attrs, true);
    if (window.stride[0] === window.stride[1])
      return depthwiseFilterGrad(backend, x, dy, attrs.filterShape, window);
    const { shape, config } = asGroups(attrs.filterShape, window);
    return tf.tidy(() =>
      tf.reshape(
        composedConv2dFilterGrad(x as tf.Tensor4D, dy as tf.Tensor4D, shape, config),
        attrs.filterShape,
      ),
    );
  }) as Kernel<StockAttrs>,
};

function stockDepthwise(backend: TensorflowBackend, x: Info, filter: Info, attrs: StockAttrs): Info {
  const window = stockConvWindow(shape4(x), shape4(filter), attrs, true);
  if (window.stride[0] === window.stride[1]) return depthwise(backend, x, filter, window);
  const { shape, config } = asGroups(shape4(filter), window);
  return tf.tidy(() => composedConv2d(x as tf.Tensor4D, tf.reshape(filter as tf.Tensor4D, shape), config));
}

/** [kh,kw,1,C m] -> [kh,kw,C,m]: the same numbers in the same order. */
function perChannel([kh, kw, , filters]: Shape4, channels: number): Shape4 {
  return [kh, kw, channels, filters / channels];
}

const OWN: KernelTable = {
  FactConv2d: ((backend, { x, filter }, c) => {
    const shape = shape4(filter);
    const window = ownWindow([shape[0], shape[1]], c);
    if (!isPlainDepthwise(c, x.shape[3]))
      return backend.run('Conv2D', [x, filter], windowAttrs(window, sides(x)));
    return tf.tidy(() => {
      const channelwise = tf.reshape(filter as tf.Tensor4D, perChannel(shape, x.shape[3]));
      return asTensor(depthwise(backend, x, channelwise, window), backend);
    });
  }) as Kernel<OwnAttrs>,
  FactConv2dInputGrad: ((backend, { dy, filter }, c) => {
    const shape = shape4(filter);
    const { inputShape } = c;
    const window = ownWindow([shape[0], shape[1]], c);
    if (c.groups === 1 && !isDilated(c)) return inputGrad(backend, dy, filter, inputShape, window);
    const isDepthwise = isPlainDepthwise(c, inputShape[3]);
    const turned = isDepthwise ? null : inputGradAsConv(backend, dy, filter, c.groups, window);
    if (turned !== null) return turned;
    return tf.tidy(() => {
      if (!isDepthwise)
        return composedConv2dInputGrad(dy as tf.Tensor4D, filter as tf.Tensor4D, inputShape, c);
      const channelwise = tf.reshape(filter as tf.Tensor4D, perChannel(shape, inputShape[3]));
      return asTensor(depthwiseInputGrad(backend, dy, channelwise, inputShape, window), backend);
    });
  }) as Kernel<OwnAttrs>,
  FactConv2dFilterGrad: ((backend, { x, dy }, c) => {
    const { filterShape } = c;
    const window = ownWindow([filterShape[0], filterShape[1]], c);
    if (c.groups === 1 && !isDilated(c)) return filterGrad(backend, x, dy, filterShape, window);
    return tf.tidy(() => {
      if (!isPlainDepthwise(c, x.shape[3]))
        return composedConv2dFilterGrad(x as tf.Tensor4D, dy as tf.Tensor4D, filterShape, c);
      const shape = perChannel(filterShape, x.shape[3]);
      return tf.reshape(asTensor(depthwiseFilterGrad(backend, x, dy, shape, window), backend), filterShape);
    });
  }) as Kernel<OwnAttrs>,
};

export const CONVOLUTIONS: KernelTable = { ...STOCK, ...OWN };
