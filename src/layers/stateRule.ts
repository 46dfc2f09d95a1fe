import type * as tf from '@tensorflow/tfjs';

/**
 * How a weight lies in tfjs against PyTorch:
 * `conv` HWIO here, OIHW there; `linear` [in, out] here, [out, in] there; `channels3` [C] here, [C,1,1] there;
 * `counter` int32 scalar here, int64 scalar there; `same` otherwise.
 */
export type StateRule = 'same' | 'conv' | 'linear' | 'channels3' | 'counter';

/** A layer that says how its weights lie, by parameter name; weights it does not name are `same`. */
export interface LayerWithState extends tf.layers.Layer {
  readonly stateRules: Readonly<Record<string, StateRule>>;
}

/** A layer whose weights have another module path in PyTorch than its name; '' for none. */
export interface LayerWithPath extends tf.layers.Layer {
  readonly statePath: string;
}
