import type * as tf from '@tensorflow/tfjs';
import { FactError } from '../core/errors.js';

/** A number for both axes, or [height, width]. */
export type Pair = number | readonly [number, number];

/** A wrong constructor argument: FactError E_LAYER_CONFIG that names layer, argument, expected and received. */
export function configError(layer: string, argument: string, expected: string, received: unknown): FactError {
  return new FactError({
    code: 'E_LAYER_CONFIG',
    message: `${layer}: ${argument} must be ${expected}, received ${JSON.stringify(received) ?? String(received)}`,
    remedy: `Pass another value for ${argument}.`,
  });
}

/** A whole number >= `least`. Throws FactError E_LAYER_CONFIG. */
export function wholeNumber(layer: string, argument: string, value: unknown, least: number): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < least)
    throw configError(layer, argument, `a whole number >= ${least}`, value);
  return value;
}

/** A finite number >= `least`. Throws FactError E_LAYER_CONFIG. */
export function finiteNumber(
  layer: string,
  argument: string,
  value: unknown,
  least = Number.NEGATIVE_INFINITY,
): number {
  if (typeof value !== 'number' || !Number.isFinite(value) || value < least) {
    const bound = least === Number.NEGATIVE_INFINITY ? '' : ` >= ${least}`;
    throw configError(layer, argument, `a finite number${bound}`, value);
  }
  return value;
}

/** One of the known values. Throws FactError E_LAYER_CONFIG. */
export function oneOf<T extends string>(
  layer: string,
  argument: string,
  value: unknown,
  known: readonly T[],
): T {
  const found = known.find((item) => item === value);
  if (found === undefined) throw configError(layer, argument, `one of ${known.join(', ')}`, value);
  return found;
}

/** A number or pair of whole numbers >= `least`, as a pair. Throws FactError E_LAYER_CONFIG. */
export function wholePair(layer: string, argument: string, value: unknown, least: number): [number, number] {
  const pair = Array.isArray(value) ? value : [value, value];
  if (pair.length !== 2 || pair.some((v) => typeof v !== 'number' || !Number.isInteger(v) || v < least))
    throw configError(layer, argument, `a whole number >= ${least} or a pair of them`, value);
  return [pair[0], pair[1]];
}

/** The last axis of a symbolic input shape, which must be known. Throws FactError E_LAYER_INPUT. */
export function channelsOf(layer: tf.layers.Layer, shape: tf.Shape | tf.Shape[], rank?: number): number {
  const single = singleShape(shape);
  const channels = single[single.length - 1];
  if (channels === null || (rank !== undefined && single.length !== rank)) {
    throw new FactError({
      code: 'E_LAYER_INPUT',
      message: `${layer.name}: input of shape [${single.join(',')}], expected ${
        rank === undefined ? 'a known last axis' : `${rank} axes, the last one known`
      }`,
      remedy:
        'Layers here take channels-last inputs: [batch, height, width, channels] or [batch, ..., features].',
    });
  }
  return channels;
}

/** The shape of a layer's only input. */
export function singleShape(shape: tf.Shape | tf.Shape[]): tf.Shape {
  return (Array.isArray(shape[0]) ? shape[0] : shape) as tf.Shape;
}

/** The tensor of a layer's only input. */
export function singleInput(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
  return Array.isArray(inputs) ? inputs[0] : inputs;
}
