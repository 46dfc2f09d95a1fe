/* What a tfjs network computes with its weights, in the order of computation; weights in PyTorch's layout. */
import { type CheckpointErrors, quoted } from '../checkpointError.js';
import { lazyTensor, type NamedTensor } from '../dtypes.js';
import { permuted } from '../permute.js';
import { UseList, type WeightUse } from '../recognise/structure.js';
import type { Json } from '../strictJson.js';

type Weights = ReadonlyMap<string, NamedTensor>;
type JsonObject = ReadonlyMap<string, Json>;

const OIHW = [3, 2, 0, 1];

function objectOf(value: Json | undefined): JsonObject {
  return value instanceof Map ? (value as JsonObject) : new Map();
}

function textOf(value: Json | undefined): string {
  return typeof value === 'string' ? value : '';
}

/** Filters [height, width, in, out], or [height, width, in, multiplier] of a depthwise convolution, or a matrix [in, out]. */
export function inTorchLayout(tensor: NamedTensor, isDepthwise = false): NamedTensor {
  if (tensor.shape.length === 2) return permuted(tensor, [1, 0]);
  if (tensor.shape.length !== 4) return tensor;
  if (!isDepthwise) return permuted(tensor, OIHW);
  const [height, width, channels, multiplier] = tensor.shape;
  const moved = permuted(tensor, [2, 3, 0, 1]);
  return lazyTensor(tensor.name, 'float32', [channels * multiplier, 1, height, width], () => moved.bytes);
}

/** Keras's names of parameters, in PyTorch's words. */
const PARAMETERS = new Map([
  ['kernel', 'weight'],
  ['depthwise_kernel', 'weight'],
  ['gamma', 'weight'],
  ['beta', 'bias'],
  ['moving_mean', 'running_mean'],
  ['moving_variance', 'running_var'],
]);

/** The weights under names and in the layout of PyTorch: `conv1/kernel` is `conv1.weight`. */
export function torchTensors(weights: Weights): NamedTensor[] {
  return [...weights.values()].map((tensor) => {
    const parts = tensor.name.replace(/:0$/, '').split('/');
    const parameter = parts.pop() ?? '';
    const name = [...parts, PARAMETERS.get(parameter) ?? parameter].join('.');
    const moved = inTorchLayout(tensor, parameter === 'depthwise_kernel');
    return lazyTensor(name, moved.dtype, moved.shape, () => moved.bytes, tensor);
  });
}

/** Layers of a Keras model in order, nested models opened. */
function layersIn(topology: JsonObject, depth = 0): JsonObject[] {
  const config = objectOf(topology.get('model_config') ?? topology.get('config') ?? topology);
  const inner = objectOf(config.get('config') ?? config);
  const list = inner.get('layers');
  const layers = Array.isArray(list) ? (list as readonly Json[]) : [];
  return layers.flatMap((item) => {
    const layer = objectOf(item);
    const isModel = Array.isArray(objectOf(layer.get('config')).get('layers')) && depth < 16;
    return isModel ? layersIn(layer, depth + 1) : [layer];
  });
}

/** Uses of a LayersModel: by its layers. */
export function layersUses(topology: JsonObject, weights: Weights): WeightUse[] {
  const byLayer = new Map<string, Map<string, NamedTensor>>();
  for (const [name, tensor] of weights) {
    const [parameter, layer = ''] = name.replace(/:0$/, '').split('/').reverse();
    const own = byLayer.get(layer) ?? new Map<string, NamedTensor>();
    byLayer.set(layer, own.set(parameter, tensor));
  }
  const uses = new UseList();
  let previous = '';
  for (const layer of layersIn(topology)) {
    const config = objectOf(layer.get('config'));
    const name = textOf(config.get('name'));
    const inputs = inputsOf(layer.get('inbound_nodes'));
    if (inputs.length === 0) inputs.push(previous);
    previous = name;
    uses.flow(inputs, [name]);
    const own = byLayer.get(name);
    if (own === undefined) continue;
    const kernel = own.get('kernel') ?? own.get('depthwise_kernel');
    const part = (parameter: string): NamedTensor | null => own.get(parameter) ?? null;
    if (kernel !== undefined) {
      const tensor = inTorchLayout(kernel, own.has('depthwise_kernel'));
      uses.add({ kind: 'weights', tensor, bias: part('bias') }, name);
    } else if (own.has('gamma') || own.has('beta') || own.has('moving_mean')) {
      const epsilon = config.get('epsilon');
      const norm: WeightUse = {
        kind: 'norm',
        scale: part('gamma'),
        offset: part('beta'),
        mean: part('moving_mean'),
        variance: part('moving_variance'),
        epsilon: typeof epsilon === 'number' ? epsilon : KERAS_EPSILON,
        after: uses.originOf(inputs[0]),
      };
      uses.add(norm, name);
    }
  }
  return uses.all;
}

/** Epsilon of norms where a network names none: Keras's own. */
const KERAS_EPSILON = 1e-3;

/** Names of the layers that a layer takes its input from: the first text of each innermost list. */
function inputsOf(nodes: Json | undefined): string[] {
  if (!Array.isArray(nodes)) return [];
  const [first] = nodes as readonly Json[];
  if (typeof first === 'string') return [first];
  return (nodes as readonly Json[]).flatMap((node) => inputsOf(node));
}

interface GraphNode {
  readonly name: string;
  readonly op: string;
  readonly inputs: readonly string[];
  readonly attributes: JsonObject;
}

/** Nodes of a GraphModel, each behind those that it reads from. Throws corrupt for a cycle. */
function nodesOf(topology: JsonObject, errors: CheckpointErrors): GraphNode[] {
  const list = topology.get('node');
  const nodes = new Map<string, GraphNode>();
  for (const item of Array.isArray(list) ? (list as readonly Json[]) : []) {
    const node = objectOf(item);
    const name = textOf(node.get('name'));
    const input = node.get('input');
    const inputs = Array.isArray(input)
      ? (input as readonly Json[]).map((one) => textOf(one)).filter((one) => !one.startsWith('^'))
      : [];
    if (nodes.has(name)) throw errors.fault('corrupt', `node ${quoted(name)}`, 'it is there twice');
    nodes.set(name, {
      name,
      op: textOf(node.get('op')),
      inputs: inputs.map((one) => one.replace(/:\d+$/, '')),
      attributes: objectOf(node.get('attr')),
    });
  }
  const order: GraphNode[] = [];
  const state = new Map<string, 'open' | 'done'>();
  for (const first of nodes.values()) {
    const stack = [{ node: first, next: 0 }];
    if (state.has(first.name)) continue;
    state.set(first.name, 'open');
    for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
      const input = top.node.inputs[top.next++];
      if (input === undefined) {
        state.set(top.node.name, 'done');
        order.push(top.node);
        stack.pop();
        continue;
      }
      const node = nodes.get(input);
      if (node === undefined || state.get(input) === 'done') continue;
      if (state.get(input) === 'open')
        throw errors.fault('corrupt', `node ${quoted(input)}`, 'it is in a cycle');
      state.set(input, 'open');
      stack.push({ node, next: 0 });
    }
  }
  return order;
}

/** Uses of a GraphModel: by its nodes. */
export function graphUses(topology: JsonObject, weights: Weights, errors: CheckpointErrors): WeightUse[] {
  const constants = new Map(weights);
  const uses = new UseList();
  for (const node of nodesOf(topology, errors)) {
    const [first = '', second = ''] = node.inputs;
    const at = (index: number): NamedTensor | null => constants.get(node.inputs[index] ?? '') ?? null;
    const passed = constants.get(first);
    if (['Identity', 'Reshape', 'Squeeze', 'ExpandDims'].includes(node.op) && passed !== undefined) {
      constants.set(node.name, passed);
      continue;
    }
    uses.flow(node.inputs, [node.name]);
    if (['Identity', 'Reshape', 'Squeeze', 'ExpandDims'].includes(node.op)) {
      uses.pass(first, node.name);
      continue;
    }
    const use = graphUse(node, at, uses.originOf(first));
    if (use !== null) {
      uses.add(use, node.name);
      continue;
    }
    const constant = at(1) ?? at(0);
    if (constant === null || constant.shape.filter((size) => size > 1).length > 1) continue;
    const other = at(1) === null ? second : first;
    if (node.op === 'Mul') uses.scale(constant, false, other, node.name);
    else if (['BiasAdd', 'Add', 'AddV2'].includes(node.op)) uses.offset(constant, other, node.name);
  }
  return uses.all;
}

function graphUse(
  node: GraphNode,
  at: (index: number) => NamedTensor | null,
  after: number,
): WeightUse | null {
  const weights = at(1);
  const isFused = node.op.startsWith('_Fused') || node.op.startsWith('Fused');
  switch (node.op) {
    case 'Conv2D':
    case '_FusedConv2D':
      if (weights?.shape.length !== 4) return null;
      return { kind: 'weights', tensor: inTorchLayout(weights), bias: isFused ? at(2) : null };
    case 'DepthwiseConv2dNative':
    case 'FusedDepthwiseConv2dNative':
      if (weights?.shape.length !== 4) return null;
      return { kind: 'weights', tensor: inTorchLayout(weights, true), bias: isFused ? at(2) : null };
    case 'MatMul':
    case '_FusedMatMul': {
      if (weights?.shape.length !== 2) return null;
      const isTransposed = objectOf(node.attributes.get('transpose_b')).get('b') === true;
      const tensor = isTransposed ? weights : inTorchLayout(weights);
      return { kind: 'weights', tensor, bias: isFused ? at(2) : null };
    }
    case 'FusedBatchNorm':
    case 'FusedBatchNormV2':
    case 'FusedBatchNormV3': {
      const epsilon = objectOf(node.attributes.get('epsilon')).get('f');
      return {
        kind: 'norm',
        scale: at(1),
        offset: at(2),
        mean: at(3),
        variance: at(4),
        epsilon: typeof epsilon === 'number' ? epsilon : KERAS_EPSILON,
        after,
      };
    }
    default:
      return null;
  }
}
