import * as tf from '@tensorflow/tfjs';
import { FactError } from '../core/errors.js';
import { layoutOf, stateName } from '../layers/stateLayout.js';

/** One tensor of a network's state dict, by PyTorch's name, shape and layout. */
export interface StateEntry {
  /** "layer1.0.conv1.linear.weight" */
  readonly name: string;
  readonly shape: readonly number[];
  readonly dtype: 'float32' | 'int64';
  /** Trained by gradient, frozen or not; false for running statistics and counters. */
  readonly isParameter: boolean;
  /** The tfjs variable behind it, in tfjs's layout. */
  readonly variable: tf.Variable;
  /** Values of a tensor like the variable (its gradient, an optimiser's slot), put into PyTorch's layout. */
  toTorch(values: Float32Array): Float32Array;
  /** The reverse of `toTorch`. */
  fromTorch(values: Float32Array): Float32Array;
  /** A copy of the values in PyTorch's layout. */
  read(): Float32Array | BigInt64Array;
  /** Values in PyTorch's layout as the variable holds them; nothing is written. Throws FactError E_STATE_VALUE. */
  toVariable(values: Float32Array | BigInt64Array): Float32Array | Int32Array;
  /** Replaces the values, given in PyTorch's layout. Throws FactError E_STATE_VALUE. */
  write(values: Float32Array | BigInt64Array): void;
}

/** PyTorch's names of what a forward pass updates, not the gradient. */
const BUFFERS: ReadonlySet<string> = new Set(['running_mean', 'running_var', 'num_batches_tracked']);

const INT32_LIMIT = 2n ** 31n;

function valueError(name: string, message: string): FactError {
  return new FactError({
    code: 'E_STATE_VALUE',
    message: `${name}: ${message}`,
    remedy: 'Check that the file holds a state dict of this architecture.',
  });
}

function entryOf(layer: tf.layers.Layer, weight: tf.LayerVariable): StateEntry {
  const parameter = weight.originalName.slice(weight.originalName.lastIndexOf('/') + 1);
  const name = stateName(layer, parameter);
  const layout = layoutOf(layer, parameter);
  const variable = weight.read() as tf.Variable;
  const isCounter = layout.rule === 'counter';
  const assign = (values: Float32Array | Int32Array): void => {
    const dtype = isCounter ? 'int32' : 'float32';
    tf.tidy(() => {
      weight.write(tf.tensor(values, variable.shape, dtype));
    });
  };
  const toVariable = (values: Float32Array | BigInt64Array): Float32Array | Int32Array => {
    if (values.length !== variable.size)
      throw valueError(name, `${values.length} values, expected ${variable.size}`);
    if (values instanceof BigInt64Array !== isCounter)
      throw valueError(name, `expected ${isCounter ? 'int64' : 'float32'} values`);
    if (!(values instanceof BigInt64Array)) return layout.fromTorch(values, variable.shape);
    if (values.some((v) => v >= INT32_LIMIT || v < -INT32_LIMIT))
      throw valueError(name, 'the counter does not fit into 32 bits');
    return Int32Array.from(values, Number);
  };
  return {
    name,
    shape: layout.torchShape(variable.shape),
    dtype: isCounter ? 'int64' : 'float32',
    isParameter: !BUFFERS.has(parameter),
    variable,
    toTorch: (values) => layout.toTorch(values, variable.shape),
    fromTorch: (values) => layout.fromTorch(values, variable.shape),
    read: () =>
      isCounter
        ? BigInt64Array.from(variable.dataSync(), (v) => BigInt(v))
        : layout.toTorch(variable.dataSync() as Float32Array, variable.shape),
    toVariable,
    write: (values) => assign(toVariable(values)),
  };
}

/** The state dict of layers in PyTorch's order: parameters, then buffers, of each layer in turn. */
export function stateDictOf(layers: readonly tf.layers.Layer[]): StateEntry[] {
  return layers.flatMap((layer) => layer.weights.map((weight) => entryOf(layer, weight)));
}
