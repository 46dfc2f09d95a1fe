import * as tf from '@tensorflow/tfjs';
import { describe, expect, it } from 'vitest';
import { FactError } from '../../src/core/errors.js';
import { BatchNorm2d } from '../../src/layers/batchNorm2d.js';
import { BatchNormUncentered2d } from '../../src/layers/batchNormUncentered2d.js';
import { BcosConv2d, type BcosConv2dConfig } from '../../src/layers/bcosConv2d.js';
import { BcosLinear } from '../../src/layers/bcosLinear.js';
import { StochasticDepth } from '../../src/layers/stochasticDepth.js';
import { useEngine } from '../engine.js';
import { randomTensor } from './numbers.js';

useEngine();

function conv(config: Partial<BcosConv2dConfig>, channels = 2): BcosConv2d {
  const layer = new BcosConv2d({ name: 'conv', outChannels: 2, ...config });
  layer.build([null, null, null, channels]);
  layer.built = true;
  return layer;
}

function setWeights(layer: tf.layers.Layer, values: tf.TensorLike): void {
  tf.tidy(() => {
    layer.weights[0].write(tf.reshape(tf.tensor(values), layer.weights[0].read().shape));
  });
}

/** Gradients of the sum of outputs to input and weight. */
function gradients(layer: tf.layers.Layer, x: tf.Tensor): tf.Tensor[] {
  return tf.grads((input: tf.Tensor) => tf.sum(layer.apply(input) as tf.Tensor))([
    x,
    layer.weights[0].read(),
  ]);
}

const allFinite = (t: tf.Tensor): boolean => t.dataSync().every((v) => Number.isFinite(v));
const isZero = (t: tf.Tensor): boolean => t.dataSync().every((v) => v === 0);

describe('a B-cos layer', () => {
  it.each([1, 1.5, 2, 3])('gives zero and finite gradients where the input is zero (b = %f)', (b) => {
    tf.tidy(() => {
      for (const layer of [conv({ b, kernel: 3, padding: 1 }), conv({ b, maxOut: 2 })]) {
        const x = tf.zeros([1, 4, 4, 2]);
        expect(isZero(layer.apply(x) as tf.Tensor)).toBe(true);
        expect(gradients(layer, x).every(allFinite)).toBe(true);
      }
      const linear = new BcosLinear({ outFeatures: 3, b });
      const rows = tf.zeros([2, 5]);
      expect(isZero(linear.apply(rows) as tf.Tensor)).toBe(true);
      expect(gradients(linear, rows).every(allFinite)).toBe(true);
    });
  });

  it('gives zero output and zero gradient for a filter that is exactly zero', () => {
    tf.tidy(() => {
      const layer = conv({});
      setWeights(layer, [0, 1, 0, 2]);
      const x = randomTensor([1, 3, 3, 2], 1);
      const [first] = tf.unstack(layer.apply(x) as tf.Tensor, 3);
      expect(isZero(first)).toBe(true);
      const dw = gradients(layer, x)[1];
      expect(allFinite(dw)).toBe(true);
      expect(isZero(tf.unstack(dw, 3)[0])).toBe(true);
    });
  });

  it('gives the gradient of a tie in MaxOut to the first of the equal filters', () => {
    tf.tidy(() => {
      const layer = conv({ outChannels: 1, maxOut: 2 });
      setWeights(layer, [
        [1, 1],
        [2, 2],
      ]);
      const x = randomTensor([1, 3, 3, 2], 2);
      const dw = tf.unstack(gradients(layer, x)[1], 3);
      expect(isZero(dw[0])).toBe(false);
      expect(isZero(dw[1])).toBe(true);
    });
  });

  it('chooses by sign in MaxOut, not by size', () => {
    tf.tidy(() => {
      const layer = conv({ outChannels: 1, maxOut: 2 }, 1);
      setWeights(layer, [1, -1]);
      const y = layer.apply(tf.tensor4d([-3], [1, 1, 1, 1])) as tf.Tensor;
      expect(y.dataSync()[0]).toBeCloseTo(3, 5);
    });
  });

  it('does not depend on the size of its filters', () => {
    tf.tidy(() => {
      const layer = conv({ kernel: 3, padding: 1 });
      const x = randomTensor([1, 4, 4, 2], 3);
      const before = (layer.apply(x) as tf.Tensor).dataSync();
      layer.weights[0].write(tf.mul(layer.weights[0].read(), 37));
      expect((layer.apply(x) as tf.Tensor).dataSync()).toBeNormwiseClose(before, 1e-6);
    });
  });

  it('has weight gradients orthogonal to the filters', () => {
    tf.tidy(() => {
      const layer = conv({ kernel: 3, padding: 1, b: 1.5 });
      const dw = gradients(layer, randomTensor([2, 4, 4, 2], 4))[1];
      const w = layer.weights[0].read();
      const along = tf.sum(tf.mul(w, dw), [0, 1, 2]).dataSync();
      const size = tf
        .sqrt(tf.mul(tf.sum(tf.square(w), [0, 1, 2]), tf.sum(tf.square(dw), [0, 1, 2])))
        .dataSync();
      along.forEach((v, i) => {
        expect(Math.abs(v) / size[i]).toBeLessThan(1e-5);
      });
    });
  });

  it.each([
    ['outChannels', { outChannels: 0 }],
    ['b', { b: 0.5 }],
    ['maxOut', { maxOut: 1.5 }],
    ['kernel', { kernel: [3, 3, 3] as unknown as number }],
    ['padding', { padding: -1 }],
    ['outChannels', { outChannels: 3, groups: 2 }],
    ['groups', { groups: 2, channels: 3, outChannels: 4 }],
  ])('refuses a wrong %s with an error that names it', (argument, config) => {
    const { channels, ...rest } = { channels: 2, ...config };
    expect(() => conv(rest, channels)).toThrow(
      expect.objectContaining({ code: 'E_LAYER_CONFIG', message: expect.stringContaining(argument) }),
    );
  });

  it('refuses an input without channels', () => {
    const layer = new BcosConv2d({ outChannels: 2 });
    expect(() => layer.build([null, null, null, null])).toThrow(
      expect.objectContaining({ code: 'E_LAYER_INPUT' }),
    );
  });
});

describe('a batch norm', () => {
  it('refuses to explain while training where it is centered, and does so where it is not', () => {
    tf.tidy(() => {
      const x = randomTensor([2, 3, 3, 2], 1);
      const args = { training: true, explain: true };
      expect(() => new BatchNorm2d({}).apply(x, args)).toThrow(FactError);
      expect(allFinite(new BatchNormUncentered2d({}).apply(x, args) as tf.Tensor)).toBe(true);
    });
  });

  it('updates its statistics when training only', () => {
    tf.tidy(() => {
      const layer = new BatchNormUncentered2d({ momentum: 0.5 });
      const x = randomTensor([4, 3, 3, 2], 1, 3);
      layer.apply(x);
      const [, , , variance, count] = layer.weights.map((w) => w.read());
      expect(Array.from(variance.dataSync())).toEqual([1, 1]);
      layer.apply(x, { training: true });
      expect(count.dataSync()[0]).toBe(1);
      const wanted = tf.add(0.5, tf.mul(tf.moments(x, [0, 1, 2]).variance, 0.5)).dataSync();
      expect(variance.dataSync()).toBeNormwiseClose(wanted, 1e-6);
    });
  });

  it('gives zero where everything is zero', () => {
    tf.tidy(() => {
      const y = new BatchNormUncentered2d({}).apply(tf.zeros([2, 3, 3, 2]), { training: true }) as tf.Tensor;
      expect(isZero(y)).toBe(true);
    });
  });
});

describe('stochastic depth', () => {
  it('needs random numbers when training and says so', () => {
    tf.tidy(() => {
      const layer = new StochasticDepth({ name: 'depth', probability: 0.5 });
      expect(() => layer.apply(tf.ones([2, 3]), { training: true })).toThrow(
        expect.objectContaining({ code: 'E_RANDOM_MISSING' }),
      );
    });
  });

  it('keeps the mean: kept rows are divided by the probability of keeping', () => {
    tf.tidy(() => {
      const layer = new StochasticDepth({ name: 'depth', probability: 0.25 });
      const uniform = { depth: tf.tensor1d([0.7, 0.8]) };
      const y = layer.apply(tf.ones([2, 1]), { training: true, uniform }) as tf.Tensor;
      expect(Array.from(y.dataSync())).toEqual([Math.fround(4 / 3), 0]);
    });
  });
});
