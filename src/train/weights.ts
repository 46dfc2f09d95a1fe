import type * as tf from '@tensorflow/tfjs';
import { FactError } from '../core/errors.js';
import { nearestName } from '../core/nearest.js';
import { stateName } from '../layers/stateLayout.js';
import type { LayerWithState, StateRule } from '../layers/stateRule.js';

/** A weight or buffer of a network under its PyTorch name, which pairs it with its slots (never its position). */
export interface NamedWeight {
  /** e.g. `layer1.0.conv1.linear.weight`. */
  readonly name: string;
  readonly layer: tf.layers.Layer;
  readonly variable: tf.Variable;
  /** False for buffers such as running variances. */
  readonly isParameter: boolean;
  /** How it lies against PyTorch's layout. */
  readonly rule: StateRule;
}

/** Whether a module path or weight name lies at or below a prefix: `layer1` covers `layer1.0.conv1`, not `layer10`. */
export function isBelow(name: string, prefix: string): boolean {
  return name === prefix || name.startsWith(`${prefix}.`);
}

/** All weights and buffers of a network in its order. Throws FactError E_WEIGHT_NAMES where two have one name. */
export function namedWeights(network: tf.LayersModel): NamedWeight[] {
  const seen = new Set<string>();
  return network.layers.flatMap((layer) =>
    layer.weights.map((weight) => {
      const parameter = weight.originalName.slice(weight.originalName.lastIndexOf('/') + 1);
      const name = stateName(layer, parameter);
      if (seen.has(name)) {
        throw new FactError({
          code: 'E_WEIGHT_NAMES',
          message: `two weights of the network are called ${name}`,
          remedy: 'Give its layers different names.',
        });
      }
      seen.add(name);
      const isParameter = layer.trainableWeights.includes(weight);
      const rules = (layer as Partial<LayerWithState>).stateRules ?? {};
      return {
        name,
        layer,
        variable: weight.read() as tf.Variable,
        isParameter,
        rule: rules[parameter] ?? 'same',
      };
    }),
  );
}

/** Checks that each prefix of a recipe covers at least one weight. Throws FactError E_CONFIG with the nearest module. */
export function checkPrefixes(
  key: string,
  prefixes: readonly string[],
  weights: readonly NamedWeight[],
): void {
  const modules = [
    ...new Set(
      weights.flatMap(({ name }) => {
        const parts = name.split('.');
        return parts.map((_, i) => parts.slice(0, i + 1).join('.'));
      }),
    ),
  ];
  for (const prefix of prefixes) {
    if (modules.includes(prefix)) continue;
    const near = nearestName(prefix, modules);
    throw new FactError({
      code: 'E_CONFIG',
      message: `${key}: no module "${prefix}" in this network`,
      remedy:
        near === undefined
          ? `Top modules: ${modules.filter((m) => !m.includes('.')).join(', ')}.`
          : `Did you mean "${near}"?`,
      exitCode: 2,
    });
  }
}

/**
 * Keeps the layers below the given prefixes as they are: their weights are no parameters any more and they are called
 * in evaluation mode, so that their norms use and keep their running statistics.
 */
export function freeze(network: tf.LayersModel, prefixes: readonly string[]): void {
  for (const layer of network.layers) {
    if (!prefixes.some((prefix) => isBelow(layer.name, prefix))) continue;
    const call = layer.call.bind(layer);
    layer.call = (inputs, kwargs) => call(inputs, { ...kwargs, training: false });
    layer.trainable = false;
  }
}
