import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { Random } from '../../../src/core/random.js';
import type { GraphParts } from '../../../src/engine/onnx/graph.js';
import { foldChannelFactors } from '../../../src/engine/onnx/passes/channelFactors.js';
import { optimise, PASSES } from '../../../src/engine/onnx/passes/index.js';
import { joinInverseChannels } from '../../../src/engine/onnx/passes/inverseChannels.js';
import { oneHotAsRow } from '../../../src/engine/onnx/passes/oneHotRows.js';
import { transposedAsPhases } from '../../../src/engine/onnx/passes/phases.js';
import { skipZeroBlocks } from '../../../src/engine/onnx/passes/zeroBlocks.js';
import { startEngine } from '../../../src/engine/start.js';
import { networkPart } from '../../../src/explain/networkPart.js';
import { pullBack, runPart } from '../../../src/explain/parts.js';
import { bcosConv2d } from '../../../src/layers/bcosConv2d.js';
import { createModel } from '../../../src/models/index.js';
import { count, randomImage, runGraph, storedNumbers, traced } from './graphs.js';

beforeAll(async () => {
  await startEngine({ engine: 'onnx', threads: 1 });
});

const TOLERANCE = 1e-6;

/** Runs a graph before and after a change on the same image and compares every result. */
async function expectSameNumbers(
  before: GraphParts,
  after: GraphParts,
  shape: readonly number[],
  tolerance = TOLERANCE,
): Promise<void> {
  for (const seed of [1, 2]) {
    const x = randomImage(shape, seed);
    const [expected, got] = [await runGraph(before, x, shape), await runGraph(after, x, shape)];
    expect(Object.keys(got)).toEqual(Object.keys(expected));
    for (const [name, values] of Object.entries(expected))
      expect(got[name], name).toBeNormwiseClose(values, tolerance);
  }
}

function normal(random: Random, shape: number[], scale = 1): tf.Tensor {
  const size = shape.reduce((product, dimension) => product * dimension, 1);
  return tf.tensor(
    Float32Array.from({ length: size }, () => random.normal() * scale),
    shape,
  );
}

/** Gains of both signs, none near zero. */
function gains(random: Random, count: number): tf.Tensor1D {
  return tf.tensor1d(
    Float32Array.from({ length: count }, () => (random.next() < 0.3 ? -1 : 1) * (0.3 + random.next())),
  );
}

interface Layer {
  readonly filters: tf.Tensor4D;
  readonly gain: tf.Tensor1D;
  readonly stride: 1 | 2;
  readonly groups: number;
  readonly isResidual: boolean;
  readonly b: number;
}

/** A random network of B-cos layers with norm gains, residual sums and strides, as a function in explanation mode. */
function randomNetwork(seed: number): (x: tf.Tensor) => tf.Tensor {
  const random = new Random(seed);
  let channels = 6;
  const layers: Layer[] = Array.from({ length: 3 + random.integer(3) }, () => {
    const kernel = random.integer(2) === 0 ? 1 : 3;
    const groups = channels % 2 === 0 && random.next() < 0.25 ? 2 : 1;
    const isResidual = random.next() < 0.4;
    const outputs = isResidual ? channels : 4 + 2 * random.integer(4);
    const filters = normal(random, [kernel, kernel, channels / groups, outputs]) as tf.Tensor4D;
    const stride = !isResidual && random.next() < 0.4 ? 2 : 1;
    channels = outputs;
    const b = random.next() < 0.8 ? 2 : 1.5;
    return { filters, gain: gains(random, outputs), stride, groups, isResidual, b };
  });
  return (x) =>
    layers.reduce((value: tf.Tensor, { filters, gain, stride, groups, isResidual, b }) => {
      const reach = (filters.shape[0] - 1) / 2;
      const conv = {
        stride: [stride, stride] as [number, number],
        padding: [reach, reach] as [number, number],
        dilation: [1, 1] as [number, number],
        groups,
      };
      const y = bcosConv2d(value as tf.Tensor4D, filters, { conv, b, maxOut: 1, divisor: 1 }, true);
      const scaled = tf.mul(y, gain);
      return isResidual ? tf.add(scaled, value) : scaled;
    }, x);
}

/** Value of a network on [x, 1 - x], and the sum over channels of that times the gradient of its sum. */
function explained(network: (x: tf.Tensor) => tf.Tensor): (x: tf.Tensor) => { y: tf.Tensor; map: tf.Tensor } {
  return (x) => {
    const encoded = tf.concat([x, tf.sub(1, x)], 3);
    const { value, gradient } = pullBack(
      { constants: [], run: network },
      encoded,
      tf.onesLike(network(encoded)),
    );
    return { y: value, map: tf.sum(tf.mul(encoded, gradient), 3) };
  };
}

const IMAGE = [2, 12, 8, 3];

describe('graph passes', () => {
  it('change no number of random networks and their transposes', async () => {
    for (let seed = 1; seed <= 6; seed++) {
      const parts = traced(explained(randomNetwork(seed)), IMAGE);
      for (const [, pass] of PASSES) await expectSameNumbers(parts, pass(parts), IMAGE, 2e-6);
      await expectSameNumbers(parts, optimise(parts), IMAGE, 2e-6);
    }
  }, 60_000);

  it('leave a graph alone in which they find nothing', () => {
    const parts = traced((x) => tf.relu(tf.sub(x, 2)), [2, 3]);
    for (const pass of [
      oneHotAsRow,
      skipZeroBlocks,
      foldChannelFactors,
      joinInverseChannels,
      transposedAsPhases,
    ])
      expect(pass(parts).nodes).toEqual(parts.nodes);
  });
});

describe('constant factors of channels', () => {
  const random = new Random(5);
  const filters = normal(random, [3, 3, 3, 8]) as tf.Tensor4D;
  const conv = { stride: [1, 1], padding: [1, 1], dilation: [1, 1], groups: 1 } as const;
  const layer = (x: tf.Tensor, gain: tf.Tensor) =>
    tf.mul(
      bcosConv2d(
        x as tf.Tensor4D,
        filters,
        { conv: { ...conv, stride: [1, 1], padding: [1, 1], dilation: [1, 1] }, b: 2, maxOut: 1, divisor: 1 },
        true,
      ),
      gain,
    );

  it('go into the filters, of the layer and of its transpose, which stay one constant', async () => {
    const gain = gains(random, 8);
    const fn = (x: tf.Tensor) => {
      const part = { constants: [], run: (image: tf.Tensor) => layer(image, gain) };
      const { value, gradient } = pullBack(part, x, tf.square(part.run(x)));
      return { value, gradient };
    };
    const parts = traced(fn, [2, 6, 6, 3]);
    const folded = foldChannelFactors(parts);
    expect(count(folded, 'Mul')).toBe(count(parts, 'Mul') - 2);
    expect(storedNumbers(folded)).toBeLessThanOrEqual(storedNumbers(parts));
    await expectSameNumbers(parts, folded, [2, 6, 6, 3]);
  });

  it('stay where a gain is zero and the transpose divides by it', async () => {
    const gain = tf.tensor1d([1, 0, -1, 2, 1, 1, 0.5, -2]);
    const fn = (x: tf.Tensor) => {
      const part = { constants: [], run: (image: tf.Tensor) => layer(image, gain) };
      return pullBack(part, x, tf.square(part.run(x))).gradient;
    };
    await expectSameNumbers(
      traced(fn, [1, 5, 5, 3]),
      foldChannelFactors(traced(fn, [1, 5, 5, 3])),
      [1, 5, 5, 3],
    );
    const forward = foldChannelFactors(traced((x) => layer(x, gain), [1, 5, 5, 3]));
    await expectSameNumbers(
      traced((x) => layer(x, gain), [1, 5, 5, 3]),
      forward,
      [1, 5, 5, 3],
    );
  });

  it('stay where another reader needs the value', async () => {
    const gain = gains(random, 8);
    const fn = (x: tf.Tensor) => {
      const y = tf.mul(x, gain);
      return { y, square: tf.square(y), root: tf.sqrt(tf.abs(y)) };
    };
    const parts = traced(fn, [1, 4, 4, 8]);
    expect(count(foldChannelFactors(parts), 'Mul')).toBe(count(parts, 'Mul'));
  });

  it('cancel each other', async () => {
    const fn = (x: tf.Tensor) => tf.mul(tf.transpose(tf.mul(x, 4), [0, 3, 1, 2]), 0.25);
    const folded = foldChannelFactors(traced(fn, [1, 4, 4, 3]));
    expect(count(folded, 'Mul')).toBe(0);
    await expectSameNumbers(traced(fn, [1, 4, 4, 3]), folded, [1, 4, 4, 3]);
  });
});

describe('inverse channels', () => {
  const filters = normal(new Random(7), [3, 3, 6, 4]) as tf.Tensor4D;
  const conv = {
    stride: [2, 2] as [number, number],
    padding: [1, 1] as [number, number],
    dilation: [1, 1] as [number, number],
    groups: 1,
  };
  const network = (x: tf.Tensor) =>
    bcosConv2d(x as tf.Tensor4D, filters, { conv, b: 2, maxOut: 1, divisor: 1 }, true);

  it('are read as [x, 1] by a layer, its norm and its map', async () => {
    const parts = traced(explained(network), [2, 8, 8, 3]);
    const joined = joinInverseChannels(parts);
    const widths = (p: GraphParts) =>
      p.nodes
        .filter(({ op }) => op === 'Conv' || op === 'ConvTranspose')
        .map(({ inputs }) => p.values?.get(inputs[0])?.shape[1]);
    expect(widths(parts)).toContain(6);
    expect(widths(joined)).not.toContain(6);
    expect(count(joined, 'Concat')).toBe(1);
    await expectSameNumbers(parts, joined, [2, 8, 8, 3]);
  });

  it('stay where they are a result', async () => {
    const fn = (x: tf.Tensor) => {
      const encoded = tf.concat([x, tf.sub(1, x)], 3);
      return { y: network(encoded), encoded };
    };
    await expectSameNumbers(
      traced(fn, [1, 6, 6, 3]),
      joinInverseChannels(traced(fn, [1, 6, 6, 3])),
      [1, 6, 6, 3],
    );
  });
});

describe('transposed convolutions of few channels', () => {
  it.each([
    [7, 2, 3, 112 / 7],
    [3, 2, 1, 8],
    [4, 4, 0, 5],
    [2, 2, 0, 6],
    [5, 3, 1, 9],
  ])(
    'become one convolution and a shuffle: kernel %i, stride %i, padding %i',
    async (kernel, stride, pad, size) => {
      const filters = normal(new Random(kernel), [kernel, kernel, 2, 5]) as tf.Tensor4D;
      const conv = {
        stride: [stride, stride] as [number, number],
        padding: [pad, pad] as [number, number],
        dilation: [1, 1] as [number, number],
        groups: 1,
      };
      const part = {
        constants: [],
        run: (x: tf.Tensor) =>
          bcosConv2d(x as tf.Tensor4D, filters, { conv, b: 1, maxOut: 1, divisor: 1 }, true),
      };
      const fn = (x: tf.Tensor) => pullBack(part, x, tf.square(part.run(x))).gradient;
      const shape = [2, size * stride, size * stride, 2];
      const parts = traced(fn, shape);
      const phases = transposedAsPhases(parts);
      const [height] = parts.nodes
        .filter(({ op }) => op === 'Conv')
        .map(({ outputs }) => parts.values?.get(outputs[0])?.shape[2] ?? 0);
      const divides = height * stride === shape[1];
      expect(count(phases, 'ConvTranspose')).toBe(divides ? 0 : 1);
      await expectSameNumbers(parts, phases, shape);
    },
  );
});

describe('the pullback of one class', () => {
  const filters = normal(new Random(9), [1, 1, 6, 12]) as tf.Tensor4D;
  const conv = {
    stride: [1, 1] as [number, number],
    padding: [0, 0] as [number, number],
    dilation: [1, 1] as [number, number],
    groups: 1,
  };
  const head = {
    constants: [],
    run: (x: tf.Tensor) =>
      tf.mean(bcosConv2d(x as tf.Tensor4D, filters, { conv, b: 2, maxOut: 1, divisor: 1 }, true), [1, 2]),
  };
  const shape = [3, 4, 5, 6];

  it('is one row of the weights where the class is the greatest', async () => {
    const fn = (x: tf.Tensor) => {
      const target = tf.oneHot(tf.argMax(head.run(x), 1) as tf.Tensor1D, 12, 1, 0, 'float32');
      return pullBack(head, x, target).gradient;
    };
    const parts = traced(fn, shape);
    const rows = oneHotAsRow(parts);
    expect(count(rows, 'Conv')).toBe(count(parts, 'Conv') - 1);
    expect(count(rows, 'Gather')).toBe(1);
    await expectSameNumbers(parts, rows, shape);
  });

  it('stays a convolution for any other target', () => {
    const fn = (x: tf.Tensor) => pullBack(head, x, tf.softmax(head.run(x))).gradient;
    const parts = traced(fn, shape);
    expect(oneHotAsRow(parts).nodes).toEqual(parts.nodes);
  });
});

describe('a product with channels that are zero', () => {
  const weights = normal(new Random(11), [9, 4]) as tf.Tensor2D;

  it('reads the rows of the others only', async () => {
    const fn = (x: tf.Tensor) => {
      const wide = tf.concat([tf.zeros([2, 50, 4]), x, tf.zeros([2, 50, 2])], 2);
      return tf.matMul(tf.reshape(wide, [100, 9]) as tf.Tensor2D, weights);
    };
    const parts = traced(fn, [2, 50, 3]);
    const skipped = skipZeroBlocks(parts);
    expect(count(parts, 'Concat') - count(skipped, 'Concat')).toBe(1);
    await expectSameNumbers(parts, skipped, [2, 50, 3]);
  });

  it('stays where two parts are not zero', () => {
    const fn = (x: tf.Tensor) =>
      tf.matMul(
        tf.concat([x, tf.zeros([10, 4]), tf.neg(x)], 1) as tf.Tensor2D,
        weights.slice([0, 0], [8, 4]),
      );
    const parts = traced(fn, [10, 2]);
    expect(skipZeroBlocks(parts).nodes).toEqual(parts.nodes);
  });
});

describe('the passes on a network', () => {
  /** Scores of a residual network with varied norms, and the pixels' contributions to each image's top class. */
  function explanation() {
    const model = createModel('cifar10_resnet_20_bnu-linear-nomaxout');
    const random = new Random(3);
    for (const weight of model.network.weights) {
      if (weight.originalName.endsWith('/running_var'))
        weight.write(
          tf.tensor1d(Float32Array.from({ length: weight.shape[0] ?? 0 }, () => 0.2 + random.next())),
        );
    }
    const encode = networkPart(model.segment(null, 'input'));
    const network = networkPart(model.segment('input', null));
    return (x: tf.Tensor) => {
      const encoded = runPart(encode, x);
      const scores = runPart(network, encoded);
      const target = tf.oneHot(tf.argMax(scores, 1) as tf.Tensor1D, 10, 1, 0, 'float32');
      const { gradient } = pullBack(network, encoded, target);
      return { scores, map: tf.sum(tf.mul(encoded, gradient), 3) };
    };
  }

  it('take away every norm gain of a residual network and its transpose', async () => {
    const fn = explanation();
    const shape = [2, 32, 32, 3];
    const parts = traced(fn, shape);
    const optimised = optimise(parts);
    const vectors = (p: GraphParts) =>
      p.nodes.filter(
        ({ op, inputs }) =>
          op === 'Mul' &&
          inputs.some((name) => p.constants.some((c) => c.name === name && c.dims.length > 0)),
      ).length;
    expect(vectors(parts)).toBeGreaterThan(40);
    expect(vectors(optimised)).toBe(0);
    expect(storedNumbers(optimised)).toBeLessThanOrEqual(storedNumbers(parts));
    await expectSameNumbers(parts, optimised, shape, 3e-6);
  }, 30_000);

  it('give an image the same numbers alone and in a batch', async () => {
    const fn = explanation();
    const [few, many] = [optimise(traced(fn, [1, 32, 32, 3])), optimise(traced(fn, [5, 32, 32, 3]))];
    const images = randomImage([5, 32, 32, 3], 4);
    const together = await runGraph(many, images, [5, 32, 32, 3]);
    for (const row of [0, 4]) {
      const size = 32 * 32 * 3;
      const alone = await runGraph(few, images.slice(row * size, (row + 1) * size), [1, 32, 32, 3]);
      for (const [name, values] of Object.entries(alone)) {
        const own = together[name].slice(row * values.length, (row + 1) * values.length);
        expect(values, name).toBeNormwiseClose(own, 1e-6);
      }
    }
  }, 30_000);
});
