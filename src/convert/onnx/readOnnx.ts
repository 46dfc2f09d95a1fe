import onnxProto from 'onnx-proto';
import { messageOf } from '../../core/errors.js';
import type { ByteSource } from '../byteSource.js';
import { type CheckpointErrors, quoted } from '../checkpointError.js';
import type { NamedTensor } from '../dtypes.js';
import { byteLengthOf } from '../dtypes.js';
import { FREE_TENSOR_BYTES, MAX_NAMES_TEXT, MAX_ONNX_BYTES, MAX_TENSORS, TENSOR_FACTOR } from '../limits.js';
import type { ExternalFiles } from './externalData.js';
import { type OnnxContent, onnxTensor, wholeOf } from './onnxTensor.js';
import { readSkeleton } from './skeleton.js';

const { ModelProto, TypeProto } = onnxProto.onnx;

/** Opsets of the standard domain that are known here. */
const OPSETS = { from: 7, to: 27 } as const;
/** Names of the standard domain. */
const STANDARD = ['', 'ai.onnx'];
/** Operators that compute with graphs inside them. */
const WITH_GRAPHS = ['If', 'Loop', 'Scan', 'SequenceMap'];

/** A node: what is computed, from which values, and its plain attributes. */
export interface OnnxNode {
  readonly op: string;
  readonly name: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly ints: ReadonlyMap<string, readonly number[]>;
  readonly floats: ReadonlyMap<string, number>;
}

/** Input or output of the graph; a dimension without a fixed size is null. */
export interface OnnxPort {
  readonly name: string;
  /** TensorProto.DataType; 1 is float32. */
  readonly type: number;
  readonly shape: readonly (number | null)[];
}

/** An ONNX file: its constants as tensors, its nodes in the order of computation. */
export interface OnnxGraph {
  readonly opset: number;
  readonly nodes: readonly OnnxNode[];
  /** Initialisers, and the values of `Constant` nodes, by the names that nodes use. */
  readonly constants: ReadonlyMap<string, NamedTensor>;
  /** Names of the initialisers among them. */
  readonly initialisers: readonly string[];
  readonly inputs: readonly OnnxPort[];
  readonly outputs: readonly OnnxPort[];
  readonly metadata: ReadonlyMap<string, string>;
}

/** True where the first bytes of a file are those of a ModelProto: `ir_version`, then another of its fields. */
export function looksLikeOnnx(head: Uint8Array): boolean {
  const [first, version, next] = head;
  return (
    first === 0x08 && version > 0 && version < 32 && [0x12, 0x1a, 0x22, 0x28, 0x32, 0x3a, 0x42].includes(next)
  );
}

/**
 * Reads an ONNX file; the numbers of its tensors on demand. Nothing of it is computed.
 * Throws FactError E_CKPT_CORRUPT, _TRUNCATED, _TOO_LARGE, _UNSUPPORTED (functions, nested graphs, sparse tensors, other
 * domains and opsets), _UNSAFE (files outside the model's folder).
 */
export function readOnnx(
  source: ByteSource,
  files: ExternalFiles | null,
  errors: CheckpointErrors,
): OnnxGraph {
  if (source.size > MAX_ONNX_BYTES)
    throw errors.fault('too_large', '', `${source.size} bytes, an ONNX file has at most ${MAX_ONNX_BYTES}`);
  const { bytes, ranges } = readSkeleton(source, errors);
  let model: onnxProto.onnx.ModelProto;
  try {
    model = ModelProto.decode(bytes);
  } catch (error) {
    throw errors.fault('corrupt', '', `it is no ONNX model: ${quoted(messageOf(error))}`);
  }
  const { graph } = model;
  if (graph == null) throw errors.fault('corrupt', '', 'it is no ONNX model: there is no graph in it');
  const refused = (what: string): Error => errors.fault('unsupported', '', what, EXPORT_REMEDY);
  if (model.functions.length > 0) throw refused('it defines functions of its own');
  if (model.trainingInfo.length > 0) throw refused('it is a training graph');
  if ((graph.sparseInitializer ?? []).length > 0) throw refused('it has sparse tensors');
  if ((graph.quantizationAnnotation ?? []).length > 0) throw refused('it is quantised');
  const opset = opsetOf(model, errors);
  const content: OnnxContent = { source, ranges, files, errors };
  const constants = new Map<string, NamedTensor>();
  let characters = 0;
  let tensorBytes = 0;
  const keep = (name: string, proto: onnxProto.onnx.ITensorProto, where: string): void => {
    if (constants.has(name)) throw errors.fault('corrupt', where, 'the name is there twice');
    const tensor = onnxTensor(proto, name, where, content);
    characters += name.length;
    tensorBytes += byteLengthOf(tensor);
    if (
      constants.size >= MAX_TENSORS ||
      characters > MAX_NAMES_TEXT ||
      tensorBytes > FREE_TENSOR_BYTES + TENSOR_FACTOR * source.size * (files === null ? 1 : 1024)
    )
      throw errors.fault('too_large', where, 'more tensors than any network has');
    constants.set(name, tensor);
  };
  for (const proto of graph.initializer ?? []) {
    const name = proto.name ?? '';
    keep(name, proto, `initialiser ${quoted(name)}`);
  }
  const initialisers = new Set(constants.keys());
  const nodes: OnnxNode[] = [];
  for (const proto of graph.node ?? []) nodes.push(nodeOf(proto, keep, errors));
  checkOrder(graph, nodes, constants, errors);
  return {
    opset,
    nodes,
    constants,
    initialisers: [...initialisers],
    inputs: (graph.input ?? []).filter(({ name }) => !initialisers.has(name ?? '')).map(portOf),
    outputs: (graph.output ?? []).map(portOf),
    metadata: new Map(model.metadataProps.map(({ key, value }) => [key ?? '', value ?? ''])),
  };
}

const EXPORT_REMEDY = 'Export the network as a plain graph of standard operators, or convert its checkpoint.';

function opsetOf(model: onnxProto.onnx.ModelProto, errors: CheckpointErrors): number {
  let opset = 0;
  for (const { domain, version } of model.opsetImport) {
    const number = wholeOf(version);
    if (!STANDARD.includes(domain ?? ''))
      throw errors.fault(
        'unsupported',
        '',
        `it uses operators of the domain ${quoted(domain ?? '')}`,
        EXPORT_REMEDY,
      );
    if (!(number >= OPSETS.from && number <= OPSETS.to))
      throw errors.fault(
        'unsupported',
        '',
        `opset ${number}; ${OPSETS.from} to ${OPSETS.to} are known`,
        EXPORT_REMEDY,
      );
    opset = number;
  }
  if (opset === 0) throw errors.fault('corrupt', '', 'it names no opset');
  return opset;
}

function nodeOf(
  proto: onnxProto.onnx.INodeProto,
  keep: (name: string, tensor: onnxProto.onnx.ITensorProto, where: string) => void,
  errors: CheckpointErrors,
): OnnxNode {
  const op = proto.opType ?? '';
  const name = proto.name ?? '';
  const where = `node ${quoted(name === '' ? (proto.output?.[0] ?? '') : name)} (${quoted(op)})`;
  if (!STANDARD.includes(proto.domain ?? ''))
    throw errors.fault(
      'unsupported',
      where,
      `it is of the domain ${quoted(proto.domain ?? '')}`,
      EXPORT_REMEDY,
    );
  if (WITH_GRAPHS.includes(op))
    throw errors.fault('unsupported', where, 'a graph inside the graph', EXPORT_REMEDY);
  const ints = new Map<string, readonly number[]>();
  const floats = new Map<string, number>();
  for (const attribute of proto.attribute ?? []) {
    const key = attribute.name ?? '';
    if (attribute.g != null || (attribute.graphs ?? []).length > 0)
      throw errors.fault('unsupported', where, 'a graph inside the graph', EXPORT_REMEDY);
    if (attribute.sparseTensor != null || (attribute.sparseTensors ?? []).length > 0)
      throw errors.fault('unsupported', where, 'a sparse tensor', EXPORT_REMEDY);
    if ((attribute.ints ?? []).length > 0) ints.set(key, (attribute.ints ?? []).map(wholeOf));
    else if (attribute.i != null) ints.set(key, [wholeOf(attribute.i)]);
    if (attribute.f != null) floats.set(key, attribute.f);
    if (op === 'Constant' && attribute.t != null) keep(proto.output?.[0] ?? '', attribute.t, where);
  }
  return { op, name, inputs: proto.input ?? [], outputs: proto.output ?? [], ints, floats };
}

/** Every value is made once, before it is used: no cycles. Throws corrupt. */
function checkOrder(
  graph: onnxProto.onnx.IGraphProto,
  nodes: readonly OnnxNode[],
  constants: ReadonlyMap<string, NamedTensor>,
  errors: CheckpointErrors,
): void {
  const made = new Set<string>(['', ...(graph.input ?? []).map(({ name }) => name ?? '')]);
  for (const name of constants.keys()) made.add(name);
  const constantOutputs = new Set(
    nodes.filter(({ op }) => op === 'Constant').flatMap(({ outputs }) => outputs),
  );
  for (const { op, name, inputs, outputs } of nodes) {
    const missing = inputs.find((input) => !made.has(input));
    if (missing !== undefined)
      throw errors.fault(
        'corrupt',
        `node ${quoted(name)} (${quoted(op)})`,
        `it uses ${quoted(missing)} before that is made: a cycle, or nodes out of order`,
      );
    for (const output of outputs) {
      if (output === '') continue;
      if (made.has(output) && !constantOutputs.has(output))
        throw errors.fault('corrupt', `node ${quoted(name)}`, `${quoted(output)} is made twice`);
      made.add(output);
    }
  }
  for (const { name } of graph.output ?? [])
    if (!made.has(name ?? ''))
      throw errors.fault('corrupt', `output ${quoted(name ?? '')}`, 'no node makes it');
}

function portOf(proto: onnxProto.onnx.IValueInfoProto): OnnxPort {
  const type = proto.type == null ? null : TypeProto.create(proto.type).tensorType;
  const dims = type?.shape?.dim ?? [];
  return {
    name: proto.name ?? '',
    type: wholeOf(type?.elemType ?? 0),
    shape: dims.map(({ dimValue }) => {
      const size = dimValue == null ? Number.NaN : wholeOf(dimValue);
      return size > 0 ? size : null;
    }),
  };
}
