/** The window sum composed of stock tfjs kernels: a convolution of every channel by itself with a filter of ones. */
import * as tf from '@tensorflow/tfjs';
import { composedConv2d, composedConv2dInputGrad } from './composedConv2d.js';
import type { ConvConfig, PoolConfig } from './windows.js';

type Shape4 = readonly [number, number, number, number];

function asConv(p: PoolConfig): ConvConfig {
  return { stride: p.stride, padding: p.padding, dilation: p.dilation, groups: 1 };
}

/** [N,H,W,C] -> [N*C,H,W,1]: one channel an image. */
function channelsToBatch(x: tf.Tensor4D): tf.Tensor4D {
  const [n, h, w, channels] = x.shape;
  return tf.reshape(tf.transpose(x, [0, 3, 1, 2]), [n * channels, h, w, 1]);
}

function batchToChannels(x: tf.Tensor4D, channels: number): tf.Tensor4D {
  const [nc, h, w] = x.shape;
  return tf.transpose(tf.reshape(x, [nc / channels, channels, h, w]), [0, 2, 3, 1]);
}

function ones(p: PoolConfig): tf.Tensor4D {
  return tf.ones([p.kernel[0], p.kernel[1], 1, 1]);
}

/** `sumPool2d` of ops.ts. Runs in the caller's tidy. */
export function composedSumPool2d(x: tf.Tensor4D, p: PoolConfig): tf.Tensor4D {
  return batchToChannels(composedConv2d(channelsToBatch(x), ones(p), asConv(p)), x.shape[3]);
}

/** `sumPool2dGrad` of ops.ts. Runs in the caller's tidy. */
export function composedSumPool2dGrad(dy: tf.Tensor4D, inputShape: Shape4, p: PoolConfig): tf.Tensor4D {
  const [n, h, w, channels] = inputShape;
  const dx = composedConv2dInputGrad(channelsToBatch(dy), ones(p), [n * channels, h, w, 1], asConv(p));
  return batchToChannels(dx, channels);
}
