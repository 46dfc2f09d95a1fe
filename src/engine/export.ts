import * as tf from '@tensorflow/tfjs';
import { FactError } from '../core/errors.js';
import { ONNX_BACKEND, OnnxBackend } from './onnx/backend.js';
import { mergeBatches, TRACE_BATCHES } from './onnx/dynamic.js';
import type { GraphParts, NumericDType } from './onnx/graph.js';
import { optimise } from './onnx/passes/index.js';
import { serializeModel } from './onnx/proto.js';
import { traceFunction } from './onnx/trace.js';
import type { TensorTree } from './tensorTree.js';

/** An input of an exported graph; null as the first dimension leaves the batch size free. */
export interface ExportInput {
  readonly name: string;
  readonly shape: readonly (number | null)[];
  readonly dtype?: NumericDType;
}

export interface ExportOptions {
  /** The graph's name in the file. */
  readonly name: string;
  /** Default true: variables are stored in the file; false: they are inputs named `variable:<name>`. */
  readonly bake?: boolean;
  /** Changes the traced graph before the passes; must do the same at every batch size. */
  readonly prepare?: (parts: GraphParts) => GraphParts;
}

/** A traced graph, as it was recorded (and prepared) and after the passes; what has equal names in both is equal. */
export interface TracedGraphs {
  readonly plain: GraphParts;
  readonly optimised: GraphParts;
}

/**
 * Traces a function and returns its graph, not yet written: at a free batch size (null in an input's shape) by two
 * traces that are merged. Errors as in `traceToOnnx`.
 */
export function traceGraphs(
  fn: (...args: tf.Tensor[]) => TensorTree,
  inputs: readonly ExportInput[],
  options: ExportOptions,
): TracedGraphs {
  const backend = tf.getBackend() === ONNX_BACKEND ? tf.backend() : null;
  if (!(backend instanceof OnnxBackend)) {
    throw new FactError({
      code: 'E_EXPORT_ENGINE',
      message: `${options.name}: exporting needs engine onnx, the current one is ${tf.getBackend()}`,
      remedy: 'Run with --engine onnx.',
    });
  }
  const traceAt = (batch: number): GraphParts => {
    const specs = inputs.map(({ name, shape, dtype }) => ({
      name,
      shape: shape.map((size) => size ?? batch),
      dtype: dtype ?? ('float32' as const),
    }));
    const { parts } = traceFunction(backend, fn, specs, { name: options.name, bake: options.bake ?? true });
    return options.prepare?.(parts) ?? parts;
  };
  const isFree = inputs.some(({ shape }) => shape.includes(null));
  const [first, second] = TRACE_BATCHES;
  const one = traceAt(first);
  if (!isFree) return { plain: one, optimised: optimise(one) };
  const two = traceAt(second);
  return {
    plain: mergeBatches(one, two, options.name),
    optimised: mergeBatches(optimise(one), optimise(two), options.name),
  };
}

/**
 * Traces a function and returns it as the bytes of a standard ONNX file (opset 17, no custom operators). Outputs are
 * named by their place in the result: `{ logits, maps: [a, b] }` gives `logits`, `maps[0]`, `maps[1]`.
 * Needs engine `onnx` to be current: throws FactError E_EXPORT_ENGINE otherwise, E_DYNAMIC_BATCH where a free batch
 * size is not possible, and the errors of tracing.
 */
export function traceToOnnx(
  fn: (...args: tf.Tensor[]) => TensorTree,
  inputs: readonly ExportInput[],
  options: ExportOptions,
): Uint8Array {
  return serializeModel(traceGraphs(fn, inputs, options).optimised, options.name);
}
