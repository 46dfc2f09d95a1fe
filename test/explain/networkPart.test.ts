import * as tf from '@tensorflow/tfjs';
import { describe, expect, it } from 'vitest';
import { networkPart } from '../../src/explain/networkPart.js';
import { addPart, chainParts, pullBack, purePart, runPart } from '../../src/explain/parts.js';
import { tensorGrowth, useEngine } from '../engine.js';
import { smallModel } from './fixtures.js';

useEngine();

describe('parts of a network', () => {
  it('computes what the model computes, the logit bias left out', async () => {
    const model = smallModel({ logitBias: -3, temperature: 0.5 });
    const part = networkPart(model.segment(null, null));
    const x = tf.randomUniform([2, 32, 32, 3], 0, 1, 'float32', 5);
    const [ours, logits] = [runPart(part, x), model.network.apply(x) as tf.Tensor];
    const withBias = (await ours.data()).map((v) => v - 3);
    expect(withBias).toBeNormwiseClose(await logits.data(), 1e-6);
    tf.dispose([x, ours, logits]);
    model.dispose();
  });

  it('refuses a model with two outputs', () => {
    const input = tf.input({ shape: [2] });
    const layer = tf.layers.activation({ activation: 'linear' });
    const two = tf.model({ inputs: input, outputs: [layer.apply(input) as tf.SymbolicTensor, input] });
    expect(() => networkPart(two)).toThrowError(expect.objectContaining({ code: 'E_EXPLAIN_MODEL' }));
  });

  it('splits an affine map into the share of the input and that of each constant, by image', async () => {
    const part = chainParts([
      purePart((x) => tf.mul(x, 2)),
      addPart('first', tf.tensor1d([1, 2])),
      purePart((x) => tf.mul(x, 3)),
      addPart('second', tf.tensor1d([10, 20])),
    ]);
    expect(part.constants).toEqual(['first', 'second']);
    const x = tf.tensor2d([
      [1, 1],
      [2, 5],
    ]);
    const seed = tf.tensor2d([
      [1, 0],
      [1, 1],
    ]);
    const { value, gradient, constantTerms } = pullBack(part, x, seed);
    expect(await value.array()).toEqual([
      [19, 32],
      [25, 56],
    ]);
    expect(await gradient.array()).toEqual([
      [6, 0],
      [6, 6],
    ]);
    expect(await constantTerms.array()).toEqual([
      [3, 10],
      [9, 30],
    ]);
  });

  it('keeps no tensor', async () => {
    const part = chainParts([purePart((x) => tf.square(x)), purePart((x) => tf.mul(x, 3))]);
    const x = tf.tensor2d([[1, 2]]);
    const growth = await tensorGrowth(() => {
      for (let i = 0; i < 1000; i++) tf.dispose(Object.values(pullBack(part, x, x)) as tf.Tensor[]);
    });
    expect(growth).toBe(0);
    x.dispose();
  });
});
