import onnxProto from 'onnx-proto';
import {
  type AttributeValue,
  type GraphConstant,
  type GraphNode,
  type GraphParts,
  type GraphPort,
  ONNX_TYPE,
} from './graph.js';

const { AttributeProto, ModelProto } = onnxProto.onnx;

/** Opset 17 is read by every ONNX Runtime since 1.12 (2022), in native, Python and browser builds. */
export const OPSET = 17;
const IR_VERSION = 8;
const PRODUCER = 'fact-tfjs';

/** What a file says about itself beside its graph. */
export interface ModelNotes {
  /** Version of this package. */
  readonly producerVersion?: string;
  /** For people. */
  readonly description?: string;
  /** metadata_props, in this order. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** Description of each input and output, by name. */
  readonly ports?: Readonly<Record<string, string>>;
}

function attribute(name: string, value: AttributeValue): onnxProto.onnx.IAttributeProto {
  const type = AttributeProto.AttributeType;
  if (typeof value === 'number') return { name, type: type.INT, i: value };
  if (typeof value === 'string') return { name, type: type.STRING, s: new TextEncoder().encode(value) };
  if ('float' in value) return { name, type: type.FLOAT, f: value.float };
  if ('graph' in value) return { name, type: type.GRAPH, g: graphProto(value.graph, name, {}) };
  return { name, type: type.INTS, ints: [...value] };
}

function node(source: GraphNode): onnxProto.onnx.INodeProto {
  return {
    opType: source.op,
    input: [...source.inputs],
    output: [...source.outputs],
    attribute: Object.entries(source.attributes).map(([name, value]) => attribute(name, value)),
  };
}

function tensor({ name, type, dims, data }: GraphConstant): onnxProto.onnx.ITensorProto {
  // raw_data is little-endian, as are typed arrays on every platform that ONNX Runtime supports.
  const rawData = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return { name, dataType: ONNX_TYPE[type], dims: [...dims], rawData };
}

function port(source: GraphPort, text: string | undefined): onnxProto.onnx.IValueInfoProto {
  const { name, type, dims } = source;
  const elemType = ONNX_TYPE[type];
  if (source.isShapeless) return { name, type: { tensorType: { elemType } } };
  const dim = dims.map((size) => (typeof size === 'string' ? { dimParam: size } : { dimValue: size }));
  const described = text === undefined ? {} : { docString: text };
  return { name, type: { tensorType: { elemType, shape: { dim } } }, ...described };
}

function graphProto(
  parts: GraphParts,
  name: string,
  texts: Readonly<Record<string, string>>,
): onnxProto.onnx.IGraphProto {
  return {
    name,
    node: parts.nodes.map(node),
    initializer: parts.constants.map(tensor),
    input: parts.inputs.map((one) => port(one, texts[one.name])),
    output: parts.outputs.map((one) => port(one, texts[one.name])),
  };
}

/** Writes a graph as the bytes of an ONNX ModelProto (opset 17, standard domain only). Equal arguments, equal bytes. */
export function serializeModel(parts: GraphParts, name: string, notes: ModelNotes = {}): Uint8Array {
  const { producerVersion, description, metadata = {}, ports = {} } = notes;
  return ModelProto.encode({
    irVersion: IR_VERSION,
    producerName: PRODUCER,
    ...(producerVersion === undefined ? {} : { producerVersion }),
    ...(description === undefined ? {} : { docString: description }),
    opsetImport: [{ domain: '', version: OPSET }],
    metadataProps: Object.entries(metadata).map(([key, value]) => ({ key, value })),
    graph: graphProto(parts, name, ports),
  }).finish();
}

/** Reads the bytes of an ONNX model back; for tests and for `inspect`. */
export function parseModel(bytes: Uint8Array): onnxProto.onnx.ModelProto {
  return ModelProto.decode(bytes);
}
