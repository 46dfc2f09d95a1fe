import * as tf from '@tensorflow/tfjs';
import type { Optimizer } from './optimizers/index.js';
import type { NamedWeight } from './weights.js';

/** Variables of a run beside the network's own, keyed by weight name, so that a changed set of weights never mixes them up. */
export interface TrainingVariables {
  /** `slots.get('fc.linear.weight').moment1` */
  readonly slots: ReadonlyMap<string, Readonly<Record<string, tf.Variable>>>;
  /** Moving average of each weight and buffer; null without EMA. */
  readonly average: ReadonlyMap<string, tf.Variable> | null;
  /** Sum of gradients of the batches of an update; null where each batch is an update. */
  readonly gradients: ReadonlyMap<string, tf.Variable> | null;
}

let created = 0;

/** A variable of zeros like another; tfjs wants each name once a process. */
function zeros(like: tf.Variable, name: string): tf.Variable {
  created += 1;
  return tf.tidy(() => tf.variable(tf.zeros(like.shape, like.dtype), false, `train${created}/${name}`));
}

/** Creates the variables of a run. The caller disposes them with `disposeTrainingVariables`. */
export function createTrainingVariables(
  weights: readonly NamedWeight[],
  optimizer: Optimizer,
  options: { readonly average: boolean; readonly accumulate: boolean },
): TrainingVariables {
  const parameters = weights.filter((weight) => weight.isParameter);
  return {
    slots: new Map(
      parameters.map(({ name, variable }) => [
        name,
        Object.fromEntries(optimizer.slotNames.map((slot) => [slot, zeros(variable, `${name}/${slot}`)])),
      ]),
    ),
    average: options.average
      ? new Map(weights.map(({ name, variable }) => [name, zeros(variable, `${name}/average`)]))
      : null,
    gradients: options.accumulate
      ? new Map(parameters.map(({ name, variable }) => [name, zeros(variable, `${name}/gradient`)]))
      : null,
  };
}

export function disposeTrainingVariables(variables: TrainingVariables): void {
  for (const slots of variables.slots.values()) tf.dispose(Object.values(slots));
  for (const map of [variables.average, variables.gradients]) tf.dispose([...(map?.values() ?? [])]);
}
