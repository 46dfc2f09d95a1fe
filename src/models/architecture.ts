import * as tf from '@tensorflow/tfjs';

/** A function from symbolic input to symbolic output: a layer, or several wired together. Weights are made once. */
export type Wiring = (x: tf.SymbolicTensor) => tf.SymbolicTensor;

/** A named part of a network; its output is a tap. */
export interface Stage {
  readonly name: string;
  readonly wire: Wiring;
  /** Its layers that may have weights, in state-dict order. */
  readonly layers: readonly tf.layers.Layer[];
}

/** A network as a chain of stages; their layers one after the other are in the order of PyTorch's state dict. */
export interface Architecture {
  readonly stages: readonly Stage[];
  /** Names of the stages worth splicing at. */
  readonly taps: readonly string[];
  /** Module path of the classifier's last map, which depends on the number of classes; null: there is none. */
  readonly head: string | null;
}

/** Collects layers in state-dict order while a network is described. */
export class LayerList {
  readonly layers: tf.layers.Layer[] = [];
  private readonly initialise: boolean;

  /** @param initialise false leaves weights zero, for networks whose weights are read from a file at once. */
  constructor(initialise: boolean) {
    this.initialise = initialise;
  }

  /** A stage of the layers that `describe` adds. */
  stage(name: string, describe: () => Wiring): Stage {
    const start = this.layers.length;
    const wire = describe();
    return { name, wire, layers: this.layers.slice(start) };
  }

  /** Adds a layer; returns it as a wiring. */
  add(layer: tf.layers.Layer): Wiring {
    if (!this.initialise) layer.setFastWeightInitDuringBuild(true);
    this.layers.push(layer);
    return (x) => layer.apply(x) as tf.SymbolicTensor;
  }
}

/** Wirings one after the other. */
export function chain(...parts: readonly Wiring[]): Wiring {
  return (x) => parts.reduce((value, part) => part(value), x);
}

/** The sum of two branches from the same input, as a layer of that name. */
export function sumOf(name: string, first: Wiring, second: Wiring): Wiring {
  const add = tf.layers.add({ name });
  return (x) => add.apply([first(x), second(x)]) as tf.SymbolicTensor;
}

export const straight: Wiring = (x) => x;
