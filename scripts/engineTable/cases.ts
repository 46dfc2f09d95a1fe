/** The operations of the table in docs/engines.md: each with its inputs and a call. */
import * as tf from '@tensorflow/tfjs';
import { Random } from '../../src/core/random.js';
import {
  type ConvConfig,
  conv2d,
  conv2dFilterGrad,
  conv2dInputGrad,
  gatherLast,
  type PoolConfig,
  scatterLast,
  sumPool2d,
  sumPool2dGrad,
} from '../../src/engine/ops.js';

type T = tf.Tensor;
type T1 = tf.Tensor1D;
type T2 = tf.Tensor2D;
type T4 = tf.Tensor4D;

export interface Input {
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

export interface OperationCase {
  readonly name: string;
  readonly inputs: readonly Input[];
  // biome-ignore lint/suspicious/noExplicitAny: every operation of tfjs has its own tensor types; the table mixes them.
  readonly run: (...inputs: any[]) => tf.Tensor;
  /** False for operations without a derivative by nature (comparisons, whole numbers). */
  readonly hasGradient: boolean;
}

/** Values in (0.4, 1.6), all different: no ties, away from kinks at 0, valid for log and sqrt. */
function positive(seed: number, ...shape: number[]): Input {
  const count = shape.reduce((a, b) => a * b, 1);
  const order = new Random(seed, count).permutation(count);
  return { shape, values: Float32Array.from(order, (v) => 0.4 + (1.2 * (v + 0.5)) / count) };
}

/** The same, about half of them negative. */
function signed(seed: number, ...shape: number[]): Input {
  const { values } = positive(seed, ...shape);
  const random = new Random(seed, 1);
  return { shape, values: values.map((v) => (random.next() < 0.5 ? -v : v)) };
}

function indices(values: number[], shape: number[]): T {
  return tf.tensor(values, shape, 'int32');
}

const X = signed(1, 2, 8, 7, 4);
const IMAGE = positive(2, 2, 6, 6, 3);
const MATRIX = signed(3, 3, 4);
const OTHER = signed(4, 3, 4);
const POSITIVE = positive(5, 3, 4);
const GROUPED: ConvConfig = { stride: [2, 1], padding: [1, 2], dilation: [1, 2], groups: 2 };
const DEPTHWISE: ConvConfig = { stride: [1, 1], padding: [1, 1], dilation: [1, 1], groups: 4 };
const WINDOW: PoolConfig = { kernel: [3, 3], stride: [2, 1], padding: [1, 1], dilation: [1, 1] };

function ownConv(c: ConvConfig): (x: T4, filter: T4) => T {
  return tf.customGrad((...args) => {
    const [x, filter] = args as unknown as [T4, T4];
    return {
      value: conv2d(x, filter, c),
      gradFunc: (dy: T) => [
        conv2dInputGrad(dy as T4, filter, x.shape, c),
        conv2dFilterGrad(x, dy as T4, filter.shape, c),
      ],
    };
  });
}

const ownPool = tf.customGrad((...args) => {
  const [x] = args as unknown as [T4];
  return { value: sumPool2d(x, WINDOW), gradFunc: (dy: T) => sumPool2dGrad(dy as T4, x.shape, WINDOW) };
});

const PLACES: [number[], number[]] = [
  [0, 3, 2, 1, 4, 0],
  [3, 2],
];

const ownScatter = tf.customGrad((...args) => ({
  value: scatterLast(args[0] as T, indices(...PLACES), 5),
  gradFunc: (dy: T) => gatherLast(dy, indices(...PLACES)),
}));

const ownGather = tf.customGrad((...args) => {
  const x = args[0] as T;
  return {
    value: gatherLast(x, indices(...PLACES)),
    gradFunc: (dy: T) => scatterLast(dy, indices(...PLACES), 5),
  };
});

type Run = OperationCase['run'];

const OWN: Record<string, [Input[], Run]> = {
  'fact conv2d (groups, dilation, padding)': [[X, signed(6, 3, 3, 2, 6)], ownConv(GROUPED)],
  'fact conv2d (depthwise)': [[X, signed(6, 3, 3, 1, 4)], ownConv(DEPTHWISE)],
  'fact sumPool2d': [[X], ownPool],
  'fact scatterLast': [[signed(7, 3, 2)], ownScatter],
  'fact gatherLast': [[signed(7, 3, 5)], ownGather],
};

const STOCK: Record<string, [Input[], Run]> = {
  matMul: [[signed(1, 4, 5), signed(2, 5, 3)], (a: T2, b: T2) => tf.matMul(a, b)],
  'matMul transposed': [[signed(1, 5, 4), signed(2, 3, 5)], (a: T2, b: T2) => tf.matMul(a, b, true, true)],
  'matMul batched': [[signed(1, 2, 4, 5), signed(2, 2, 5, 3)], (a: T, b: T) => tf.matMul(a, b)],
  'fused.matMul': [
    [signed(1, 4, 5), signed(2, 5, 3), signed(3, 3)],
    (a: T2, b: T2, bias: T1) => tf.fused.matMul({ a, b, bias, activation: 'linear' }),
  ],
  einsum: [[signed(1, 2, 3, 4), signed(2, 2, 4, 5)], (a: T, b: T) => tf.einsum('bij,bjk->bik', a, b)],
  conv2d: [[X, signed(6, 3, 3, 4, 5)], (x: T4, w: T4) => tf.conv2d(x, w, 1, 'same')],
  'conv2d stride 2': [[X, signed(6, 3, 3, 4, 5)], (x: T4, w: T4) => tf.conv2d(x, w, 2, 'same')],
  'conv2d 1x1': [[X, signed(6, 1, 1, 4, 5)], (x: T4, w: T4) => tf.conv2d(x, w, 1, 'valid')],
  'conv2d padding as a number': [
    [X, signed(6, 3, 3, 4, 5)],
    (x: T4, w: T4) => tf.conv2d(x, w, 2, 1, 'NHWC', 1, 'floor'),
  ],
  'conv2d dilation 2': [[X, signed(6, 3, 3, 4, 5)], (x: T4, w: T4) => tf.conv2d(x, w, 1, 'same', 'NHWC', 2)],
  'conv2d groups 2': [[X, signed(6, 3, 3, 2, 6)], (x: T4, w: T4) => tf.conv2d(x, w, 1, 'same')],
  conv2dTranspose: [
    [signed(1, 2, 4, 4, 3), signed(6, 3, 3, 5, 3)],
    (x: T4, w: T4) => tf.conv2dTranspose(x, w, [2, 8, 8, 5], 2, 'same'),
  ],
  depthwiseConv2d: [[X, signed(6, 3, 3, 4, 1)], (x: T4, w: T4) => tf.depthwiseConv2d(x, w, 1, 'same')],
  separableConv2d: [
    [X, signed(6, 3, 3, 4, 1), signed(7, 1, 1, 4, 5)],
    (x: T4, w: T4, p: T4) => tf.separableConv2d(x, w, p, 1, 'same'),
  ],
  'fused.conv2d': [
    [X, signed(6, 3, 3, 4, 5)],
    (x: T4, filter: T4) => tf.fused.conv2d({ x, filter, strides: 1, pad: 'same', activation: 'linear' }),
  ],
  conv3d: [
    [signed(1, 1, 4, 4, 4, 2), signed(6, 2, 2, 2, 2, 3)],
    (x: tf.Tensor5D, w: tf.Tensor5D) => tf.conv3d(x, w, 1, 'same'),
  ],
  maxPool: [[X], (x: T4) => tf.maxPool(x, 3, 2, 'same')],
  'maxPool 2 by 2': [[X], (x: T4) => tf.maxPool(x, 2, 2, 'valid')],
  maxPool3d: [[signed(1, 1, 5, 4, 4, 2)], (x: tf.Tensor5D) => tf.maxPool3d(x, 3, 2, 'same')],
  'avgPool valid': [[X], (x: T4) => tf.avgPool(x, 2, 2, 'valid')],
  'avgPool same': [[X], (x: T4) => tf.avgPool(x, 3, 1, 'same')],
  'avgPool3d same': [[signed(1, 1, 5, 4, 4, 2)], (x: tf.Tensor5D) => tf.avgPool3d(x, 3, 1, 'same')],
  batchNorm: [
    [X, signed(1, 4), positive(2, 4), signed(3, 4), positive(4, 4)],
    (x: T4, mean: T1, variance: T1, offset: T1, scale: T1) => tf.batchNorm(x, mean, variance, offset, scale),
  ],
  moments: [[X], (x: T) => tf.moments(x, [0, 1, 2]).variance],
  localResponseNormalization: [[X], (x: T4) => tf.localResponseNormalization(x)],
  'topk values': [[signed(1, 3, 10)], (x: T) => tf.topk(x, 4).values],
  gather: [[signed(1, 6, 4)], (x: T) => tf.gather(x, indices([0, 2, 2], [3]))],
  gatherND: [[signed(1, 6, 4)], (x: T) => tf.gatherND(x, indices([0, 1, 2, 3], [2, 2]))],
  scatterND: [[signed(1, 2)], (u: T) => tf.scatterND(indices([1, 3], [2, 1]), u, [6])],
  tensorScatterUpdate: [
    [signed(1, 6), signed(2, 2)],
    (t: T, u: T) => tf.tensorScatterUpdate(t, indices([1, 3], [2, 1]), u),
  ],
  unsortedSegmentSum: [
    [signed(1, 6, 2)],
    (x: T) => tf.unsortedSegmentSum(x, indices([0, 1, 0, 2, 1, 0], [6]) as T1, 3),
  ],
  cumsum: [[MATRIX], (x: T) => tf.cumsum(x, 1)],
  cumprod: [[MATRIX], (x: T) => tf.cumprod(x, 1)],
  where: [[MATRIX, OTHER], (a: T, b: T) => tf.where(tf.tensor1d([true, false, true, false], 'bool'), a, b)],
  'where, condition from the inputs': [[MATRIX, OTHER], (a: T, b: T) => tf.where(a.greater(b), a, b)],
  resizeBilinear: [[IMAGE], (x: T4) => tf.image.resizeBilinear(x, [9, 8])],
  'resizeBilinear halfPixelCenters': [[IMAGE], (x: T4) => tf.image.resizeBilinear(x, [9, 8], false, true)],
  resizeNearestNeighbor: [[IMAGE], (x: T4) => tf.image.resizeNearestNeighbor(x, [12, 12])],
  cropAndResize: [
    [IMAGE],
    (x: T4) => tf.image.cropAndResize(x, tf.tensor2d([[0, 0, 1, 1]]), indices([0], [1]) as T1, [3, 3]),
  ],
  flipLeftRight: [[IMAGE], (x: T4) => tf.image.flipLeftRight(x)],
  dropout: [[MATRIX], (x: T) => tf.dropout(x, 0)],
  transpose: [[signed(1, 2, 3, 4)], (x: T) => tf.transpose(x, [2, 0, 1])],
  reshape: [[MATRIX], (x: T) => tf.reshape(x, [2, 6])],
  concat: [[MATRIX, OTHER], (a: T, b: T) => tf.concat([a, b], 1)],
  split: [[signed(1, 2, 6)], (x: T) => tf.split(x, 3, 1)[1]],
  stack: [[MATRIX, OTHER], (a: T, b: T) => tf.stack([a, b])],
  unstack: [[MATRIX], (x: T) => tf.unstack(x)[1]],
  slice: [[signed(1, 4, 6)], (x: T2) => tf.slice(x, [1, 1], [2, 3])],
  stridedSlice: [[signed(1, 4, 6)], (x: T) => tf.stridedSlice(x, [0, 0], [4, 6], [2, 2])],
  pad: [
    [MATRIX],
    (x: T2) =>
      tf.pad(x, [
        [1, 1],
        [0, 2],
      ]),
  ],
  mirrorPad: [
    [MATRIX],
    (x: T2) =>
      tf.mirrorPad(
        x,
        [
          [1, 1],
          [1, 1],
        ],
        'reflect',
      ),
  ],
  tile: [[MATRIX], (x: T) => tf.tile(x, [2, 2])],
  broadcastTo: [[signed(1, 1, 3)], (x: T) => tf.broadcastTo(x, [4, 3])],
  reverse: [[MATRIX], (x: T) => tf.reverse(x, 1)],
  depthToSpace: [[signed(1, 1, 2, 2, 8)], (x: T4) => tf.depthToSpace(x, 2)],
  spaceToBatchND: [
    [signed(1, 1, 4, 4, 1)],
    (x: T) =>
      tf.spaceToBatchND(
        x,
        [2, 2],
        [
          [0, 0],
          [0, 0],
        ],
      ),
  ],
  add: [[MATRIX, signed(2, 4)], tf.add],
  sub: [[MATRIX, signed(2, 4)], tf.sub],
  mul: [[MATRIX, signed(2, 4)], tf.mul],
  div: [[MATRIX, positive(2, 4)], tf.div],
  divNoNan: [[MATRIX, POSITIVE], tf.divNoNan],
  pow: [[POSITIVE, OTHER], tf.pow],
  maximum: [[MATRIX, OTHER], tf.maximum],
  'maximum, broadcast': [[MATRIX, signed(2, 4)], tf.maximum],
  minimum: [[MATRIX, OTHER], tf.minimum],
  squaredDifference: [[MATRIX, OTHER], tf.squaredDifference],
  mod: [[positive(9, 4), { shape: [], values: Float32Array.of(0.4) }], tf.mod],
  atan2: [[MATRIX, OTHER], tf.atan2],
  addN: [[MATRIX, OTHER], (a: T, b: T) => tf.addN([a, b])],
  softmax: [[MATRIX], (x: T) => tf.softmax(x)],
  logSoftmax: [[MATRIX], (x: T) => tf.logSoftmax(x)],
  logSumExp: [[MATRIX], (x: T) => tf.logSumExp(x, 1)],
  sum: [[MATRIX], (x: T) => tf.sum(x, 1)],
  'sum of leading axes': [[X], (x: T) => tf.sum(x, [0, 1, 2])],
  mean: [[MATRIX], (x: T) => tf.mean(x, 0)],
  max: [[MATRIX], (x: T) => tf.max(x, 1)],
  min: [[MATRIX], (x: T) => tf.min(x, 1)],
  prod: [[MATRIX], (x: T) => tf.prod(x, 1)],
  norm: [[MATRIX], (x: T) => tf.norm(x, 2, 1)],
  relu: [[MATRIX], tf.relu],
  relu6: [[MATRIX], tf.relu6],
  leakyRelu: [[MATRIX], (x: T) => tf.leakyRelu(x)],
  elu: [[MATRIX], tf.elu],
  selu: [[MATRIX], tf.selu],
  prelu: [[MATRIX, signed(2, 4)], (x: T, a: T) => tf.prelu(x, a)],
  sigmoid: [[MATRIX], tf.sigmoid],
  tanh: [[MATRIX], tf.tanh],
  softplus: [[MATRIX], tf.softplus],
  erf: [[MATRIX], tf.erf],
  exp: [[MATRIX], tf.exp],
  expm1: [[MATRIX], tf.expm1],
  log: [[POSITIVE], tf.log],
  log1p: [[POSITIVE], tf.log1p],
  sqrt: [[POSITIVE], tf.sqrt],
  rsqrt: [[POSITIVE], tf.rsqrt],
  square: [[MATRIX], tf.square],
  abs: [[MATRIX], tf.abs],
  neg: [[MATRIX], tf.neg],
  reciprocal: [[POSITIVE], tf.reciprocal],
  sin: [[MATRIX], tf.sin],
  cos: [[MATRIX], tf.cos],
  clipByValue: [[MATRIX], (x: T) => tf.clipByValue(x, -0.7, 1)],
};

const WITHOUT_GRADIENT: Record<string, [Input[], Run]> = {
  argMax: [[MATRIX], (x: T) => tf.argMax(x, 1)],
  'topk indices': [[signed(1, 3, 10)], (x: T) => tf.topk(x, 4).indices],
  greater: [[MATRIX, OTHER], tf.greater],
  equal: [[MATRIX, OTHER], tf.equal],
  logicalNot: [[MATRIX], (x: T) => tf.logicalNot(tf.greater(x, 0))],
  cast: [[MATRIX], (x: T) => tf.cast(x, 'int32')],
  oneHot: [[], () => tf.oneHot(indices([0, 1, 2], [3]), 4)],
  range: [[], () => tf.range(0, 5)],
  fill: [[], () => tf.fill([2, 2], 1.5)],
  sign: [[MATRIX], tf.sign],
  floor: [[MATRIX], tf.floor],
  round: [[MATRIX], tf.round],
  isNaN: [[MATRIX], tf.isNaN],
  bandPart: [[signed(1, 3, 3)], (x: T) => tf.linalg.bandPart(x, 1, 1)],
  searchSorted: [[], () => tf.searchSorted(tf.tensor1d([1, 2, 3]), tf.tensor1d([1.5]))],
};

function casesOf(record: Record<string, [Input[], Run]>, hasGradient: boolean): OperationCase[] {
  return Object.entries(record).map(([name, [inputs, run]]) => ({ name, inputs, run, hasGradient }));
}

/** All operations of the table, this package's own first. */
export const CASES: readonly OperationCase[] = [
  ...casesOf(OWN, true),
  ...casesOf(STOCK, true),
  ...casesOf(WITHOUT_GRADIENT, false),
];
