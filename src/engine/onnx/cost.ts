import { type GraphNode, type GraphParts, type Shape, sizeOf } from './graph.js';

/** What a graph computes and moves, counted from its shapes. */
export interface GraphCost {
  /** Operations of convolutions and matrix products, a multiplication and an addition counted as two. */
  readonly flops: number;
  /** Bytes that those nodes alone must read and write: everything else could in principle be fused into them. */
  readonly productBytes: number;
  /** Bytes that all nodes read and write as they stand, views left out. */
  readonly bytes: number;
}

/** Nodes that copy nothing. */
const VIEWS = new Set(['Reshape', 'Identity', 'Shape', 'Squeeze', 'Unsqueeze', 'Flatten']);
const ELEMENT_BYTES: Readonly<Record<string, number>> = {
  int64: 8,
  float64: 8,
  float16: 2,
  bool: 1,
  int8: 1,
  uint8: 1,
};

type ShapeOf = (name: string) => Shape;

/** Operations of one node; 0 where it is no product. */
function flopsOf({ op, inputs, outputs, attributes }: GraphNode, shape: ShapeOf): number {
  const result = sizeOf(shape(outputs[0]));
  if (op === 'Conv') return 2 * result * sizeOf(shape(inputs[1]).slice(1));
  // Each input element meets its whole row of weights.
  if (op === 'ConvTranspose') return 2 * sizeOf(shape(inputs[0])) * sizeOf(shape(inputs[1]).slice(1));
  if (op === 'MatMul' || op === 'MatMulInteger') return 2 * result * (shape(inputs[0]).at(-1) ?? 1);
  if (op !== 'Gemm') return 0;
  const [rows, columns] = shape(inputs[0]);
  return 2 * result * (attributes.transA === 1 ? rows : columns);
}

/** Counts a graph whose sizes are all known. Values of unknown shape count as empty. */
export function graphCost(parts: GraphParts): GraphCost {
  const shapes = new Map<string, Shape>();
  const width = new Map<string, number>();
  for (const { name, dims, type } of [...parts.inputs, ...parts.constants]) {
    shapes.set(name, dims.map(Number));
    width.set(name, ELEMENT_BYTES[type] ?? 4);
  }
  for (const [name, { shape, dtype }] of parts.values ?? []) {
    shapes.set(name, shape);
    width.set(name, ELEMENT_BYTES[dtype] ?? 4);
  }
  const shapeOf: ShapeOf = (name) => shapes.get(name) ?? [0];
  const bytesOf = (name: string): number => sizeOf(shapeOf(name)) * (width.get(name) ?? 4);
  let [flops, productBytes, bytes] = [0, 0, 0];
  for (const node of parts.nodes) {
    if (VIEWS.has(node.op)) continue;
    const own = flopsOf(node, shapeOf);
    const moved = [...new Set(node.inputs), ...node.outputs].reduce((sum, name) => sum + bytesOf(name), 0);
    flops += own;
    bytes += moved;
    if (own > 0) productBytes += moved;
  }
  return { flops, productBytes, bytes };
}
