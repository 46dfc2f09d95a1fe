import * as tf from '@tensorflow/tfjs';

/** One stock function of tfjs to be checked: its inputs' shapes, the function, and what may be checked of it. */
export interface Case {
  readonly shapes: readonly (readonly number[])[];
  readonly fn: (...inputs: tf.Tensor[]) => tf.Tensor;
  /** tfjs has no gradient for it, or it is piecewise constant. */
  readonly forwardOnly?: boolean;
  /** tfjs's cpu gradient is wrong: only finite differences count. */
  readonly cpuGradientIsWrong?: boolean;
  /** Inputs are drawn from this interval instead of a standard normal distribution. */
  readonly interval?: readonly [number, number];
}

const image = [2, 8, 8, 4];
const matrix = [5, 6];
const row = (...values: number[]) => tf.tensor1d(values);
const int = (values: number[]) => tf.tensor1d(values, 'int32');
const i4 = (x: tf.Tensor) => x as tf.Tensor4D;
const m2 = (x: tf.Tensor) => x as tf.Tensor2D;
const unary = (
  fn: (x: tf.Tensor) => tf.Tensor,
  interval?: readonly [number, number],
  forwardOnly = false,
): Case => ({
  shapes: [matrix],
  fn,
  ...(interval ? { interval } : {}),
  forwardOnly,
});
const forward = (shapes: readonly (readonly number[])[], fn: Case['fn']): Case => ({
  shapes,
  fn,
  forwardOnly: true,
});
const both = (shapes: readonly (readonly number[])[], fn: Case['fn']): Case => ({ shapes, fn });
const asFloat = (x: tf.Tensor) => tf.cast(x, 'float32');
const positive = [0.2, 3] as const;
const inside = [-0.9, 0.9] as const;

export const CASES: Readonly<Record<string, Case>> = {
  // element-wise, one input
  abs: unary(tf.abs),
  acos: unary(tf.acos, inside),
  acosh: unary(tf.acosh, [1.5, 4]),
  asin: unary(tf.asin, inside),
  asinh: unary(tf.asinh),
  atan: unary(tf.atan),
  atanh: unary(tf.atanh, inside),
  ceil: unary(tf.ceil, undefined, true),
  cos: unary(tf.cos),
  cosh: unary(tf.cosh),
  elu: unary(tf.elu),
  erf: unary(tf.erf),
  exp: unary(tf.exp),
  expm1: unary(tf.expm1),
  'expm1 of small numbers': unary(tf.expm1, [-1e-3, 1e-3], true),
  floor: unary(tf.floor, undefined, true),
  log: unary(tf.log, positive),
  log1p: unary(tf.log1p, positive),
  'log1p of small numbers': unary(tf.log1p, [-1e-4, 1e-4], true),
  neg: unary(tf.neg),
  reciprocal: unary(tf.reciprocal, positive),
  relu: unary(tf.relu),
  relu6: unary(tf.relu6, [-3, 9]),
  round: unary(tf.round, undefined, true),
  rsqrt: unary(tf.rsqrt, positive),
  selu: unary(tf.selu),
  sigmoid: unary(tf.sigmoid),
  sign: unary(tf.sign, undefined, true),
  sin: unary(tf.sin),
  sinh: unary(tf.sinh),
  softplus: unary(tf.softplus),
  sqrt: unary(tf.sqrt, positive),
  square: unary(tf.square),
  step: unary((x) => tf.step(x), undefined, true),
  'step with alpha': unary((x) => tf.step(x, 0.3), undefined, true),
  tan: unary(tf.tan, inside),
  tanh: unary(tf.tanh),
  leakyRelu: unary((x) => tf.leakyRelu(x, 0.1)),
  prelu: unary((x) => tf.prelu(x, tf.scalar(0.2))),
  clipByValue: unary((x) => tf.clipByValue(x, -0.5, 0.5)),
  gelu: unary((x) => x.mul(0.5).mul(tf.erf(x.mul(Math.SQRT1_2)).add(1))),
  isNaN: unary((x) => asFloat(tf.isNaN(tf.log(x))), undefined, true),
  isInf: unary((x) => asFloat(tf.isInf(tf.div(x, tf.relu(x)))), undefined, true),
  isFinite: unary((x) => asFloat(tf.isFinite(tf.log(x))), undefined, true),
  logicalNot: unary((x) => asFloat(tf.logicalNot(tf.greater(x, 0))), undefined, true),
  'cast to int32': unary((x) => asFloat(tf.cast(x.mul(10), 'int32')), undefined, true),
  onesLike: unary((x) => x.add(tf.onesLike(x))),
  zerosLike: unary((x) => x.square().add(tf.zerosLike(x))),

  // element-wise, two inputs
  add: both([matrix, matrix], (a, b) => a.add(b)),
  'add of a row': both([matrix, [6]], (a, b) => a.add(b)),
  addN: both([matrix, matrix, matrix], (a, b, c) => tf.addN([a, b, c])),
  sub: both([matrix, [5, 1]], (a, b) => a.sub(b)),
  mul: both([matrix, [1, 6]], (a, b) => a.mul(b)),
  div: { shapes: [matrix, [6]], fn: (a, b) => a.div(b), interval: positive },
  divNoNan: forward([matrix, matrix], (a, b) => tf.divNoNan(a, tf.relu(b))),
  maximum: both([matrix, matrix], tf.maximum),
  minimum: both([matrix, matrix], tf.minimum),
  pow: { shapes: [matrix, matrix], fn: (a, b) => tf.pow(a, b), interval: positive },
  'pow 2': unary((x) => x.pow(tf.scalar(2))),
  'pow 0.5': unary((x) => x.pow(tf.scalar(0.5)), positive),
  'pow -1': unary((x) => x.pow(tf.scalar(-1)), positive),
  'pow 1.5': unary((x) => x.pow(tf.scalar(1.5)), positive),
  squaredDifference: both([matrix, matrix], tf.squaredDifference),
  atan2: both([matrix, matrix], tf.atan2),
  'atan2 on the axes': forward([matrix], (x) => tf.atan2(tf.sign(tf.relu(x)), tf.sign(tf.neg(tf.relu(x))))),
  mod: both([matrix], (x) => tf.mod(x, tf.scalar(0.3))),
  'mod by negative numbers': forward([matrix, matrix], (a, b) => tf.mod(a, b.add(3).neg())),
  floorDiv: forward([matrix], (x) => tf.floorDiv(x, tf.scalar(0.3))),
  'integer floorDiv and mod': forward([matrix], (x) => {
    const whole = tf.cast(x.mul(20), 'int32');
    return asFloat(
      tf.addN([tf.floorDiv(whole, tf.scalar(7, 'int32')), tf.mod(whole, tf.scalar(7, 'int32'))]),
    );
  }),
  greater: forward([matrix, matrix], (a, b) => asFloat(tf.greater(a, b))),
  greaterEqual: forward([matrix, matrix], (a, b) => asFloat(tf.greaterEqual(a, b))),
  less: forward([matrix, matrix], (a, b) => asFloat(tf.less(a, b))),
  lessEqual: forward([matrix, matrix], (a, b) => asFloat(tf.lessEqual(a, b))),
  equal: forward([matrix, matrix], (a, b) => asFloat(tf.equal(tf.sign(a), tf.sign(b)))),
  notEqual: forward([matrix, matrix], (a, b) => asFloat(tf.notEqual(tf.sign(a), tf.sign(b)))),
  logicalAnd: forward([matrix, matrix], (a, b) => asFloat(tf.logicalAnd(tf.greater(a, 0), tf.less(b, 0)))),
  logicalOr: forward([matrix, matrix], (a, b) => asFloat(tf.logicalOr(tf.greater(a, 0), tf.less(b, 0)))),
  logicalXor: forward([matrix, matrix], (a, b) => asFloat(tf.logicalXor(tf.greater(a, 0), tf.less(b, 0)))),
  where: both([matrix, matrix], (a, b) => tf.where(tf.tensor1d([1, 0, 1, 0, 1, 1], 'bool'), a, b)),
  'where on values': forward([matrix], (x) => tf.where(tf.greater(x, 0), x, tf.zerosLike(x))),

  // reductions
  sum: both([matrix], (x) => tf.sum(x, 1)),
  'sum of all': both([matrix], (x) => tf.sum(x)),
  'sum keeping axes': both([image], (x) => tf.sum(x, [1, 2], true)),
  mean: both([image], (x) => tf.mean(x, [1, 2])),
  max: both([matrix], (x) => tf.max(x, 1)),
  min: both([matrix], (x) => tf.min(x, 0)),
  prod: { shapes: [matrix], fn: (x) => tf.prod(x, 1), interval: positive, forwardOnly: true },
  all: forward([matrix], (x) => asFloat(tf.all(tf.greater(x, -1), 1))),
  any: forward([matrix], (x) => asFloat(tf.any(tf.greater(x, 1), 1))),
  argMax: forward([matrix], (x) => asFloat(tf.argMax(x, 1))),
  'argMax of ties': forward([matrix], (x) => asFloat(tf.argMax(tf.sign(x), 1))),
  argMin: forward([matrix], (x) => asFloat(tf.argMin(x, 0))),
  topk: forward([matrix], (x) => tf.topk(x, 3).values),
  'topk places': forward([matrix], (x) => asFloat(tf.topk(tf.sign(x), 4).indices)),
  softmax: both([matrix], (x) => tf.softmax(x)),
  logSoftmax: both([matrix], (x) => tf.logSoftmax(x)),
  logSumExp: both([matrix], (x) => tf.logSumExp(x, 1)),
  norm: both([matrix], (x) => tf.norm(x, 2, 1, true)),
  moments: both([image], (x) => tf.moments(x, [0, 1, 2]).variance),
  cumsum: both([matrix], (x) => tf.cumsum(x, 1)),
  'cumsum, exclusive and reverse': both([matrix], (x) => tf.cumsum(x, 1, true, true)),

  // layout
  reshape: both([matrix], (x) => x.reshape([3, -1])),
  expandDims: both([matrix], (x) => x.expandDims(-1)),
  squeeze: both([[3, 1, 4]], (x) => x.squeeze()),
  transpose: both([image], (x) => tf.transpose(x, [0, 3, 1, 2])),
  tile: both([matrix], (x) => tf.tile(x, [2, 3])),
  broadcastTo: both([[1, 6]], (x) => tf.broadcastTo(x, [3, 5, 6])),
  slice: both([image], (x) => tf.slice(x, [0, 1, 1, 0], [2, 5, -1, 2])),
  stridedSlice: forward([matrix], (x) => tf.stridedSlice(x, [0, 1], [5, 6], [2, 2])),
  'stridedSlice backwards': forward([matrix], (x) => tf.stridedSlice(x, [4, 5], [0, 0], [-2, -1])),
  'stridedSlice with masks': forward([matrix], (x) =>
    tf.stridedSlice(x, [1, 2], [2, 4], [1, 1], 2, 0, 0, 0, 1),
  ),
  pad: both([image], (x) =>
    tf.pad(
      x,
      [
        [0, 0],
        [1, 2],
        [2, 0],
        [0, 0],
      ],
      0.5,
    ),
  ),
  'mirrorPad, reflect': forward([image], (x) =>
    tf.mirrorPad(
      x,
      [
        [0, 0],
        [1, 2],
        [2, 0],
        [0, 0],
      ],
      'reflect',
    ),
  ),
  'mirrorPad, symmetric': forward([image], (x) =>
    tf.mirrorPad(
      x,
      [
        [0, 0],
        [1, 2],
        [2, 0],
        [0, 0],
      ],
      'symmetric',
    ),
  ),
  concat: both([image, image], (a, b) => tf.concat([a, tf.sub(1, b)], 3)),
  'concat with an empty part': both([matrix], (x) => tf.concat([x, tf.zeros([5, 0])], 1)),
  split: both([matrix], (x) => tf.add(...(tf.split(x, 2, 1) as [tf.Tensor, tf.Tensor]))),
  'split by sizes': both([matrix], (x) => tf.split(x, [1, 2, 3], 1)[2]),
  stack: both([matrix, matrix], (a, b) => tf.stack([a, b], 1)),
  unstack: both([matrix], (x) => tf.unstack(x, 1)[2]),
  reverse: both([matrix], (x) => tf.reverse(x, [0, 1])),
  gather: both([matrix], (x) => tf.gather(x, int([2, 0, 1, 2]), 1)),
  'gather with batches': forward([matrix], (x) =>
    tf.gather(x, tf.tensor2d([[1], [0], [5], [2], [2]], [5, 1], 'int32'), 1, 1),
  ),
  gatherND: forward([matrix], (x) =>
    tf.gatherND(
      x,
      tf.tensor2d(
        [
          [0, 1],
          [4, 5],
        ],
        [2, 2],
        'int32',
      ),
    ),
  ),
  scatterND: forward([[3, 6]], (x) => tf.scatterND(tf.tensor2d([[1], [4], [1]], [3, 1], 'int32'), x, [5, 6])),
  unsortedSegmentSum: both([matrix], (x) => tf.unsortedSegmentSum(x, int([0, 2, 0, 1, 2]), 4)),
  oneHot: forward([matrix], (x) => asFloat(tf.oneHot(tf.argMax(x, 1) as tf.Tensor1D, 6))),
  'oneHot outside its depth': forward([matrix], (x) =>
    asFloat(tf.oneHot(tf.cast(tf.round(x.mul(3)), 'int32').reshape([30]) as tf.Tensor1D, 3, 2, -1)),
  ),
  embedding: both([[7, 3]], (x) =>
    tf.gather(
      x,
      tf.tensor2d(
        [
          [0, 6],
          [6, 2],
        ],
        [2, 2],
        'int32',
      ),
    ),
  ),
  diagonal: forward([[4, 4]], (x) => x.mul(tf.eye(4))),
  range: both([matrix], (x) => x.mul(tf.range(0, 6))),
  fill: both([matrix], (x) => x.mul(tf.fill([5, 6], 2)).add(tf.fill([5, 6], 3))),

  // matrix products
  matMul: both([matrix, [6, 3]], (a, b) => tf.matMul(m2(a), m2(b))),
  'matMul, transposed': both(
    [
      [6, 5],
      [3, 6],
    ],
    (a, b) => tf.matMul(m2(a), m2(b), true, true),
  ),
  'matMul in batches': both(
    [
      [2, 3, 4, 5],
      [2, 3, 5, 2],
    ],
    (a, b) => tf.matMul(a, b),
  ),
  'matMul, broadcast batches': forward(
    [
      [2, 3, 4, 5],
      [1, 5, 2],
    ],
    (a, b) => tf.matMul(a, b),
  ),
  'fused.matMul': both([matrix, [6, 3], [3]], (a, b, bias) =>
    tf.fused.matMul({ a: m2(a), b: m2(b), bias, activation: 'relu' }),
  ),
  einsum: forward([matrix, [6, 3]], (a, b) => tf.einsum('ij,jk->ik', a, b)),
  'einsum, several sums': forward(
    [
      [2, 3, 4],
      [2, 5, 4],
    ],
    (a, b) => tf.einsum('bic,bjc->bij', a, b),
  ),

  // convolutions
  'conv2d same': both([image, [3, 3, 4, 6]], (x, w) => tf.conv2d(i4(x), i4(w), 1, 'same')),
  'conv2d stride 2 valid': both([image, [3, 3, 4, 6]], (x, w) => tf.conv2d(i4(x), i4(w), 2, 'valid')),
  'conv2d stride 2 same': both([image, [3, 3, 4, 6]], (x, w) => tf.conv2d(i4(x), i4(w), 2, 'same')),
  'conv2d padding 1 stride 3': both([image, [3, 3, 4, 6]], (x, w) =>
    tf.conv2d(i4(x), i4(w), 3, 1, 'NHWC', 1, 'floor'),
  ),
  'conv2d 1x1': both([image, [1, 1, 4, 6]], (x, w) => tf.conv2d(i4(x), i4(w), 1, 'valid')),
  'conv2d 1x1 stride 2': both([image, [1, 1, 4, 6]], (x, w) => tf.conv2d(i4(x), i4(w), 2, 'valid')),
  'conv2d, one image and channel': both(
    [
      [1, 6, 6, 1],
      [3, 3, 1, 1],
    ],
    (x, w) => tf.conv2d(i4(x), i4(w), 1, 'same'),
  ),
  'conv2d dilated': forward([image, [3, 3, 4, 6]], (x, w) => tf.conv2d(i4(x), i4(w), 1, 'same', 'NHWC', 2)),
  conv2dTranspose: both(
    [
      [2, 4, 4, 6],
      [3, 3, 4, 6],
    ],
    (x, w) => tf.conv2dTranspose(i4(x), i4(w), [2, 8, 8, 4], 2, 'same'),
  ),
  depthwiseConv2d: both([image, [3, 3, 4, 1]], (x, w) => tf.depthwiseConv2d(i4(x), i4(w), 1, 'same')),
  'depthwiseConv2d stride 2, multiplier 2': both([image, [3, 3, 4, 2]], (x, w) =>
    tf.depthwiseConv2d(i4(x), i4(w), 2, 'same'),
  ),
  separableConv2d: both([image, [3, 3, 4, 1], [1, 1, 4, 5]], (x, d, p) =>
    tf.separableConv2d(i4(x), i4(d), i4(p), 1, 'same'),
  ),
  'fused.conv2d': both([image, [3, 3, 4, 6], [6]], (x, w, b) =>
    tf.fused.conv2d({
      x: i4(x),
      filter: i4(w),
      strides: 1,
      pad: 'same',
      bias: b as tf.Tensor1D,
      activation: 'relu',
    }),
  ),
  'fused.conv2d, leaky': forward([image, [3, 3, 4, 6]], (x, w) =>
    tf.fused.conv2d({
      x: i4(x),
      filter: i4(w),
      strides: 1,
      pad: 'same',
      activation: 'leakyrelu',
      leakyreluAlpha: 0.1,
    }),
  ),

  // pooling, resizing, normalising
  avgPool: both([image], (x) => tf.avgPool(i4(x), 2, 2, 'valid')),
  'avgPool, padded': {
    shapes: [image],
    fn: (x) => tf.avgPool(i4(x), 3, 1, 'same'),
    cpuGradientIsWrong: true,
  },
  'avgPool, padded, stride 2': {
    shapes: [image],
    fn: (x) => tf.avgPool(i4(x), 3, 2, 'same'),
    cpuGradientIsWrong: true,
  },
  'avgPool, overlapping': both([image], (x) => tf.avgPool(i4(x), 3, 2, 'valid')),
  'avgPool, remainder': both([[1, 7, 7, 2]], (x) => tf.avgPool(i4(x), 2, 2, 'valid')),
  maxPool: both([image], (x) => tf.maxPool(i4(x), 2, 2, 'valid')),
  'maxPool, overlapping and padded': both([image], (x) => tf.maxPool(i4(x), 3, 2, 'same')),
  'maxPool of ties': {
    shapes: [image],
    fn: (x) => tf.maxPool(i4(tf.sign(x).mul(0).add(x.sum().mul(0.1))), 3, 2, 'same'),
  },
  resizeBilinear: both([image], (x) => tf.image.resizeBilinear(i4(x), [16, 12])),
  'resizeBilinear, smaller, half pixels': forward([image], (x) =>
    tf.image.resizeBilinear(i4(x), [5, 3], false, true),
  ),
  'resizeBilinear, corners': both([image], (x) => tf.image.resizeBilinear(i4(x), [5, 11], true)),
  resizeNearest: {
    shapes: [image],
    fn: (x) => tf.image.resizeNearestNeighbor(i4(x), [16, 12]),
    cpuGradientIsWrong: true,
  },
  'resizeNearest, smaller, half pixels': forward([image], (x) =>
    tf.image.resizeNearestNeighbor(i4(x), [5, 3], false, true),
  ),
  batchNorm: both([image], (x) =>
    tf.batchNorm(x, row(0.1, 0, -1, 2), row(1, 2, 0.5, 1), row(1, 2, 3, 4), row(2, 1, 0, 1)),
  ),
  'batchNorm, bare': forward([image], (x) => tf.batchNorm(x, row(0.1, 0, -1, 2), row(1, 2, 0.5, 1))),
  'softmax cross entropy': both([matrix], (x) =>
    tf.losses.softmaxCrossEntropy(tf.oneHot(int([0, 1, 2, 3, 4]), 6), x),
  ),
  'sigmoid cross entropy': both([matrix], (x) => tf.losses.sigmoidCrossEntropy(tf.ones([5, 6]), x)),
  dropout: both([matrix], (x) => tf.dropout(x, 0.5, undefined, 3)),
};
