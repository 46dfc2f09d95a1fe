import * as tf from '@tensorflow/tfjs';
import { describe, expect, it } from 'vitest';
import { BatchNorm2d } from '../../src/layers/batchNorm2d.js';
import { BcosConv2d } from '../../src/layers/bcosConv2d.js';
import { StochasticDepth } from '../../src/layers/stochasticDepth.js';
import { useEngine } from '../engine.js';

useEngine('cpu');

/** The error that a function throws. */
function errorOf(fn: () => unknown): unknown {
  try {
    fn();
  } catch (error) {
    return error;
  }
  return null;
}

const conv = () => new BcosConv2d({ name: 'conv', outChannels: 4, kernel: 3 });

describe('a layer refuses', () => {
  it.each([
    ['outChannels', { outChannels: 0 }],
    ['kernel', { outChannels: 4, kernel: 2.5 }],
    ['stride', { outChannels: 4, stride: 0 }],
    ['b', { outChannels: 4, b: Number.NaN }],
  ])('a wrong %s, and names layer and argument', (argument, config) => {
    const error = errorOf(() => new BcosConv2d({ name: 'layer1.conv', ...config }));
    expect(error).toMatchObject({
      code: 'E_LAYER_CONFIG',
      message: expect.stringContaining(`layer1.conv: ${argument} must be`),
    });
  });

  it('an input of another rank, or with an unknown channel axis', () => {
    for (const shape of [
      [null, 8, 3],
      [null, 8, 8, null],
    ]) {
      expect(errorOf(() => conv().build(shape))).toMatchObject({ code: 'E_LAYER_INPUT' });
    }
  });

  it('to explain a centred batch norm while it trains', () => {
    const norm = new BatchNorm2d({ name: 'bn' });
    const x = tf.ones([2, 4, 4, 3]);
    expect(errorOf(() => norm.apply(x, { training: true, explain: true }))).toMatchObject({
      code: 'E_EXPLAIN_TRAIN',
      message: expect.stringContaining('bn'),
    });
    tf.dispose([x, ...norm.weights.map((weight) => weight.read())]);
  });

  it('to drop branches without random numbers', () => {
    const layer = new StochasticDepth({ name: 'drop', probability: 0.5 });
    const x = tf.ones([2, 3]);
    expect(errorOf(() => layer.apply(x, { training: true }))).toMatchObject({
      code: 'E_RANDOM_MISSING',
      message: expect.stringContaining('drop'),
    });
    x.dispose();
  });
});
