import onnxProto from 'onnx-proto';
import { sha256 } from '../../core/hash.js';

const { ModelProto } = onnxProto.onnx;

/** Constants with less data than this are not worth sharing. */
const SMALL_BYTES = 256;

/**
 * Merges equal constants of a model. ONNX Runtime, rewriting layouts, makes a copy of a weight for each node that uses
 * it: a graph with many passes through the same layers grows several times over, on disk and in memory.
 */
export function shareConstants(bytes: Uint8Array): Uint8Array {
  const model = ModelProto.decode(bytes);
  const { graph } = model;
  if (!graph?.initializer || !graph.node) return bytes;
  // A constant that is a result of the graph keeps its name.
  const results = new Set(graph.output?.map((port) => port.name));
  const kept = new Map<string, string>();
  const renamed = new Map<string, string>();
  graph.initializer = graph.initializer.filter(({ name, dims, dataType, rawData }) => {
    if (!name || !rawData || rawData.length < SMALL_BYTES || results.has(name)) return true;
    const key = `${dataType}[${dims}]${sha256(rawData)}`;
    const same = kept.get(key);
    if (same === undefined) kept.set(key, name);
    else renamed.set(name, same);
    return same === undefined;
  });
  // Subgraphs may use outer names too: models with any are left as they are.
  if (graph.node.some((node) => node.attribute?.some(({ g, graphs }) => g || graphs?.length))) return bytes;
  for (const node of graph.node) node.input = node.input?.map((name) => renamed.get(name) ?? name) ?? [];
  return ModelProto.encode(model).finish();
}
