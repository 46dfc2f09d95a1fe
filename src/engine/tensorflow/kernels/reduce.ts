/** Sums, means, extremes and products over axes, sorting and scans. */
import * as tf from '@tensorflow/tfjs';
import type { TensorflowBackend } from '../backend.js';
import { bool, TF_INT32, type } from '../binding.js';
import { cast } from './elementwise.js';
import type { Info, Kernel, KernelTable } from './kernel.js';

interface ReduceAttrs {
  readonly axis?: number | number[] | null;
  readonly reductionIndices?: number | number[] | null;
  readonly keepDims?: boolean;
}

function reduce(op: string, dtype?: tf.DataType): Kernel<ReduceAttrs> {
  return (backend, { x }, { axis, reductionIndices, keepDims }) => {
    const axes = tf.util.parseAxisParam(axis ?? reductionIndices ?? x.shape.map((_, i) => i), x.shape);
    const run = (input: Info): Info =>
      backend.run(op, [input, backend.list(axes)], { keep_dims: bool(keepDims === true) });
    const wanted = dtype ?? (x.dtype === 'bool' ? 'int32' : x.dtype);
    if (x.dtype === wanted) return run(x);
    return backend.scoped(() => run(cast(backend, x, wanted)));
  };
}

function argument(op: string): Kernel<{ axis: number }> {
  return (backend, { x }, { axis }) => {
    const [at] = tf.util.parseAxisParam(axis, x.shape);
    return backend.run(op, [x, backend.scalar(at, 'int32')], { output_type: type(TF_INT32) });
  };
}

interface ScanAttrs {
  readonly axis: number;
  readonly exclusive: boolean;
  readonly reverse: boolean;
}

function scan(op: string): Kernel<ScanAttrs> {
  return (backend, { x }, { axis, exclusive, reverse }) => {
    const [at] = tf.util.parseAxisParam(axis, x.shape);
    const attrs = { exclusive: bool(exclusive), reverse: bool(reverse) };
    return backend.run(op, [x, backend.scalar(at, 'int32')], attrs);
  };
}

const topK: Kernel<{ k: number; sorted: boolean }> = (backend, { x }, { k, sorted }) =>
  backend.runMany('TopKV2', [x, backend.scalar(k, 'int32')], { sorted: bool(sorted) }, 2);

function segmentSum(backend: TensorflowBackend, x: Info, ids: Info, count: number): Info {
  return backend.run('UnsortedSegmentSum', [x, ids, backend.scalar(count, 'int32')]);
}

export const REDUCTIONS: KernelTable = {
  All: reduce('All', 'bool'),
  Any: reduce('Any', 'bool'),
  ArgMax: argument('ArgMax'),
  ArgMin: argument('ArgMin'),
  Cumprod: scan('Cumprod'),
  Cumsum: scan('Cumsum'),
  Max: reduce('Max'),
  Mean: reduce('Mean', 'float32'),
  Min: reduce('Min'),
  Prod: reduce('Prod'),
  Sum: reduce('Sum'),
  TopK: topK,
  UnsortedSegmentSum: ((backend, { x, segmentIds }, { numSegments }) =>
    segmentSum(backend, x, segmentIds, numSegments)) as Kernel<{ numSegments: number }>,
};
