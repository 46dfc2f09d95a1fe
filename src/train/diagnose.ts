import * as tf from '@tensorflow/tfjs';
import { FactError } from '../core/errors.js';
import type { CallArgs } from '../layers/callArgs.js';
import { type LossFunction, rowLosses } from './losses/losses.js';
import type { NamedWeight } from './weights.js';

function isNotFinite(tensor: tf.Tensor): boolean {
  return !tensor.dataSync().every(Number.isFinite);
}

/** The first layer, in the order of computing, with an output that is not finite in training mode; null if none has. */
function firstBadOutput(network: tf.LayersModel, images: tf.Tensor4D, args: CallArgs): string | null {
  let first: string | null = null;
  const originals = network.layers.map((layer) => ({ layer, call: layer.call }));
  try {
    for (const { layer, call } of originals) {
      layer.call = (inputs, kwargs) => {
        const output = call.call(layer, inputs, kwargs);
        if (first === null && [output].flat().some(isNotFinite)) first = layer.name;
        return output;
      };
    }
    tf.tidy(() => {
      network.apply(images, { ...args });
    });
  } finally {
    for (const { layer, call } of originals) layer.call = call;
  }
  return first;
}

/** The weight nearest to the output whose gradient is not finite; null if there is none. */
function lastBadGradient(
  network: tf.LayersModel,
  weights: readonly NamedWeight[],
  loss: LossFunction,
  images: tf.Tensor4D,
  targets: tf.Tensor2D,
  args: CallArgs,
): string | null {
  const parameters = weights.filter((weight) => weight.isParameter);
  const { value, grads } = tf.variableGrads(
    () => rowLosses(loss, network.apply(images, { ...args }) as tf.Tensor2D, targets).mean(),
    parameters.map((weight) => weight.variable),
  );
  const bad = parameters.findLast(({ variable }) => {
    const gradient = grads[variable.name];
    return gradient !== undefined && gradient !== null && isNotFinite(gradient);
  });
  tf.dispose([value, grads]);
  return bad?.name ?? null;
}

/**
 * Finds out where a step went wrong, operation by operation, with the weights that it started from, and returns the
 * error E_NAN that names the step and the first layer whose output (else the first weight, from the loss on, whose
 * gradient) is not finite.
 */
export function diagnose(
  network: tf.LayersModel,
  weights: readonly NamedWeight[],
  loss: LossFunction,
  images: tf.Tensor4D,
  targets: tf.Tensor2D,
  args: CallArgs,
  where: {
    readonly step: number;
    readonly epoch: number;
    readonly loss: number;
  },
): FactError {
  const spoilt = weights.find(({ variable, isParameter }) => isParameter && isNotFinite(variable));
  const layer = spoilt === undefined ? firstBadOutput(network, images, args) : null;
  const gradient =
    layer === null && spoilt === undefined
      ? lastBadGradient(network, weights, loss, images, targets, args)
      : null;
  const reason =
    spoilt !== undefined
      ? `the weight ${spoilt.name} is not finite`
      : layer !== null
        ? `the first output that is not finite is that of layer ${layer}`
        : gradient !== null
          ? `the first gradient that is not finite, from the loss on, is that of ${gradient}`
          : 'the norm of the gradients overflows';
  return new FactError({
    code: 'E_NAN',
    message: `step ${where.step} (epoch ${where.epoch}): the loss is ${where.loss}; ${reason}`,
    remedy: 'Lower optimizer.rate or set clip.adaptive; the last checkpoint of the run is kept.',
  });
}
