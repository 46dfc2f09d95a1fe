import * as tf from '@tensorflow/tfjs';
import { tensorFromInfo } from '../../tfInternals.js';
import type { TensorflowBackend } from '../backend.js';

export type Info = tf.TensorInfo;
export type Inputs = Readonly<Record<string, Info>>;

/** A kernel of tfjs on this backend. `A` is what tfjs documents as its attributes. */
export type Kernel<A = never> = (backend: TensorflowBackend, inputs: Inputs, attrs: A) => Info | Info[];

/** Kernels by tfjs's names; each knows the type of its own attributes. */
export type KernelTable = Readonly<Record<string, Kernel>>;

/** The inputs of kernels that take a list. */
export function listOf(inputs: Inputs): Info[] {
  return Object.values(inputs);
}

export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((a, b) => a * b, 1);
}

/** A result of the backend as a tensor of the current tidy. */
export function asTensor(info: Info, backend: TensorflowBackend): tf.Tensor {
  return info instanceof tf.Tensor ? info : tensorFromInfo(info, backend);
}
