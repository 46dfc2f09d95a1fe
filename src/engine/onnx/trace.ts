import * as tf from '@tensorflow/tfjs';
import { FactError } from '../../core/errors.js';
import { flattenTree, type TensorTree, type TreeForm } from '../tensorTree.js';
import {
  type DataId,
  holdData,
  rebindVariable,
  registeredVariables,
  releaseData,
  tensorFromInfo,
} from '../tfInternals.js';
import type { OnnxBackend } from './backend.js';
import { isStoredAsFilter, STORED_ORDER } from './filterStorage.js';
import type { GraphParts, NumericDType, Shape, Values } from './graph.js';
import { transpose } from './lower/layout.js';
import { type BakedVariable, Tracer } from './tracer.js';

/** Shape and dtype of an argument of a function to be traced. */
export interface ArgumentSpec {
  readonly name: string;
  readonly shape: Shape;
  readonly dtype: NumericDType;
}

export interface TraceOptions {
  /** Name of the function, for messages and as the graph's name. */
  readonly name: string;
  /** Variables become constants instead of inputs. */
  readonly bake: boolean;
  /** Name of the result without which assignments do not count. */
  readonly keepIf?: string;
  /** The graph will run on one thread. */
  readonly isOneThread?: boolean;
}

export interface TracedOutput {
  readonly name: string;
  readonly shape: Shape;
  readonly dtype: NumericDType;
}

/** A function as a graph, and how its inputs and outputs map to tensors and variables. */
export interface Trace {
  readonly parts: GraphParts;
  readonly outputs: readonly TracedOutput[];
  /** How the outputs make up the function's result. */
  readonly form: TreeForm;
  /** Variables that the graph takes as inputs. */
  readonly fed: readonly tf.Variable[];
  /** Variables that the function assigns: each has an output named by `updateName`. */
  readonly updated: readonly tf.Variable[];
  /** The graph is to run on one thread. */
  readonly isOneThread: boolean;
  /** Place of the output that says whether the updates count; -1: they always do. */
  readonly keepIf: number;
  /** Variables whose values are part of the graph. */
  readonly baked: readonly BakedVariable[];
  /** Number of elements of the largest value that the graph computes with as many rows as the first argument. */
  readonly largestValue: number;
}

/** Name of the graph output that holds a variable's new value. */
export function updateName(variable: tf.Variable): string {
  return `new:${variable.name}`;
}

/**
 * Runs a function once on symbolic arguments and returns its graph. Variables that it assigns get their old values
 * back; nothing is computed. Must be called while `backend` is current.
 * Throws FactError E_TRACE_READ, E_NO_LOWERING, E_TRACE_RESULT, E_TRACE_NEW_VARIABLE, E_TRACE_ASSIGN, E_TRACE_NESTED.
 */
export function traceFunction(
  backend: OnnxBackend,
  fn: (...args: tf.Tensor[]) => TensorTree,
  specs: readonly ArgumentSpec[],
  options: TraceOptions,
): Trace {
  if (backend.tracer !== null) {
    throw new FactError({
      code: 'E_TRACE_NESTED',
      message: `${options.name}: compiled while another function is being compiled`,
      remedy: 'Call the plain function inside the outer one; it becomes part of the same graph.',
    });
  }
  const variables = registeredVariables();
  unshareVariables(backend, variables);
  const before = variables.map((variable) => ({ variable, dataId: variable.dataId as DataId }));
  // assign() would drop the old data: an extra reference keeps it.
  for (const { dataId } of before) holdData(backend, dataId);
  if (options.bake) for (const { dataId } of before) backend.noteUniformValues(dataId);
  const tracer = new Tracer(backend, options.name, variables, options.bake, options.isOneThread);
  backend.tracer = tracer;
  try {
    let trace: Trace | undefined;
    tf.tidy(() => {
      trace = record(tracer, backend, fn, specs, before, options);
    });
    return trace as unknown as Trace;
  } catch (error) {
    // tfjs may have wrapped or swallowed the first error on its way out.
    throw tracer.violation ?? error;
  } finally {
    backend.tracer = null;
    tracer.forgetFolded();
    for (const { variable, dataId } of before) {
      if (variable.dataId !== dataId && !variable.isDisposed) rebindVariable(variable, dataId);
      releaseData(backend, dataId);
    }
    disposeNew(variables);
  }
}

type Before = readonly { readonly variable: tf.Variable; readonly dataId: DataId }[];

function record(
  tracer: Tracer,
  backend: OnnxBackend,
  fn: (...args: tf.Tensor[]) => TensorTree,
  specs: readonly ArgumentSpec[],
  before: Before,
  options: TraceOptions,
): Trace {
  const { graph } = tracer;
  const args = specs.map(({ name, shape, dtype }) =>
    tensorFromInfo(backend.makeSymbolic(graph.input(name, shape, dtype)), backend),
  );
  const result = fn(...args);
  if (tracer.violation !== null) throw tracer.violation;
  const { form, tensors, paths } = flattenTree(result);
  const inputNames = new Set(specs.map((spec) => spec.name));
  const outputs = tensors.map((tensor, i) => {
    const name = inputNames.has(paths[i]) ? `${paths[i]}_out` : paths[i];
    graph.output(tracer.symOf(tensor), name);
    return { name, shape: tensor.shape, dtype: tensor.dtype as NumericDType };
  });
  refuseNewVariables(options.name, before);
  const updated = before
    .filter(({ variable, dataId }) => variable.dataId !== dataId)
    .map(({ variable }) => variable);
  if (options.bake && updated.length > 0) throw bakedAssignment(options.name, updated);
  for (const variable of updated) {
    const value = tracer.symOf(variable);
    const isFilter = isStoredAsFilter(variable.shape, variable.dtype);
    graph.output(isFilter ? transpose(graph, value, STORED_ORDER) : value, updateName(variable));
  }
  const largestValue = graph.largestWithRows(specs[0]?.shape[0] ?? 1);
  const keepIf = options.keepIf === undefined ? -1 : paths.indexOf(options.keepIf);
  return {
    parts: graph.parts(),
    outputs,
    form,
    fed: tracer.fed,
    updated,
    isOneThread: graph.isOneThread,
    keepIf,
    baked: tracer.baked,
    largestValue,
  };
}

/** `a.assign(b)` of two variables makes them share one record; a graph that writes one would write both. */
function unshareVariables(backend: OnnxBackend, variables: readonly tf.Variable[]): void {
  const seen = new Set<DataId>();
  for (const variable of variables) {
    const dataId = variable.dataId as DataId;
    if (seen.has(dataId)) {
      backend.materialize(dataId);
      const copy = (backend.record(dataId).values as Values).slice();
      tf.tidy(() => variable.assign(tf.tensor(copy, variable.shape, variable.dtype)));
    }
    seen.add(variable.dataId as DataId);
  }
}

function newVariables(before: readonly tf.Variable[]): tf.Variable[] {
  const known = new Set(before);
  return registeredVariables().filter((variable) => !known.has(variable));
}

function disposeNew(before: readonly tf.Variable[]): void {
  for (const variable of newVariables(before)) variable.dispose();
}

function refuseNewVariables(name: string, before: Before): void {
  const created = newVariables(before.map(({ variable }) => variable));
  if (created.length === 0) return;
  throw new FactError({
    code: 'E_TRACE_NEW_VARIABLE',
    message: `${name}: creates variables while it is compiled: ${created.map((variable) => variable.name).join(', ')}`,
    remedy:
      'Create variables (optimiser slots, layer weights) before the function is called for the first time.',
  });
}

function bakedAssignment(name: string, updated: readonly tf.Variable[]): FactError {
  return new FactError({
    code: 'E_TRACE_ASSIGN',
    message: `${name}: assigns ${updated.map((variable) => variable.name).join(', ')}, but is compiled with baked variables`,
    remedy: 'Compile it without `bake`, or keep it from assigning variables.',
  });
}
