import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { Random } from '../../../src/core/random.js';
import { compile } from '../../../src/engine/compile.js';
import type { OnnxBackend } from '../../../src/engine/onnx/backend.js';
import * as ops from '../../../src/engine/ops.js';
import { startEngine } from '../../../src/engine/start.js';

interface ConvCase {
  readonly image: readonly [number, number, number, number];
  readonly filter: readonly [number, number, number, number];
  readonly c: ops.ConvConfig;
}

type Pair = readonly [number, number];
const config = (stride: Pair, padding: Pair, dilation: Pair, groups: number): ops.ConvConfig => ({
  stride,
  padding,
  dilation,
  groups,
});

const CONVOLUTIONS: Record<string, ConvCase> = {
  plain: { image: [2, 7, 8, 4], filter: [3, 3, 4, 6], c: config([1, 1], [1, 1], [1, 1], 1) },
  'no padding': { image: [2, 7, 8, 4], filter: [3, 2, 4, 6], c: config([1, 1], [0, 0], [1, 1], 1) },
  'stride 2': { image: [2, 9, 8, 4], filter: [3, 3, 4, 6], c: config([2, 2], [1, 1], [1, 1], 1) },
  'stride 3 and 2, remainder': {
    image: [1, 9, 8, 3],
    filter: [3, 2, 3, 2],
    c: config([3, 2], [0, 1], [1, 1], 1),
  },
  '1x1': { image: [2, 5, 5, 4], filter: [1, 1, 4, 6], c: config([1, 1], [0, 0], [1, 1], 1) },
  '1x1, stride 2': { image: [2, 6, 5, 4], filter: [1, 1, 4, 6], c: config([2, 2], [0, 0], [1, 1], 1) },
  '7x7, stride 2, padding 3': {
    image: [1, 12, 12, 6],
    filter: [7, 7, 6, 8],
    c: config([2, 2], [3, 3], [1, 1], 1),
  },
  'padding beyond the kernel': {
    image: [1, 4, 4, 2],
    filter: [2, 2, 2, 3],
    c: config([1, 1], [3, 2], [1, 1], 1),
  },
  dilated: { image: [2, 9, 9, 4], filter: [3, 3, 4, 6], c: config([1, 1], [2, 2], [2, 2], 1) },
  'dilated, stride 2': { image: [2, 10, 9, 4], filter: [3, 3, 4, 6], c: config([2, 2], [2, 1], [2, 1], 1) },
  grouped: { image: [2, 7, 8, 4], filter: [3, 3, 2, 6], c: config([1, 1], [1, 1], [1, 1], 2) },
  'grouped, stride 2, dilated': {
    image: [2, 9, 9, 6],
    filter: [3, 3, 2, 9],
    c: config([2, 2], [2, 2], [2, 2], 3),
  },
  depthwise: { image: [2, 8, 8, 4], filter: [3, 3, 1, 4], c: config([1, 1], [1, 1], [1, 1], 4) },
  'depthwise 7x7': { image: [1, 9, 9, 8], filter: [7, 7, 1, 8], c: config([1, 1], [3, 3], [1, 1], 8) },
  'depthwise, stride 2, two each': {
    image: [2, 9, 8, 4],
    filter: [3, 3, 1, 8],
    c: config([2, 2], [1, 1], [1, 1], 4),
  },
  'one channel': { image: [3, 6, 6, 1], filter: [3, 3, 1, 1], c: config([1, 1], [1, 1], [1, 1], 1) },
  'one pixel': { image: [1, 1, 1, 5], filter: [1, 1, 5, 3], c: config([1, 1], [0, 0], [1, 1], 1) },
};

function outputSize({ image, filter, c }: ConvCase): Pair {
  const along = (axis: 0 | 1): number =>
    Math.floor(
      (image[axis + 1] + 2 * c.padding[axis] - c.dilation[axis] * (filter[axis] - 1) - 1) / c.stride[axis],
    ) + 1;
  return [along(0), along(1)];
}

/** Calls `visit(y index, x index, filter index)` for every product in the definition of the convolution. */
function eachProduct(test: ConvCase, visit: (y: number, x: number, f: number) => void): void {
  const { image, filter, c } = test;
  const [height, width] = outputSize(test);
  const [kh, kw, inputs, outputs] = filter;
  for (let n = 0; n < image[0]; n++)
    for (let p = 0; p < height; p++)
      for (let q = 0; q < width; q++)
        for (let i = 0; i < kh; i++)
          for (let j = 0; j < kw; j++) {
            const row = p * c.stride[0] - c.padding[0] + i * c.dilation[0];
            const column = q * c.stride[1] - c.padding[1] + j * c.dilation[1];
            if (row < 0 || column < 0 || row >= image[1] || column >= image[2]) continue;
            for (let o = 0; o < outputs; o++)
              for (let k = 0; k < inputs; k++) {
                const channel = Math.floor(o / (outputs / c.groups)) * inputs + k;
                visit(
                  ((n * height + p) * width + q) * outputs + o,
                  ((n * image[1] + row) * image[2] + column) * image[3] + channel,
                  ((i * kw + j) * inputs + k) * outputs + o,
                );
              }
          }
}

function draw(shape: readonly number[], seed: number): Float32Array {
  const random = new Random(seed, ...shape);
  return Float32Array.from({ length: tf.util.sizeFromShape([...shape]) }, () => random.normal());
}

async function eagerAndCompiled(
  name: string,
  fn: (...inputs: tf.Tensor[]) => tf.Tensor[],
  inputs: tf.Tensor[],
): Promise<ArrayLike<number>[][]> {
  const compiled = compile(fn, { name, enabled: true });
  const traced = await compiled(...inputs);
  const eager = tf.tidy(() => fn(...inputs));
  const read = (outputs: tf.Tensor[]) => outputs.map((output) => output.dataSync());
  const values = [read(traced), read(eager)];
  compiled.dispose();
  tf.dispose([...traced, ...eager]);
  return values;
}

beforeAll(async () => {
  await startEngine({ engine: 'onnx', threads: 1 });
  (tf.backend() as OnnxBackend).smallCall = 0;
});

describe('convolution and both gradients equal their definition in float64', () => {
  for (const [name, test] of Object.entries(CONVOLUTIONS)) {
    it(name, async () => {
      const [height, width] = outputSize(test);
      const errorShape = [test.image[0], height, width, test.filter[3]];
      const [x, f, dy] = [draw(test.image, 1), draw(test.filter, 2), draw(errorShape, 3)];
      const y = new Float64Array(dy.length);
      const dx = new Float64Array(x.length);
      const df = new Float64Array(f.length);
      eachProduct(test, (at, from, weight) => {
        y[at] += x[from] * f[weight];
        dx[from] += dy[at] * f[weight];
        df[weight] += dy[at] * x[from];
      });
      const fn = (image: tf.Tensor, filter: tf.Tensor, error: tf.Tensor): tf.Tensor[] => [
        ops.conv2d(image as tf.Tensor4D, filter as tf.Tensor4D, test.c),
        ops.conv2dInputGrad(error as tf.Tensor4D, filter as tf.Tensor4D, test.image, test.c),
        ops.conv2dFilterGrad(image as tf.Tensor4D, error as tf.Tensor4D, test.filter, test.c),
      ];
      const inputs = [
        tf.tensor(x, [...test.image]),
        tf.tensor(f, [...test.filter]),
        tf.tensor(dy, errorShape),
      ];
      for (const [gotY, gotDx, gotDf] of await eagerAndCompiled(name, fn, inputs)) {
        expect(gotY).toBeNormwiseClose(y, 1e-6);
        expect(gotDx).toBeNormwiseClose(dx, 1e-6);
        expect(gotDf).toBeNormwiseClose(df, 1e-6);
      }
      tf.dispose(inputs);
    });
  }
});

const POOLS: Record<string, { image: [number, number, number, number]; p: ops.PoolConfig }> = {
  'box sum of one channel': {
    image: [2, 8, 8, 1],
    p: { kernel: [3, 3], stride: [1, 1], padding: [1, 1], dilation: [1, 1] },
  },
  'box sum, stride 2': {
    image: [2, 9, 8, 1],
    p: { kernel: [3, 3], stride: [2, 2], padding: [1, 1], dilation: [1, 1] },
  },
  tiles: { image: [2, 8, 8, 3], p: { kernel: [2, 2], stride: [2, 2], padding: [0, 0], dilation: [1, 1] } },
  'tiles, remainder': {
    image: [1, 7, 8, 3],
    p: { kernel: [2, 3], stride: [2, 3], padding: [0, 0], dilation: [1, 1] },
  },
  'overlapping, channels': {
    image: [2, 9, 9, 5],
    p: { kernel: [3, 3], stride: [2, 2], padding: [1, 1], dilation: [1, 1] },
  },
  dilated: { image: [2, 9, 9, 3], p: { kernel: [3, 3], stride: [1, 1], padding: [2, 2], dilation: [2, 2] } },
  'padding beyond the kernel': {
    image: [1, 5, 5, 2],
    p: { kernel: [2, 2], stride: [1, 1], padding: [2, 3], dilation: [1, 1] },
  },
  '1x1, stride 2': {
    image: [2, 6, 6, 1],
    p: { kernel: [1, 1], stride: [2, 2], padding: [0, 0], dilation: [1, 1] },
  },
  '1x1': { image: [2, 6, 6, 1], p: { kernel: [1, 1], stride: [1, 1], padding: [0, 0], dilation: [1, 1] } },
};

describe('the sum over a window and its gradient equal a depthwise convolution with ones', () => {
  for (const [name, { image, p }] of Object.entries(POOLS)) {
    it(name, async () => {
      const channels = image[3];
      const test: ConvCase = { image, filter: [...p.kernel, 1, channels], c: { ...p, groups: channels } };
      const [height, width] = outputSize(test);
      const errorShape = [image[0], height, width, channels];
      const [x, dy] = [draw(image, 4), draw(errorShape, 5)];
      const y = new Float64Array(dy.length);
      const dx = new Float64Array(x.length);
      eachProduct(test, (at, from) => {
        y[at] += x[from];
        dx[from] += dy[at];
      });
      const fn = (input: tf.Tensor, error: tf.Tensor): tf.Tensor[] => [
        ops.sumPool2d(input as tf.Tensor4D, p),
        ops.sumPool2dGrad(error as tf.Tensor4D, image, p),
      ];
      const inputs = [tf.tensor(x, image), tf.tensor(dy, errorShape)];
      for (const [gotY, gotDx] of await eagerAndCompiled(name, fn, inputs)) {
        expect(gotY).toBeNormwiseClose(y, 1e-6);
        expect(gotDx).toBeNormwiseClose(dx, 1e-6);
      }
      tf.dispose(inputs);
    });
  }
});

describe('scatter and gather along the last axis', () => {
  it('write and read the places given, and are transposes of each other', async () => {
    const values = tf.tensor3d(draw([2, 3, 2], 6), [2, 3, 2]);
    const places = tf.tensor3d([0, 4, 3, 1, 2, 0, 4, 3, 1, 0, 2, 3], [2, 3, 2], 'int32');
    const fn = (v: tf.Tensor, i: tf.Tensor): tf.Tensor[] => {
      const wide = ops.scatterLast(v, i, 5);
      return [wide, ops.gatherLast(wide, i)];
    };
    const expected = new Float32Array(30);
    const [v, at] = [values.dataSync(), places.dataSync()];
    v.forEach((value, i) => {
      expected[Math.floor(i / 2) * 5 + at[i]] = value;
    });
    for (const [wide, back] of await eagerAndCompiled('scatter', fn, [values, places])) {
      expect(Array.from(wide)).toEqual(Array.from(expected));
      expect(Array.from(back)).toEqual(Array.from(v));
    }
  });
});

describe('a batch of no images', () => {
  it('gives empty images and zero filter gradients', () => {
    const c = config([1, 1], [1, 1], [1, 1], 1);
    const x = tf.zeros([0, 4, 4, 2]) as tf.Tensor4D;
    const f = tf.ones([3, 3, 2, 5]) as tf.Tensor4D;
    const run = (kernel: string, inputs: tf.NamedTensorMap, attrs: object) =>
      tf.engine().runKernel(kernel, inputs, attrs as tf.NamedAttrMap) as tf.Tensor;
    expect(run('FactConv2d', { x, filter: f }, { ...c }).shape).toEqual([0, 4, 4, 5]);
    const dy = tf.zeros([0, 4, 4, 5]);
    const df = run('FactConv2dFilterGrad', { x, dy }, { ...c, filterShape: f.shape });
    expect(df.shape).toEqual([3, 3, 2, 5]);
    expect(df.abs().sum().dataSync()[0]).toBe(0);
    expect(tf.relu(x).shape).toEqual([0, 4, 4, 2]);
  });
});
