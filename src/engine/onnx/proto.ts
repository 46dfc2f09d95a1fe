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
const OPSET = 17;
const IR_VERSION = 8;
const PRODUCER = 'fact-tfjs';

function attribute(name: string, value: AttributeValue): onnxProto.onnx.IAttributeProto {
  const type = AttributeProto.AttributeType;
  if (typeof value === 'number') return { name, type: type.INT, i: value };
  if (typeof value === 'string') return { name, type: type.STRING, s: new TextEncoder().encode(value) };
  if ('float' in value) return { name, type: type.FLOAT, f: value.float };
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

function port({ name, type, dims }: GraphPort): onnxProto.onnx.IValueInfoProto {
  const dim = dims.map((size) => (typeof size === 'string' ? { dimParam: size } : { dimValue: size }));
  return { name, type: { tensorType: { elemType: ONNX_TYPE[type], shape: { dim } } } };
}

/** Writes a graph as the bytes of an ONNX ModelProto (opset 17, standard domain only). */
export function serializeModel(parts: GraphParts, name: string): Uint8Array {
  return ModelProto.encode({
    irVersion: IR_VERSION,
    producerName: PRODUCER,
    opsetImport: [{ domain: '', version: OPSET }],
    graph: {
      name,
      node: parts.nodes.map(node),
      initializer: parts.constants.map(tensor),
      input: parts.inputs.map(port),
      output: parts.outputs.map(port),
    },
  }).finish();
}

/** Reads the bytes of an ONNX model back; for tests and for `inspect`. */
export function parseModel(bytes: Uint8Array): onnxProto.onnx.ModelProto {
  return ModelProto.decode(bytes);
}
