/** Matrix products, Einstein sums and what else is one operation of TensorFlow with attributes of its own. */
import * as tf from '@tensorflow/tfjs';
import type { ActivationAttrs } from '../../kernels/activation.js';
import { indexError } from '../../kernels/lastAxis.js';
import type { TensorflowBackend } from '../backend.js';
import { DTYPES } from '../backend.js';
import { bool, float, int, string, type } from '../binding.js';
import { activated } from './fused.js';
import { asTensor, type Info, type Kernel, type KernelTable, listOf, sizeOf } from './kernel.js';

interface MatMulAttrs {
  readonly transposeA?: boolean;
  readonly transposeB?: boolean;
}

function matMul(backend: TensorflowBackend, a: Info, b: Info, { transposeA, transposeB }: MatMulAttrs): Info {
  const [ta, tb] = [bool(transposeA === true), bool(transposeB === true)];
  if (a.shape.length === 2 && b.shape.length === 2)
    return backend.run('MatMul', [a, b], { transpose_a: ta, transpose_b: tb });
  return backend.run('BatchMatMulV2', [a, b], { adj_x: ta, adj_y: tb });
}

interface ResizeAttrs {
  readonly alignCorners: boolean;
  readonly halfPixelCenters: boolean;
  readonly size: [number, number];
}

function resizeAttrs({ alignCorners, halfPixelCenters }: ResizeAttrs) {
  return { align_corners: bool(alignCorners), half_pixel_centers: bool(halfPixelCenters) };
}

const batchNorm: Kernel<{ varianceEpsilon: number }> = (backend, inputs, { varianceEpsilon }) => {
  const { x, mean, variance, scale, offset } = inputs as Readonly<Record<string, Info | undefined>>;
  if (x === undefined || mean === undefined || variance === undefined)
    throw new Error('batchNorm lacks an input');
  return backend.scoped(() => {
    let gain = backend.run('Rsqrt', [backend.run('AddV2', [variance, backend.scalar(varianceEpsilon)])]);
    if (scale !== undefined && scale !== null) gain = backend.run('Mul', [gain, scale]);
    const normed = backend.run('Mul', [backend.run('Sub', [x, mean]), gain]);
    return offset === undefined || offset === null ? normed : backend.run('AddV2', [normed, offset]);
  });
};

interface LrnAttrs {
  readonly depthRadius: number;
  readonly bias: number;
  readonly alpha: number;
  readonly beta: number;
}

function lrnAttrs({ depthRadius, bias, alpha, beta }: LrnAttrs) {
  return { depth_radius: int(depthRadius), bias: float(bias), alpha: float(alpha), beta: float(beta) };
}

interface CropAttrs {
  readonly cropSize: [number, number];
  readonly method: string;
  readonly extrapolationValue: number;
}

/** Runs an operation that refuses indices outside their axis; such an index becomes FactError E_INDEX. */
function checkingIndices<R>(op: string, indices: Info, depth: number, run: () => R): R {
  try {
    return run();
  } catch (error) {
    const bad = (indices as tf.Tensor).dataSync().find((index) => index < 0 || index >= depth);
    throw bad === undefined ? error : indexError(op, bad, depth);
  }
}

function lastOf(shape: readonly number[]): number {
  return shape[shape.length - 1];
}

/** Pairs [row, index] in place of the indices of each row: [rows,k,2]. */
function withRows(backend: TensorflowBackend, indices: Info, rows: number, k: number): Info {
  const numbers = backend.run(
    'Range',
    [0, rows, 1].map((value) => backend.scalar(value, 'int32')),
  );
  const column = backend.run('Reshape', [numbers, backend.list([rows, 1])]);
  const grid = backend.run('Tile', [column, backend.list([1, k])]);
  const flat = backend.run('Reshape', [indices, backend.list([rows, k])]);
  return backend.run('Pack', [grid, flat], { N: int(2), T: type(DTYPES.int32 ?? 0), axis: int(2) });
}

const scatterLast: Kernel<{ depth: number }> = (backend, { values, indices }, { depth }) => {
  const k = lastOf(values.shape);
  const rows = sizeOf(values.shape) / k;
  return backend.scoped(() => {
    const places = withRows(backend, indices, rows, k);
    const flat = backend.run('Reshape', [values, backend.list([rows, k])]);
    const dense = checkingIndices('FactScatterLast', indices, depth, () =>
      backend.run('ScatterNd', [places, flat, backend.list([rows, depth])]),
    );
    return backend.run('Reshape', [dense, backend.list([...values.shape.slice(0, -1), depth])]);
  });
};

const gatherLast: Kernel = (backend, { x, indices }) => {
  const batchDims = x.shape.length - 1;
  return checkingIndices('FactGatherLast', indices, lastOf(x.shape), () =>
    backend.run('GatherV2', [x, indices, backend.scalar(batchDims, 'int32')], { batch_dims: int(batchDims) }),
  );
};

const groupSum: Kernel<{ groups: number }> = (backend, { x }, { groups }) => {
  const [n, h, w, channels] = x.shape;
  return backend.scoped(() => {
    const grouped = backend.run('Reshape', [x, backend.list([n, h, w, groups, channels / groups])]);
    return backend.run('Sum', [grouped, backend.list([4])], { keep_dims: bool(false) });
  });
};

export const ALGEBRA: KernelTable = {
  BatchMatMul: ((backend, { a, b }, attrs) => matMul(backend, a, b, attrs)) as Kernel<MatMulAttrs>,
  _FusedMatMul: ((backend, inputs, attrs) =>
    activated(backend, matMul(backend, inputs.a, inputs.b, attrs), inputs, attrs)) as Kernel<
    MatMulAttrs & ActivationAttrs
  >,
  Einsum: ((backend, inputs, { equation }) => {
    const list = listOf(inputs);
    return backend.run('Einsum', list, {
      N: int(list.length),
      T: type(DTYPES[list[0].dtype] ?? 0),
      equation: string(equation),
    });
  }) as Kernel<{ equation: string }>,
  FusedBatchNorm: batchNorm,
  LRN: ((backend, { x }, attrs) => backend.run('LRN', [x], lrnAttrs(attrs))) as Kernel<LrnAttrs>,
  LRNGrad: ((backend, { x, y, dy }, attrs) =>
    backend.run('LRNGrad', [dy, x, y], lrnAttrs(attrs))) as Kernel<LrnAttrs>,
  CropAndResize: ((backend, { image, boxes, boxInd }, { cropSize, method, extrapolationValue }) =>
    backend.run('CropAndResize', [image, boxes, boxInd, backend.list(cropSize)], {
      method: string(method),
      extrapolation_value: float(extrapolationValue),
    })) as Kernel<CropAttrs>,
  ResizeBilinear: ((backend, { images }, attrs) =>
    backend.run(
      'ResizeBilinear',
      [images, backend.list(attrs.size)],
      resizeAttrs(attrs),
    )) as Kernel<ResizeAttrs>,
  ResizeBilinearGrad: ((backend, { images, dy }, attrs) =>
    backend.run('ResizeBilinearGrad', [dy, images], resizeAttrs(attrs))) as Kernel<ResizeAttrs>,
  ResizeNearestNeighbor: ((backend, { images }, attrs) =>
    backend.run(
      'ResizeNearestNeighbor',
      [images, backend.list(attrs.size)],
      resizeAttrs(attrs),
    )) as Kernel<ResizeAttrs>,
  ResizeNearestNeighborGrad: ((backend, { images, dy }, attrs) =>
    backend.run(
      'ResizeNearestNeighborGrad',
      [dy, backend.list(images.shape.slice(1, 3))],
      resizeAttrs(attrs),
    )) as Kernel<ResizeAttrs>,
  Multinomial: ((backend, { logits }, { numSamples, seed, normalized }) =>
    tf.tidy(() => {
      const scores = normalized ? tf.log(logits as tf.Tensor) : (logits as tf.Tensor);
      const attrs = { seed: int(seed), seed2: int(seed), output_dtype: type(DTYPES.int32 ?? 0) };
      const inputs = [scores, backend.scalar(numSamples, 'int32')];
      return asTensor(backend.run('Multinomial', inputs, attrs), backend);
    })) as Kernel<{ numSamples: number; seed: number; normalized: boolean }>,
  FactGatherLast: gatherLast,
  FactGroupSum: groupSum,
  FactScatterLast: scatterLast,
};
