import * as tf from '@tensorflow/tfjs';
import { FactError } from '../../../core/errors.js';
import type { Graph, Shape, Sym } from '../graph.js';

/** Inputs of a kernel by name; those of a kernel that takes a list are named '0', '1', ... */
export type Inputs = Readonly<Record<string, Sym>>;
export type Attrs = Readonly<Record<string, unknown>>;

/** Turns one call of a tfjs kernel into ONNX nodes: the same function serves eager and traced execution. */
export type Lowering = (graph: Graph, inputs: Inputs, attrs: Attrs) => Sym | Sym[];
export type LoweringTable = Readonly<Record<string, Lowering>>;

/** Attributes of a kernel as tfjs declares them for it; tfjs hands them over untyped. */
export function attrsOf<T>(attrs: Attrs): T {
  return attrs as unknown as T;
}

/** The inputs of a kernel that takes a list of tensors, in order. */
export function listOf(inputs: Inputs): Sym[] {
  return Object.values(inputs);
}

/** Axis in [0, rank). */
export function positiveAxis(axis: number, rank: number): number {
  return axis < 0 ? rank + axis : axis;
}

/** Sorted axes in [0, rank) of a tfjs axis parameter (number, list, or undefined for all). */
export function axesOf(axis: number | readonly number[] | undefined | null, shape: Shape): number[] {
  return tf.util.parseAxisParam(axis as number | number[], [...shape]).sort((a, b) => a - b);
}

export function broadcastShape(a: Shape, b: Shape): number[] {
  return tf.backend_util.assertAndGetBroadcastShape([...a], [...b]);
}

/** For arguments that a kernel allows and that have no ONNX form here. */
export function unsupported(kernel: string, what: string): FactError {
  return new FactError({
    code: 'E_NO_LOWERING',
    message: `kernel ${kernel} with ${what} has no ONNX form`,
    remedy: 'Express the operation through other tfjs operations, or run with --no-compile.',
  });
}
