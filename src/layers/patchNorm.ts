/** Sums of squares over the patch below each output of a convolution, one a group, and the way back to the image. */
import type * as tf from '@tensorflow/tfjs';
import { type ConvConfig, sumPool2d, sumPool2dGrad } from '../engine/ops.js';
import { spreadGroups, sumOfSquares } from './groupSums.js';

type Kernel = readonly [number, number];
type Shape4 = [number, number, number, number];

/** Each output sees one position of the input: the sum over the patch is none. */
function isPointwise(kernel: Kernel, c: ConvConfig): boolean {
  return [...kernel, ...c.stride].every((v) => v === 1) && c.padding.every((v) => v === 0);
}

/** P = patch sum of x^2: [N,H,W,C] -> [N,H',W',groups]. The sum over channels comes first. */
export function patchSquares(x: tf.Tensor4D, kernel: Kernel, c: ConvConfig): tf.Tensor4D {
  const plane = sumOfSquares(x, c.groups);
  return isPointwise(kernel, c) ? plane : sumPool2d(plane, { ...c, kernel });
}

/**
 * Transpose of the patch sum without the factor 2 x of the square: [N,H',W',groups] -> a plane that broadcasts against
 * the image [N,H,W,C].
 */
export function patchSquaresBack(
  plane: tf.Tensor4D,
  inputShape: Shape4,
  kernel: Kernel,
  c: ConvConfig,
): tf.Tensor4D {
  const [n, h, w, channels] = inputShape;
  const back = isPointwise(kernel, c) ? plane : sumPool2dGrad(plane, [n, h, w, c.groups], { ...c, kernel });
  return spreadGroups(back, channels);
}
