import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { Random } from '../../../src/core/random.js';
import { compile } from '../../../src/engine/compile.js';
import { type ConvConfig, conv2d, conv2dFilterGrad, conv2dInputGrad } from '../../../src/engine/ops.js';
import { startEngine } from '../../../src/engine/start.js';
import { naiveConv2d, naiveFilterGrad, naiveInputGrad, zeros4 } from '../naive.js';
import { count, traced } from './graphs.js';

beforeAll(async () => {
  await startEngine({ engine: 'onnx', threads: 2 });
});

const TOLERANCE = 2e-6; // float32 sums of at most a few hundred terms

interface Case extends ConvConfig {
  readonly x: [number, number, number, number];
  readonly filter: [number, number, number, number];
}

const TINY: Record<string, Case> = {
  '3x3': on([3, 2, 3, 24], [3, 3, 24, 25], 1, 1),
  '5x5, larger than the image': on([2, 2, 2, 16], [5, 5, 16, 17], 1, 2),
  '1x1': on([4, 2, 1, 8], [1, 1, 8, 9], 1, 0),
  'no padding': on([3, 3, 2, 24], [2, 2, 24, 24], 1, 0),
  dilated: { ...on([2, 2, 3, 24], [3, 3, 24, 24], 1, 2), dilation: [2, 2] },
  'stride 2, odd sizes': on([3, 3, 3, 36], [3, 3, 36, 40], 2, 1),
};

/** Which way the lowering takes: see src/engine/onnx/lower/filterGradient.ts. */
const CASES: Record<string, Record<string, Case>> = {
  shifted: {
    '3x3': on([2, 6, 5, 3], [3, 3, 3, 4], 1, 1),
    '3x3, one image': on([1, 4, 9, 2], [3, 3, 2, 2], 1, 1),
    '1x1': on([3, 4, 5, 6], [1, 1, 6, 2], 1, 0),
    '5x5': on([2, 9, 8, 2], [5, 5, 2, 3], 1, 2),
    '1x3': { ...on([2, 4, 7, 3], [1, 3, 3, 2], 1, 0), padding: [0, 1] },
    '3x1': { ...on([2, 7, 4, 3], [3, 1, 3, 2], 1, 0), padding: [1, 0] },
    dilated: { ...on([2, 8, 9, 3], [3, 3, 3, 4], 1, 2), dilation: [2, 2] },
    'dilated by rows and columns': {
      ...on([2, 8, 9, 3], [3, 3, 3, 4], 1, 1),
      dilation: [3, 2],
      padding: [3, 2],
    },
    'in groups': { ...on([2, 6, 5, 6], [3, 3, 3, 4], 1, 1), groups: 2 },
    'all images at once': on([3, 2, 3, 7], [3, 3, 7, 6], 1, 1),
    'all images at once, in groups': { ...on([3, 2, 2, 12], [3, 3, 6, 14], 1, 1), groups: 2 },
    'all images at once, 5x5, images smaller than the kernel': on([4, 3, 2, 8], [5, 5, 8, 7], 1, 2),
    'images of one pixel': on([5, 1, 1, 4], [3, 3, 4, 3], 1, 1),
    'width of one pixel': on([2, 6, 1, 4], [3, 3, 4, 3], 1, 1),
  },
  gathered: {
    'stride 2, odd sizes': on([2, 7, 9, 3], [3, 3, 3, 4], 2, 1),
    'stride 2, even sizes': on([2, 8, 6, 3], [3, 3, 3, 4], 2, 1),
    'stride 2, 1x1': on([2, 7, 6, 5], [1, 1, 5, 4], 2, 0),
    'stride 3 and 2': { ...on([2, 10, 9, 3], [3, 2, 3, 4], 1, 1), stride: [3, 2] },
    'no padding': on([2, 6, 5, 3], [3, 3, 3, 4], 1, 0),
    'more padding than "same"': on([2, 6, 5, 3], [3, 3, 3, 4], 1, 2),
    '7x7, stride 2': on([1, 15, 14, 2], [7, 7, 2, 3], 2, 3),
    'in groups': { ...on([2, 7, 7, 6], [3, 3, 3, 4], 2, 1), groups: 2 },
    'all images at once': on([3, 5, 4, 9], [3, 3, 9, 8], 2, 1),
    'all images at once, in groups': { ...on([3, 3, 3, 24], [3, 3, 12, 26], 2, 1), groups: 2 },
    'where zeros between images would be dear': on([2, 9, 9, 29], [3, 3, 29, 520], 1, 1),
  },
  tiny: TINY,
  sliced: {
    '8x8, stride 8': on([2, 17, 16, 2], [8, 8, 2, 3], 8, 0),
    '9x9, stride 2': on([2, 12, 11, 2], [9, 9, 2, 3], 2, 4),
  },
};

function on(x: Case['x'], filter: Case['filter'], stride: number, padding: number): Case {
  return { x, filter, stride: [stride, stride], padding: [padding, padding], dilation: [1, 1], groups: 1 };
}

function outputShape({ x, filter, stride, padding, dilation }: Case): Case['x'] {
  const along = (axis: 0 | 1): number =>
    Math.floor((x[axis + 1] + 2 * padding[axis] - dilation[axis] * (filter[axis] - 1) - 1) / stride[axis]) +
    1;
  return [x[0], along(0), along(1), filter[3]];
}

function random4(seed: number, shape: Case['x']) {
  const array = zeros4(...shape);
  const random = new Random(seed, ...shape);
  for (let i = 0; i < array.values.length; i++) array.values[i] = Math.fround(random.uniform(-1, 1));
  return { array, tensor: tf.tensor4d(Float32Array.from(array.values), shape) };
}

describe.each(Object.entries(CASES))('filter gradients, %s', (way, cases) => {
  it.each(Object.entries(cases))('equal the sum over images and pixels: %s', async (_, c) => {
    const [x, dy] = [random4(1, c.x), random4(2, outputShape(c))];
    const expected = naiveFilterGrad(x.array, dy.array, c.filter, c).values;
    const eager = conv2dFilterGrad(x.tensor, dy.tensor, c.filter, c);
    expect(eager.shape).toEqual(c.filter);
    expect(eager.dataSync()).toBeNormwiseClose(expected, TOLERANCE);
    const graph = compile((a: tf.Tensor4D, b: tf.Tensor4D) => conv2dFilterGrad(a, b, c.filter, c), {
      name: 'df',
    });
    expect((await graph(x.tensor, dy.tensor)).dataSync()).toBeNormwiseClose(expected, TOLERANCE);
    graph.dispose();
  });

  it.each(Object.entries(cases))('take this way: %s', (_, c) => {
    const ones = tf.ones(outputShape(c)) as tf.Tensor4D;
    const fn = (x: tf.Tensor) => conv2dFilterGrad(x as tf.Tensor4D, ones, c.filter, c);
    const graph = traced(fn, c.x);
    const used = { convolutions: count(graph, 'Conv') > 0, slices: count(graph, 'Slice') > 0 };
    expect(used).toEqual({ convolutions: way === 'gathered', slices: way === 'sliced' });
    expect(count(graph, 'MatMul')).toBe(way === 'tiny' && c.filter[0] > 1 ? 2 : 1);
  });
});

describe('convolutions over tiny images', () => {
  it.each(Object.entries(TINY))('and their gradients equal loops over pixels: %s', async (_, c) => {
    const [x, filter, dy] = [random4(5, c.x), random4(6, c.filter), random4(7, outputShape(c))];
    const forward = (a: tf.Tensor4D, f: tf.Tensor4D) => conv2d(a, f, c);
    const backward = (g: tf.Tensor4D, f: tf.Tensor4D) => conv2dInputGrad(g, f, c.x, c);
    const expected = {
      y: naiveConv2d(x.array, filter.array, c).values,
      dx: naiveInputGrad(dy.array, filter.array, c.x, c).values,
    };
    expect(forward(x.tensor, filter.tensor).dataSync()).toBeNormwiseClose(expected.y, TOLERANCE);
    expect(backward(dy.tensor, filter.tensor).dataSync()).toBeNormwiseClose(expected.dx, TOLERANCE);
    const both = compile(
      (a: tf.Tensor4D, f: tf.Tensor4D, g: tf.Tensor4D) => ({ y: forward(a, f), dx: backward(g, f) }),
      { name: 'tiny' },
    );
    const got = await both(x.tensor, filter.tensor, dy.tensor);
    expect(got.y.shape).toEqual(outputShape(c));
    expect(got.y.dataSync()).toBeNormwiseClose(expected.y, TOLERANCE);
    expect(got.dx.dataSync()).toBeNormwiseClose(expected.dx, TOLERANCE);
    both.dispose();
  });

  it('share their taps with the filter`s gradient', () => {
    const c = TINY['3x3'];
    const filter = tf.variable(random4(6, c.filter).tensor);
    const fn = (x: tf.Tensor) => {
      const y = conv2d(x as tf.Tensor4D, filter.mul(tf.max(x)) as tf.Tensor4D, c);
      return conv2dFilterGrad(x as tf.Tensor4D, y, c.filter, c);
    };
    expect(count(traced(fn, c.x), 'MatMul')).toBe(3);
    filter.dispose();
  });
});

describe('filter gradients for images with their inverse', () => {
  it.each([
    ['stem of ImageNet networks', on([2, 13, 12, 6], [7, 7, 6, 4], 2, 3)],
    ['stem of CIFAR networks', on([3, 6, 7, 6], [3, 3, 6, 5], 1, 1)],
    ['no padding', on([2, 5, 6, 2], [3, 3, 2, 3], 1, 0)],
  ])('take half the channels: %s', async (_, c) => {
    const half: Case['x'] = [c.x[0], c.x[1], c.x[2], c.x[3] / 2];
    const [x, dy] = [random4(3, half), random4(4, outputShape(c))];
    const both = zeros4(...c.x);
    for (let i = 0; i < x.array.values.length; i++) {
      const at = Math.floor(i / half[3]) * c.x[3] + (i % half[3]);
      both.values[at] = x.array.values[i];
      both.values[at + half[3]] = Math.fround(1 - x.array.values[i]);
    }
    const expected = naiveFilterGrad(both, dy.array, c.filter, c).values;
    const fn = (image: tf.Tensor, errors: tf.Tensor) =>
      conv2dFilterGrad(
        tf.concat([image, tf.sub(1, image)], 3) as tf.Tensor4D,
        errors as tf.Tensor4D,
        c.filter,
        c,
      );
    const graph = compile(fn, { name: 'df' });
    expect((await graph(x.tensor, dy.tensor)).dataSync()).toBeNormwiseClose(expected, TOLERANCE);
    graph.dispose();
    const nodes = traced((image) => fn(image, dy.tensor), half).nodes.map((node) => node.op);
    expect(nodes.filter((op) => op === 'MatMul')).toHaveLength(2);
  });
});
