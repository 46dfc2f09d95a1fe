import * as tf from '@tensorflow/tfjs';
import { describe, expect, it } from 'vitest';
import { topKDense, topKSparse } from '../../src/layers/topK.js';
import {
  decode,
  decodeSparse,
  encode,
  encodeSparse,
  initialSaeWeights,
  TopKSae,
} from '../../src/layers/topKSae.js';
import { tensorGrowth, useEngine } from '../engine.js';
import { saeSuite } from '../goldens/sae.suite.js';
import { testGoldenSuite } from '../goldens/suite.js';

useEngine();
testGoldenSuite(saeSuite);

const values = (t: tf.Tensor): number[] => {
  const result = Array.from(t.dataSync());
  t.dispose();
  return result;
};

describe('top-k', () => {
  it('keeps the k largest positive values of each position', () => {
    const v = tf.tensor2d([
      [3, -1, 2, 1],
      [-5, 4, 0, 4.5],
    ]);
    expect(values(topKDense(v, 2))).toEqual([3, 0, 2, 0, 0, 4, 0, 4.5]);
  });

  it('cuts ties at the k-th place by index', () => {
    expect(values(topKDense(tf.tensor2d([[1, 2, 2, 2, 1]]), 2))).toEqual([0, 2, 2, 0, 0]);
  });

  it('keeps all positive values where they are fewer than k', () => {
    expect(values(topKDense(tf.tensor2d([[-1, 2, -3, 0]]), 3))).toEqual([0, 2, 0, 0]);
    const code = topKSparse(tf.tensor2d([[-1, 2, -3, 0]]), 3);
    expect(values(code.values)).toEqual([2, 0, 0]);
  });

  it('is the relu where k is all, and nothing for zero input', () => {
    expect(values(topKDense(tf.tensor2d([[-1, 2, 3]]), 3))).toEqual([0, 2, 3]);
    expect(values(topKDense(tf.zeros([2, 3]), 2))).toEqual([0, 0, 0, 0, 0, 0]);
  });

  it('passes the gradient to selected positive entries only', () => {
    const v = tf.tensor2d([
      [3, -1, 2, 1],
      [-5, 4, 0, -2],
    ]);
    const dy = tf.tensor2d([
      [1, 2, 3, 4],
      [5, 6, 7, 8],
    ]);
    expect(values(tf.grad((v) => tf.sum(tf.mul(topKDense(v, 2), dy)))(v))).toEqual([1, 0, 3, 0, 0, 6, 0, 0]);
  });

  it('passes the gradient of the sparse values to where they came from', () => {
    const v = tf.tensor2d([[3, -1, 2, 1]]);
    const weights = tf.tensor2d([[10, 20]]);
    expect(values(tf.grad((v) => tf.sum(tf.mul(topKSparse(v, 2).values, weights)))(v))).toEqual([
      10, 0, 20, 0,
    ]);
  });

  it('works on maps as on rows', () => {
    const v = tf.randomNormal([2, 3, 4, 6], 0, 1, 'float32', 1);
    const flat = values(topKDense(tf.reshape(v, [24, 6]), 2));
    expect(values(topKDense(v, 2))).toEqual(flat);
  });
});

describe('encode and decode', () => {
  const [channels, latents, k] = [5, 9, 3];
  const start = initialSaeWeights(channels, latents, 3);
  const make = () => ({
    e: tf.tensor2d(start.encoder, [latents, channels]),
    d: tf.tensor2d(start.decoder, [channels, latents]),
    x: tf.randomNormal([2, 2, 3, channels], 0, 1, 'float32', 2),
  });

  /** The chain in float64, plain arrays. */
  function loss(
    x: ArrayLike<number>,
    e: ArrayLike<number>,
    d: ArrayLike<number>,
    g: ArrayLike<number>,
  ): number {
    let total = 0;
    for (let p = 0; p < x.length / channels; p++) {
      const pre = Array.from({ length: latents }, (_, j) => {
        let sum = 0;
        for (let c = 0; c < channels; c++) sum += e[j * channels + c] * x[p * channels + c];
        return sum;
      });
      const kept = pre
        .map((v, j) => [v, j] as const)
        .filter(([v]) => v > 0)
        .sort((a, b) => b[0] - a[0])
        .slice(0, k);
      for (let c = 0; c < channels; c++) {
        let value = 0;
        for (const [u, j] of kept) value += u * d[c * latents + j];
        total += value * value * g[p * channels + c];
      }
    }
    return total;
  }

  it('agrees with finite differences of float64 arithmetic away from ties', () => {
    const { e, d, x } = make();
    const g = tf.randomNormal(x.shape, 0, 1, 'float32', 5);
    const grads = tf.grads((x, e, d) =>
      tf.sum(tf.mul(tf.square(decode(encode(x, e as tf.Tensor2D, k), d as tf.Tensor2D)), g)),
    )([x, e, d]);
    const arrays = [x, e, d].map((t) => Float64Array.from(t.dataSync()));
    const gValues = g.dataSync();
    grads.forEach((grad, which) => {
      const h = 1e-6;
      const numeric = arrays[which].map((_, i) => {
        const at = (shift: number) => {
          const moved = arrays.map((a) => Float64Array.from(a));
          moved[which][i] += shift;
          return loss(moved[0], moved[1], moved[2], gValues);
        };
        return (at(h) - at(-h)) / (2 * h);
      });
      expect(grad.dataSync()).toBeNormwiseClose(numeric, 1e-5);
    });
  });

  it('is positively homogeneous', () => {
    const { e, x } = make();
    const once = values(encode(x, e, k));
    expect(values(encode(tf.mul(x, 4), e, k))).toEqual(once.map((v) => 4 * v));
  });

  it('decodes sparse and dense activations to the same, with the same gradient', () => {
    const { e, d, x } = make();
    const dense = tf.grad((x) => tf.sum(tf.square(decode(encode(x, e, k), d))))(x);
    const rows = tf.transpose(d);
    const sparse = tf.grad((x) => tf.sum(tf.square(decodeSparse(encodeSparse(x, e, k), rows))))(x);
    expect(sparse.dataSync()).toBeNormwiseClose(dense.dataSync(), 1e-6);
  });

  it('leaves no tensor behind', async () => {
    const { e, d, x } = make();
    const growth = await tensorGrowth(() => {
      for (let i = 0; i < 1000; i++) {
        const u = encode(x, e, k);
        tf.dispose([u, decode(u, d)]);
        tf.dispose(encodeSparse(x, e, k));
        if (i < 20) tf.grad((x) => tf.sum(decode(encode(x, e, k), d)))(x).dispose();
      }
    });
    expect(growth).toBe(0);
  });

  it('starts with unit decoder columns and their transpose as encoder, by seed', () => {
    for (let j = 0; j < latents; j++) {
      let squares = 0;
      for (let c = 0; c < channels; c++) {
        squares += start.decoder[c * latents + j] ** 2;
        expect(start.encoder[j * channels + c]).toBe(start.decoder[c * latents + j]);
      }
      expect(squares).toBeCloseTo(1, 6);
    }
    expect(initialSaeWeights(channels, latents, 3)).toEqual(start);
    expect(initialSaeWeights(channels, latents, 4)).not.toEqual(start);
  });
});

describe('TopKSae', () => {
  it('reconstructs as its functions do, and saves and loads with its configuration', async () => {
    const layer = new TopKSae({ name: 'sae', channels: 4, latents: 7, k: 2, seed: 5 });
    const input = tf.input({ shape: [3, 3, 4] });
    const model = tf.model({ inputs: input, outputs: layer.apply(input) as tf.SymbolicTensor });
    const x = tf.randomNormal([2, 3, 3, 4], 0, 1, 'float32', 7);
    const { encoder, decoder } = layer.weightTensors;
    const expected = values(decode(encode(x, encoder, 2), decoder));
    expect(values(model.apply(x, { explain: true }) as tf.Tensor)).toEqual(expected);
    expect(layer.weights.map((w) => w.originalName)).toEqual(['sae/encoder.weight', 'sae/decoder.weight']);

    let saved: tf.io.ModelArtifacts | undefined;
    await model.save(
      tf.io.withSaveHandler(async (artifacts) => {
        saved = artifacts;
        return { modelArtifactsInfo: { dateSaved: new Date(0), modelTopologyType: 'JSON' } };
      }),
    );
    const loaded = await tf.loadLayersModel(tf.io.fromMemory(saved as tf.io.ModelArtifacts));
    const copy = loaded.getLayer('sae') as TopKSae;
    expect(copy.getConfig()).toMatchObject({ channels: 4, latents: 7, k: 2, seed: 5 });
    expect(values(loaded.apply(x) as tf.Tensor)).toEqual(expected);
    for (const m of [model, loaded]) m.dispose();
  });

  it.each([
    [{ channels: 4, latents: 3, k: 4 }, /k is 4, more than the 3 latents/],
    [{ channels: 4, latents: 3, k: 0 }, /k is 0/],
    [{ channels: 0, latents: 3, k: 1 }, /channels is 0/],
    [{ channels: 4, latents: 2.5, k: 1 }, /latents is 2.5/],
  ])('refuses %o', (args, message) => {
    expect(() => new TopKSae(args)).toThrow(message);
  });

  it('refuses an input with other channels', () => {
    const layer = new TopKSae({ channels: 4, latents: 7, k: 2 });
    expect(() => layer.apply(tf.zeros([1, 5]))).toThrow(/5 channels/);
  });
});
