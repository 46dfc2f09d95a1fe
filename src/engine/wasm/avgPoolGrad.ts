/**
 * Gradient of tfjs's average pooling. It divides by the number of pixels of the window that lie inside the image, so at
 * a padded edge a pixel's share is larger; tfjs's own gradient kernel divides by the whole window there.
 */
import * as tf from '@tensorflow/tfjs';
import type { Native } from './native.js';
import { type Geometry, sumPool } from './windows.js';

/** dy [N,H',W',C] -> dx of the pooled image's shape. Runs in the caller's tidy. */
export function avgPoolGrad(native: Native, g: Geometry, dy: tf.Tensor): tf.TensorInfo {
  const [, height, width] = g.image;
  const area: Geometry = { ...g, image: [1, height, width, 1], filters: 1, groups: 1 };
  const counts = sumPool(native, area, tf.ones([1, height, width, 1]), 'sumPool');
  const share = tf.div(dy, tf.engine().makeTensorFromTensorInfo(counts));
  return sumPool(native, g, share, 'sumPoolGrad');
}
