import { type Graph, type Shape, type Sym, sameShape } from '../graph.js';

/** A chain of reshapes is one; back in the first shape it is nothing. */
export function reshape(graph: Graph, x: Sym, shape: Shape): Sym {
  const origin = x.origin ?? x;
  if (sameShape(origin.shape, shape)) return origin;
  if (x.uniform !== undefined) return { shape, dtype: x.dtype, uniform: x.uniform, values: x.values };
  return { ...graph.node('Reshape', [origin, graph.ints(shape)], shape, x.dtype), origin };
}
