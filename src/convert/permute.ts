import { toFloat32 } from './castTensor.js';
import { lazyTensor, type NamedTensor } from './dtypes.js';

/**
 * A tensor with its axes in another order, as float32: axis i of the result is axis `order[i]` of the source. The numbers
 * are moved when they are asked for.
 */
export function permuted(tensor: NamedTensor, order: readonly number[]): NamedTensor {
  const shape = order.map((axis) => tensor.shape[axis]);
  return lazyTensor(tensor.name, 'float32', shape, () => {
    const values = toFloat32(tensor);
    const strides = tensor.shape.map((_, i) => tensor.shape.slice(i + 1).reduce((p, d) => p * d, 1));
    const steps = order.map((axis) => strides[axis]);
    const out = new Float32Array(values.length);
    const index = shape.map(() => 0);
    let from = 0;
    for (let i = 0; i < out.length; i++) {
      out[i] = values[from];
      for (let axis = shape.length - 1; axis >= 0; axis--) {
        from += steps[axis];
        if (++index[axis] < shape[axis]) break;
        from -= steps[axis] * shape[axis];
        index[axis] = 0;
      }
    }
    return new Uint8Array(out.buffer);
  });
}
