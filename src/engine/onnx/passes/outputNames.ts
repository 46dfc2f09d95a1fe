/**
 * Results that take their outputs' names. While a function is traced an output is an Identity of the value that it
 * shows; ONNX Runtime drops such a node only where nothing else reads the value, and copies otherwise: three times the
 * size of the weights in each training step.
 */
import { namesReadBy } from '../edit.js';
import type { GraphNode, GraphParts } from '../graph.js';

/** Names the value behind each output after the output, where it is a node's result and no output already. */
export function nameResults(parts: GraphParts): GraphParts {
  const outputs = new Set(parts.outputs.map((port) => port.name));
  const made = new Set(parts.nodes.flatMap((node) => node.outputs));
  // Names that a subgraph takes from outside stand inside it, where they are not changed here.
  const inner = new Set(
    parts.nodes.flatMap((node) => namesReadBy(node).filter((name) => !node.inputs.includes(name))),
  );
  const names = new Map<string, string>();
  const isShown = ({ op, inputs: [value], outputs: [name] }: GraphNode): boolean => {
    if (op !== 'Identity' || !outputs.has(name)) return false;
    if (!made.has(value) || outputs.has(value) || inner.has(value) || names.has(value)) return false;
    names.set(value, name);
    return true;
  };
  const kept = parts.nodes.filter((node) => !isShown(node));
  if (names.size === 0) return parts;
  const renamed = (name: string): string => names.get(name) ?? name;
  return {
    ...parts,
    nodes: kept.map((node) => ({
      ...node,
      inputs: node.inputs.map(renamed),
      outputs: node.outputs.map(renamed),
    })),
    ...(parts.values === undefined
      ? {}
      : { values: new Map([...parts.values].map(([name, type]) => [renamed(name), type])) }),
  };
}
