/**
 * Matrix products of the `wasm` backend: tfjs's own are fast only for two plain matrices; transposed and batched ones
 * go through a naive loop. These use the packing product of native/gemm.c for every case.
 */
import * as tf from '@tensorflow/tfjs';
import { type ActivationAttrs, activate } from '../kernels/activation.js';
import type { Native } from './native.js';

interface MatMulAttrs {
  readonly transposeA: boolean;
  readonly transposeB: boolean;
}

function product(shape: readonly number[]): number {
  return shape.reduce((a, b) => a * b, 1);
}

/** Index of the matrix of an operand that belongs to matrix `index` of the broadcast result. */
function sourceBatch(index: number, outer: readonly number[], own: readonly number[]): number {
  let rest = index;
  let place = 0;
  let stride = 1;
  for (let axis = outer.length - 1; axis >= 0; axis--) {
    const at = rest % outer[axis];
    rest = Math.floor(rest / outer[axis]);
    const size = own[axis - (outer.length - own.length)] ?? 1;
    if (size > 1) place += at * stride;
    stride *= size;
  }
  return place;
}

/** a [...,M,K] times b [...,K,N] (either transposed) -> [...,M,N]; the leading axes broadcast. */
export function batchMatMul(
  native: Native,
  a: tf.TensorInfo,
  b: tf.TensorInfo,
  attrs: MatMulAttrs,
): tf.TensorInfo {
  if (a.dtype !== 'float32' || b.dtype !== 'float32')
    throw new Error(`matMul of ${a.dtype} and ${b.dtype} is not supported by the wasm engine`);
  const [aRows, aColumns] = a.shape.slice(-2);
  const [bRows, bColumns] = b.shape.slice(-2);
  const [m, k] = attrs.transposeA ? [aColumns, aRows] : [aRows, aColumns];
  const [kB, n] = attrs.transposeB ? [bColumns, bRows] : [bRows, bColumns];
  tf.util.assert(
    k === kB,
    () => `matMul: inner sizes ${k} and ${kB} differ (shapes ${a.shape} and ${b.shape})`,
  );
  const aOuter = a.shape.slice(0, -2);
  const bOuter = b.shape.slice(0, -2);
  const outer = tf.broadcast_util.assertAndGetBroadcastShape(aOuter, bOuter);
  const out = native.output([...outer, m, n], k === 0 ? 'zeros' : 'undefined');
  const batch = product(outer);
  if (batch * m * n * k === 0) return out;
  const [aRow, aColumn] = attrs.transposeA ? [1, m] : [k, 1];
  const [bRow, bColumn] = attrs.transposeB ? [1, k] : [n, 1];
  const [pa, pb, pc] = [native.pointer(a), native.pointer(b), native.pointer(out)];
  const run = (count: number, ia: number, aBatch: number, ib: number, bBatch: number, ic: number): void => {
    const left = [pa + 4 * ia * m * k, aBatch, aRow, aColumn];
    const right = [pb + 4 * ib * k * n, bBatch, bRow, bColumn];
    native.call('batchMatMul', count, m, n, k, ...left, ...right, pc + 4 * ic * m * n, native.scratch);
  };
  const strides = [product(aOuter), product(bOuter)].map((count) =>
    count === 1 ? 0 : count === batch ? 1 : -1,
  );
  if (strides.every((stride) => stride >= 0)) run(batch, 0, strides[0] * m * k, 0, strides[1] * k * n, 0);
  else {
    for (let i = 0; i < batch; i++)
      run(1, sourceBatch(i, outer, aOuter), 0, sourceBatch(i, outer, bOuter), 0, i);
  }
  return out;
}

/** Activation of (a b + bias), as tfjs's dense layers ask for it. */
export function fusedMatMul(
  native: Native,
  inputs: Record<string, tf.Tensor>,
  attrs: MatMulAttrs & ActivationAttrs,
): tf.Tensor {
  return tf.tidy(() => {
    const info = batchMatMul(native, inputs.a, inputs.b, attrs);
    let y: tf.Tensor = tf.engine().makeTensorFromTensorInfo(info);
    if (inputs.bias !== undefined && inputs.bias !== null) y = tf.add(y, inputs.bias);
    return activate(y, inputs.preluActivationWeights, attrs);
  });
}
