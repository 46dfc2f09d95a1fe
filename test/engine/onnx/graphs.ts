/* Graphs for tests of passes: traced, run as they stand, counted. */
import * as tf from '@tensorflow/tfjs';
import { Random } from '../../../src/core/random.js';
import { OnnxBackend } from '../../../src/engine/onnx/backend.js';
import type { GraphParts, Values } from '../../../src/engine/onnx/graph.js';
import { sizeOf } from '../../../src/engine/onnx/graph.js';
import { serializeModel } from '../../../src/engine/onnx/proto.js';
import { traceFunction } from '../../../src/engine/onnx/trace.js';
import type { TensorTree } from '../../../src/engine/tensorTree.js';

function backend(): OnnxBackend {
  const current = tf.backend();
  if (!(current instanceof OnnxBackend)) throw new Error('the test needs engine onnx');
  return current;
}

/** The graph of a function of one tensor `x`, variables baked in, before any pass. */
export function traced(fn: (x: tf.Tensor) => TensorTree, shape: readonly number[]): GraphParts {
  const specs = [{ name: 'x', shape, dtype: 'float32' as const }];
  return traceFunction(backend(), fn as (...args: tf.Tensor[]) => TensorTree, specs, {
    name: 'test',
    bake: true,
  }).parts;
}

/** Numbers in [0, 1). */
export function randomImage(shape: readonly number[], seed: number): Float32Array {
  const random = new Random(seed);
  return Float32Array.from({ length: sizeOf(shape) }, () => random.next());
}

/** Runs a graph whose only input is `x`; results by name. */
export async function runGraph(
  parts: GraphParts,
  x: Float32Array,
  shape: readonly number[],
): Promise<Record<string, Values>> {
  const { runtime } = backend();
  const session = await runtime.graphSession(serializeModel(parts, 'test'));
  const results = await session.run({ x: runtime.tensor('float32', x, shape) });
  await session.release();
  return Object.fromEntries(parts.outputs.map(({ name }) => [name, results[name].data as Values]));
}

/** How many nodes of a kind a graph has. */
export function count(parts: GraphParts, op: string): number {
  return parts.nodes.filter((node) => node.op === op).length;
}

/** Number of elements of all constants. */
export function storedNumbers(parts: GraphParts): number {
  return parts.constants.reduce((sum, { dims }) => sum + sizeOf(dims), 0);
}
