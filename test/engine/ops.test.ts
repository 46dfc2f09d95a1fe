import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, test } from 'vitest';
import { Random } from '../../src/core/random.js';
import {
  type ConvConfig,
  conv2d,
  conv2dFilterGrad,
  conv2dInputGrad,
  gatherLast,
  groupSum,
  type PoolConfig,
  scatterLast,
  sumPool2d,
  sumPool2dGrad,
} from '../../src/engine/ops.js';
import { startEngine } from '../../src/engine/start.js';
import { tensorGrowth } from '../engine.js';
import { ENGINES } from './engines.js';
import {
  type Array4,
  convOutput,
  naiveConv2d,
  naiveFilterGrad,
  naiveInputGrad,
  poolAsConv,
  zeros4,
} from './naive.js';

const TOLERANCE = 2e-6; // float32 sums of at most a few hundred terms

/** Values that float32 holds exactly, so that only the summation differs from the float64 reference. */
function randomArray(seed: number, ...shape: [number, number, number, number]): Array4 {
  const array = zeros4(...shape);
  const random = new Random(seed);
  for (let i = 0; i < array.values.length; i++) array.values[i] = Math.fround(random.uniform(-1, 1));
  return array;
}

function tensorOf(array: Array4): tf.Tensor4D {
  return tf.tensor4d(Float32Array.from(array.values), [...array.shape]);
}

interface ConvCase extends ConvConfig {
  readonly x: [number, number, number, number];
  readonly filter: [number, number, number, number];
}

const plain: ConvConfig = { stride: [1, 1], padding: [0, 0], dilation: [1, 1], groups: 1 };

const CONVOLUTIONS: Record<string, ConvCase> = {
  '1x1': { ...plain, x: [2, 5, 4, 3], filter: [1, 1, 3, 7] },
  '1x1 stride 2': { ...plain, stride: [2, 2], x: [2, 7, 6, 8], filter: [1, 1, 8, 4] },
  '3x3 padded': { ...plain, padding: [1, 1], x: [2, 7, 6, 5], filter: [3, 3, 5, 9] },
  '3x3 stride 2': { ...plain, stride: [2, 2], padding: [1, 1], x: [1, 8, 9, 6], filter: [3, 3, 6, 8] },
  '2x3 uneven everything': {
    stride: [3, 2],
    padding: [2, 1],
    dilation: [2, 3],
    groups: 2,
    x: [2, 11, 12, 6],
    filter: [2, 3, 3, 10],
  },
  '7x7 stem': { ...plain, stride: [2, 2], padding: [3, 3], x: [1, 15, 14, 3], filter: [7, 7, 3, 11] },
  'padding beyond half the kernel': { ...plain, padding: [3, 4], x: [1, 4, 5, 2], filter: [3, 3, 2, 3] },
  'stride beyond the kernel': { ...plain, stride: [3, 4], x: [2, 10, 11, 3], filter: [2, 2, 3, 4] },
  'dilation 2': { ...plain, padding: [2, 2], dilation: [2, 2], x: [1, 9, 8, 4], filter: [3, 3, 4, 6] },
  'groups 2': { ...plain, padding: [1, 1], groups: 2, x: [2, 6, 5, 8], filter: [3, 3, 4, 6] },
  'groups 4, one filter each': {
    ...plain,
    padding: [1, 1],
    groups: 4,
    x: [1, 6, 5, 8],
    filter: [3, 3, 2, 4],
  },
  depthwise: { ...plain, padding: [1, 1], groups: 7, x: [2, 6, 5, 7], filter: [3, 3, 1, 7] },
  'depthwise stride 2 dilation 2': {
    stride: [2, 2],
    padding: [2, 2],
    dilation: [2, 2],
    groups: 8,
    x: [2, 9, 10, 8],
    filter: [3, 3, 1, 8],
  },
  'depthwise, two filters a channel': {
    ...plain,
    padding: [1, 1],
    groups: 3,
    x: [2, 6, 5, 3],
    filter: [3, 3, 1, 6],
  },
  'image smaller than the kernel': { ...plain, padding: [1, 1], x: [1, 1, 1, 2], filter: [3, 3, 2, 2] },
  'more channels than a block': { ...plain, padding: [1, 1], x: [1, 5, 5, 70], filter: [3, 3, 70, 33] },
};

const POOLS: Record<string, PoolConfig> = {
  '3x3 padded': { kernel: [3, 3], stride: [1, 1], padding: [1, 1], dilation: [1, 1] },
  '2x2 stride 2': { kernel: [2, 2], stride: [2, 2], padding: [0, 0], dilation: [1, 1] },
  'uneven everything': { kernel: [3, 2], stride: [2, 3], padding: [3, 1], dilation: [2, 1] },
  'padding beyond half the kernel': { kernel: [2, 2], stride: [1, 2], padding: [3, 2], dilation: [1, 2] },
  'whole image': { kernel: [7, 8], stride: [1, 1], padding: [0, 0], dilation: [1, 1] },
};

/** Sum of exp(values / 4): a loss whose gradient depends on the values. */
function lossOf(values: Float64Array): number {
  return values.reduce((sum, v) => sum + Math.exp(v / 4), 0);
}

/** Largest error of `gradient` against central differences of `loss` at a few places, relative to the largest entry. */
function differenceError(at: Float64Array, gradient: ArrayLike<number>, loss: () => number): number {
  const step = 1e-4;
  const random = new Random(at.length);
  let scale = 0;
  for (let i = 0; i < gradient.length; i++) scale = Math.max(scale, Math.abs(gradient[i]));
  let worst = 0;
  for (let sample = 0; sample < 12; sample++) {
    const i = random.integer(at.length);
    const old = at[i];
    at[i] = old + step;
    const up = loss();
    at[i] = old - step;
    const down = loss();
    at[i] = old;
    worst = Math.max(worst, Math.abs((up - down) / (2 * step) - gradient[i]) / scale);
  }
  return worst;
}

describe.each(ENGINES)('on %s', (engine) => {
  beforeAll(async () => {
    await startEngine({ engine, threads: 1 });
  });

  describe.each(Object.entries(CONVOLUTIONS))('convolution %s', (_, c) => {
    const x = randomArray(1, ...c.x);
    const filter = randomArray(2, ...c.filter);
    const dy = randomArray(3, ...convOutput(x, filter, c).shape);

    test('equals its definition', async () => {
      const y = conv2d(tensorOf(x), tensorOf(filter), c);
      const expected = naiveConv2d(x, filter, c);
      expect(y.shape).toEqual(expected.shape);
      expect(await y.data()).toBeNormwiseClose(expected.values, TOLERANCE);
    });

    test('has the input gradient and the filter gradient of its definition', async () => {
      const dx = conv2dInputGrad(tensorOf(dy), tensorOf(filter), c.x, c);
      expect(dx.shape).toEqual(c.x);
      expect(await dx.data()).toBeNormwiseClose(naiveInputGrad(dy, filter, c.x, c).values, TOLERANCE);
      const df = conv2dFilterGrad(tensorOf(x), tensorOf(dy), c.filter, c);
      expect(df.shape).toEqual(c.filter);
      expect(await df.data()).toBeNormwiseClose(naiveFilterGrad(x, dy, c.filter, c).values, TOLERANCE);
    });

    test('has gradients that finite differences of a loss which is not linear confirm', async () => {
      const loss = () => lossOf(naiveConv2d(x, filter, c).values);
      const y = conv2d(tensorOf(x), tensorOf(filter), c);
      const slope = tf.mul(tf.exp(tf.div(y, 4)), 0.25) as tf.Tensor4D;
      const dx = await conv2dInputGrad(slope, tensorOf(filter), c.x, c).data();
      const df = await conv2dFilterGrad(tensorOf(x), slope, c.filter, c).data();
      expect(differenceError(x.values, dx, loss)).toBeLessThan(1e-5);
      expect(differenceError(filter.values, df, loss)).toBeLessThan(1e-5);
    });
  });

  describe.each(Object.entries(POOLS))('window sum %s', (_, p) => {
    test.each([1, 5])(
      'equals its definition, and so does its gradient, for %i channels',
      async (channels) => {
        const x = randomArray(4, 2, 7, 8, channels);
        const { filter, config } = poolAsConv(channels, p);
        const expected = naiveConv2d(x, filter, config);
        const y = sumPool2d(tensorOf(x), p);
        expect(y.shape).toEqual(expected.shape);
        expect(await y.data()).toBeNormwiseClose(expected.values, TOLERANCE);
        const dy = randomArray(5, ...expected.shape);
        const dx = await sumPool2dGrad(tensorOf(dy), x.shape, p).data();
        expect(dx).toBeNormwiseClose(naiveInputGrad(dy, filter, x.shape, config).values, TOLERANCE);
      },
    );

    test('has a gradient that finite differences of a loss which is not linear confirm', async () => {
      const x = randomArray(6, 2, 7, 8, 3);
      const { filter, config } = poolAsConv(3, p);
      const slope = tf.mul(tf.exp(tf.div(sumPool2d(tensorOf(x), p), 4)), 0.25) as tf.Tensor4D;
      const dx = await sumPool2dGrad(slope, x.shape, p).data();
      expect(differenceError(x.values, dx, () => lossOf(naiveConv2d(x, filter, config).values))).toBeLessThan(
        1e-5,
      );
    });
  });

  test('scatter writes values to their places and gather reads them back', async () => {
    const values = tf.tensor3d([1, 2, 3, 4, 5, 6], [1, 3, 2]);
    const indices = tf.tensor3d([0, 4, 3, 1, 2, 0], [1, 3, 2], 'int32');
    const scattered = scatterLast(values, indices, 5);
    expect(scattered.shape).toEqual([1, 3, 5]);
    expect([...(await scattered.data())]).toEqual([1, 0, 0, 0, 2, 0, 4, 0, 3, 0, 6, 0, 5, 0, 0]);
    const gathered = gatherLast(scattered, indices);
    expect(gathered.shape).toEqual([1, 3, 2]);
    expect([...(await gathered.data())]).toEqual([1, 2, 3, 4, 5, 6]);
  });

  test('scatter and gather are each other’s gradients', async () => {
    const random = new Random(7);
    const [rows, k, depth] = [5, 3, 11];
    const flat = Array.from({ length: rows }, () => [...random.permutation(depth).slice(0, k)]).flat();
    const indices = tf.tensor2d(flat, [rows, k], 'int32');
    const v = tf.tensor2d(
      Array.from({ length: rows * k }, () => random.normal()),
      [rows, k],
    );
    const w = tf.tensor2d(
      Array.from({ length: rows * depth }, () => random.normal()),
      [rows, depth],
    );
    const left = await tf.sum(tf.mul(scatterLast(v, indices, depth), w)).data();
    const right = await tf.sum(tf.mul(v, gatherLast(w, indices))).data();
    expect(left[0]).toBeCloseTo(right[0], 4);
  });

  test('an empty batch gives empty results and zero filter gradients', async () => {
    const c: ConvConfig = { ...plain, padding: [1, 1] };
    const x = tf.zeros<tf.Rank.R4>([0, 6, 5, 3]);
    const filter = tf.ones<tf.Rank.R4>([3, 3, 3, 4]);
    const dy = tf.zeros<tf.Rank.R4>([0, 6, 5, 4]);
    expect(conv2d(x, filter, c).shape).toEqual([0, 6, 5, 4]);
    expect(conv2dInputGrad(dy, filter, [0, 6, 5, 3], c).shape).toEqual([0, 6, 5, 3]);
    const df = conv2dFilterGrad(x, dy, [3, 3, 3, 4], c);
    expect(await df.data()).toEqual(new Float32Array(108));
    expect(sumPool2d(x, POOLS['3x3 padded']).shape).toEqual([0, 6, 5, 3]);
    expect(scatterLast(tf.zeros([0, 2]), tf.zeros([0, 2], 'int32'), 4).shape).toEqual([0, 4]);
    expect(gatherLast(tf.zeros([0, 4]), tf.zeros([0, 2], 'int32')).shape).toEqual([0, 2]);
  });

  test('each operation leaves one tensor, its result', async () => {
    const c: ConvConfig = { stride: [2, 1], padding: [2, 1], dilation: [2, 1], groups: 2 };
    const x = tf.ones<tf.Rank.R4>([1, 6, 5, 4]);
    const filter = tf.ones<tf.Rank.R4>([3, 3, 2, 6]);
    const dy = conv2d(x, filter, c);
    const p = POOLS['uneven everything'];
    const ds = sumPool2d(x, p);
    const indices = tf.tensor4d([0, 1], [1, 1, 1, 2], 'int32');
    const values = tf.tensor4d([3, 4], [1, 1, 1, 2]);
    const runs: Record<string, () => tf.Tensor> = {
      conv2d: () => conv2d(x, filter, c),
      conv2dInputGrad: () => conv2dInputGrad(dy, filter, x.shape, c),
      conv2dFilterGrad: () => conv2dFilterGrad(x, dy, filter.shape, c),
      sumPool2d: () => sumPool2d(x, p),
      sumPool2dGrad: () => sumPool2dGrad(ds, x.shape, p),
      scatterLast: () => scatterLast(values, indices, 5),
      gatherLast: () => gatherLast(values, indices),
      groupSum: () => groupSum(x, 2),
    };
    for (const [name, run] of Object.entries(runs)) {
      const growth = await tensorGrowth(() => {
        for (let i = 0; i < 100; i++) run().dispose();
      });
      expect([name, growth]).toEqual([name, 0]);
      expect([name, await tensorGrowth(run)]).toEqual([name, 1]);
    }
  });
});

describe.each(ENGINES)('group sums on %s', (engine) => {
  test.each([1, 2, 3, 6])(
    'of %i groups are the sums of consecutive channels, for empty batches too',
    async (groups) => {
      await startEngine({ engine });
      const values = Float32Array.from({ length: 2 * 3 * 5 * 6 }, (_, i) => Math.sin(i));
      const x = tf.tensor4d(values, [2, 3, 5, 6]);
      const expected = new Float32Array(30 * groups);
      values.forEach((value, i) => {
        expected[Math.floor(i / 6) * groups + Math.floor((i % 6) / (6 / groups))] += value;
      });
      const sums = groupSum(x, groups);
      expect(sums.shape).toEqual([2, 3, 5, groups]);
      expect(await sums.data()).toBeNormwiseClose(expected, 1e-6);
      expect(groupSum(tf.zeros([0, 3, 5, 6]), groups).shape).toEqual([0, 3, 5, groups]);
    },
  );
});

describe('shapes that do not fit are refused with what was expected and received', () => {
  const x = () => tf.zeros<tf.Rank.R4>([1, 5, 5, 4]);
  const filter = () => tf.zeros<tf.Rank.R4>([3, 3, 4, 2]);
  const cases: Record<string, () => unknown> = {
    'channels of the filter': () => conv2d(x(), tf.zeros([3, 3, 3, 2]), plain),
    'groups that do not divide': () => conv2d(x(), tf.zeros([3, 3, 2, 3]), { ...plain, groups: 2 }),
    'a kernel larger than the image': () => conv2d(x(), tf.zeros([7, 7, 4, 2]), plain),
    'a stride of zero': () => conv2d(x(), filter(), { ...plain, stride: [0, 1] }),
    'a negative padding': () => conv2d(x(), filter(), { ...plain, padding: [-1, 0] }),
    'dy of another size': () => conv2dInputGrad(tf.zeros([1, 5, 5, 2]), filter(), [1, 5, 5, 4], plain),
    'dy of another batch': () => conv2dFilterGrad(x(), tf.zeros([2, 3, 3, 2]), [3, 3, 4, 2], plain),
    'an image of rank 3': () => conv2d(tf.zeros([5, 5, 4]) as unknown as tf.Tensor4D, filter(), plain),
    'whole-number values': () => conv2d(tf.zeros([1, 5, 5, 4], 'int32'), filter(), plain),
    'a window larger than the image': () => sumPool2d(x(), { ...POOLS['3x3 padded'], kernel: [9, 9] }),
    'indices of another shape': () => scatterLast(tf.zeros([2, 3]), tf.zeros([2, 2], 'int32'), 4),
    'channels that do not divide': () => groupSum(x(), 3),
    'indices that are not whole': () => gatherLast(tf.zeros([2, 3]), tf.zeros([2, 2])),
  };
  test.each(Object.entries(cases))('%s', (_, run) => {
    expect(run).toThrow(expect.objectContaining({ code: 'E_SHAPE' }));
  });

  test.each(ENGINES.filter((engine) => engine !== 'onnx'))(
    'an index outside the axis, on %s',
    async (engine) => {
      await startEngine({ engine });
      const indices = tf.tensor2d([[0, 4]], [1, 2], 'int32');
      expect(() => scatterLast(tf.ones([1, 2]), indices, 4)).toThrow(
        expect.objectContaining({ code: 'E_INDEX' }),
      );
      expect(() => gatherLast(tf.ones([1, 4]), indices)).toThrow(
        expect.objectContaining({ code: 'E_INDEX' }),
      );
    },
  );
});
