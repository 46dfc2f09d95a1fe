import * as tf from '@tensorflow/tfjs';
import { describe, expect, it } from 'vitest';
import { Random } from '../../../../src/core/random.js';
import { scatterLast } from '../../../../src/engine/ops.js';
import { encodeSparse, initialSaeWeights } from '../../../../src/layers/topKSae.js';
import { saeForward, saeGradients } from '../../../../src/train/sae/step/gradients.js';
import { areSparse } from '../../../../src/train/sae/step/products.js';
import { selectByBatch, selectByRow } from '../../../../src/train/sae/step/selection.js';
import { batchTopKCode, nextCode } from '../../../../src/train/sae/step/threshold.js';
import { SaeTrainer, type SaeTrainerOptions } from '../../../../src/train/sae/step/trainer.js';
import { tensorGrowth, useEngine } from '../../../engine.js';

useEngine();

const [B, C, K, k] = [6, 5, 12, 2];

function normals(count: number, seed: number): Float32Array {
  const random = new Random(seed, count);
  return Float32Array.from({ length: count }, () => random.normal());
}

/** Responses of the rows in float64, and those among them that are the `count` largest positive ones. */
function expected(x: Float32Array, e: Float32Array, count: number) {
  const all = Array.from({ length: (x.length / C) * K }, (_, i) => {
    const [p, j] = [Math.floor(i / K), i % K];
    let value = 0;
    for (let c = 0; c < C; c++) value += x[p * C + c] * e[j * C + c];
    return { value, i };
  });
  const chosen = all
    .filter(({ value }) => value > 0)
    .sort((a, b) => b.value - a.value)
    .slice(0, count);
  const dense = new Float64Array(all.length);
  for (const { value, i } of chosen) dense[i] = value;
  return { dense, smallest: chosen.at(-1)?.value ?? 0 };
}

function dense(values: ArrayLike<number>, indices: ArrayLike<number>, width: number): Float64Array {
  const result = new Float64Array((values.length / width) * K);
  for (let i = 0; i < values.length; i++) result[Math.floor(i / width) * K + indices[i]] += values[i];
  return result;
}

const matrix = (values: Float32Array, columns = C) => tf.tensor2d(values, [values.length / columns, columns]);

describe('the choice of a batch', () => {
  const x = normals(B * C, 1);
  const e = normals(K * C, 2);

  it('is the k B largest positive responses of all rows, however they are spread', () => {
    x.fill(0, 0, C);
    for (let c = 0; c < C; c++) x[C + c] *= 20;
    const found = selectByBatch(matrix(x), matrix(e), k, K, K + 1);
    const { dense: wanted, smallest } = expected(x, e, k * B);
    expect(dense(found.values.dataSync(), found.indices.dataSync(), K)).toBeNormwiseClose(wanted, 1e-6);
    expect(found.smallest.dataSync()[0]).toBeCloseTo(smallest, 4);
    expect(found.full.dataSync()[0]).toBe(0);
    const counts = Array.from(
      { length: B },
      (_, p) => wanted.slice(p * K, (p + 1) * K).filter((v) => v > 0).length,
    );
    expect(counts[0]).toBe(0);
    expect(Math.max(...counts)).toBeGreaterThan(k);
    const shares = Float32Array.from({ length: K + 1 }, (_, n) => counts.filter((m) => m === n).length / B);
    expect(found.perRow.dataSync()).toBeNormwiseClose(shares, 1e-6);
  });

  it('says which rows may need more places', () => {
    expect(selectByBatch(matrix(x), matrix(e), k, k, K + 1).full.dataSync()[0]).toBeGreaterThan(0);
  });

  it('goes to the first rows and lower latents where all responses are equal', () => {
    const ones = (rows: number) => matrix(new Float32Array(rows * C).fill(1));
    const found = selectByBatch(ones(4), ones(K), 3, K, K + 1);
    expect(Array.from(tf.sum(tf.step(found.values), 1).dataSync())).toEqual([K, 0, 0, 0]);
    const three = selectByBatch(ones(1), ones(K), 3, K, K + 1);
    expect(Array.from(three.indices.dataSync()).slice(0, 3)).toEqual([0, 1, 2]);
    expect(Array.from(three.values.dataSync()).slice(0, 4)).toEqual([C, C, C, 0]);
  });

  it('is nothing in a batch of zeros, and that of a row where there is one row', () => {
    const none = selectByBatch(matrix(new Float32Array(B * C)), matrix(e), k, K, K + 1);
    expect(Math.max(...none.values.dataSync())).toBe(0);
    expect(none.smallest.dataSync()[0]).toBe(0);
    expect(none.perRow.dataSync()[0]).toBeCloseTo(1, 6);
    const one = x.slice(2 * C, 3 * C);
    const byBatch = selectByBatch(matrix(one), matrix(e), k, K, K + 1);
    const byRow = selectByRow(matrix(one), matrix(e), k);
    expect(dense(byBatch.values.dataSync(), byBatch.indices.dataSync(), K)).toEqual(
      dense(byRow.values.dataSync(), byRow.indices.dataSync(), k),
    );
  });

  it('is a constant for the gradients', () => {
    const r = normals(K * C, 3);
    const counters = tf.zeros([K], 'int32') as tf.Tensor1D;
    const options = { k, batchWidth: K, auxAlpha: 0, auxK: 1, deadAfterRows: 1e6, auxWidth: 0 };
    const got = saeGradients(matrix(x), matrix(e), matrix(r), counters, options);
    const mask = tf.tensor2d(Float32Array.from(expected(x, e, k * B).dense, Math.sign), [B, K]);
    const [dE, dR] = tf.grads((encoder: tf.Tensor, rows: tf.Tensor) => {
      const u = tf.mul(tf.matMul(matrix(x), encoder as tf.Tensor2D, false, true), mask) as tf.Tensor2D;
      return tf.div(tf.sum(tf.square(tf.sub(tf.matMul(u, rows as tf.Tensor2D), matrix(x)))), B);
    })([matrix(e), matrix(r)]);
    expect(got.encoderGrad.dataSync()).toBeNormwiseClose(dE.dataSync(), 1e-5);
    expect(got.decoderRowsGrad.dataSync()).toBeNormwiseClose(dR.dataSync(), 1e-5);
  });
});

describe('the products of a sparse batch', () => {
  it('take its activations one by one and give the same gradients', () => {
    const [latents, width] = [200, 12];
    expect(areSparse(latents, 1)).toBe(true);
    const [x, e, r] = [normals(B * C, 7), normals(latents * C, 8), normals(latents * C, 9)];
    const counters = tf.zeros([latents], 'int32') as tf.Tensor1D;
    // Some are dead, so that rows of the auxiliary term are added, too.
    const options = { k: 1, batchWidth: width, auxAlpha: 0.5, auxK: 4, deadAfterRows: B, auxWidth: latents };
    const forward = saeForward(matrix(x), matrix(e), matrix(r), counters, options);
    expect(forward.selection.values.shape).toEqual([B, 1]);
    expect(forward.chosen?.full.dataSync()[0]).toBe(0);
    const got = saeGradients(matrix(x), matrix(e), matrix(r), counters, options);
    const { values, indices } = selectByBatch(matrix(x), matrix(e), 1, width, 2);
    const u = scatterLast(values, indices, latents) as tf.Tensor2D;
    const du = tf.mul(tf.matMul(forward.g, matrix(r), false, true), tf.step(u)) as tf.Tensor2D;
    const aux = forward.auxGrads;
    if (aux === undefined) throw new Error('no auxiliary term');
    const spread = (t: tf.Tensor2D) =>
      tf.matMul(tf.oneHot(aux.indices, latents).toFloat() as tf.Tensor2D, t, true, false);
    const wanted = {
      encoder: tf.add(tf.matMul(du, matrix(x), true, false), spread(aux.encoder)),
      decoder: tf.add(tf.matMul(u, forward.g, true, false), spread(aux.decoderRows)),
    };
    expect(got.encoderGrad.dataSync()).toBeNormwiseClose(wanted.encoder.dataSync(), 1e-5);
    expect(got.decoderRowsGrad.dataSync()).toBeNormwiseClose(wanted.decoder.dataSync(), 1e-5);
  });
});

const OPTIONS: SaeTrainerOptions = {
  architecture: 'batchtopk',
  channels: C,
  latents: K,
  k,
  learningRate: 0.01,
  schedule: { totalSteps: 20, warmupSteps: 0, decayStart: null },
  auxAlpha: 1 / 32,
  auxK: 4,
  deadAfterRows: 30,
  batchRows: 16,
  normFactor: 3,
  thresholdMemory: 0.5,
  thresholdStart: 3,
};
const trainer = (changes: Partial<SaeTrainerOptions> = {}) =>
  new SaeTrainer({ ...OPTIONS, ...changes }, initialSaeWeights(C, K, 1));

/** One row strong, the others weak: it needs more than 2 k places. */
function unevenBatch(seed: number): Float32Array {
  const values = normals(16 * C, seed);
  for (let c = 0; c < C; c++) values[c] *= 50;
  return values;
}

describe('a training of architecture batchtopk', () => {
  it('keeps k activations a row on average, and the running mean of the smallest one', async () => {
    const sae = trainer();
    let threshold = -1;
    for (let update = 0; update < 7; update++) {
      const values = unevenBatch(update);
      const { values: state } = await sae.state();
      const scaled = values.map((v) => v / OPTIONS.normFactor);
      const { smallest } = expected(scaled, state.encoder as Float32Array, k * 16);
      threshold = update > 3 ? 0.5 * threshold + 0.5 * smallest : smallest;
      const x = matrix(values);
      const report = await sae.step(x);
      x.dispose();
      expect(report.l0).toBeCloseTo(k, 5);
    }
    const code = sae.code();
    expect(code.threshold / (threshold * OPTIONS.normFactor)).toBeCloseTo(1, 4);
    expect(code.k).toBeGreaterThan(2 * k);
    expect(code.training).toMatchObject({ code: { truncatedShare: 0 } });
    expect((code.training.code as { meanActive: number }).meanActive).toBeCloseTo(k, 4);
    sae.dispose();
  });

  it('goes on from a state with the same bits', async () => {
    const [one, other] = [trainer(), trainer()];
    const step = async (sae: SaeTrainer, seed: number) => {
      const x = matrix(unevenBatch(seed));
      await sae.step(x);
      x.dispose();
    };
    for (let seed = 0; seed < 6; seed++) await step(one, seed);
    for (let seed = 0; seed < 3; seed++) await step(other, seed);
    const resumed = trainer();
    resumed.restore(await other.state());
    for (let seed = 3; seed < 6; seed++) await step(resumed, seed);
    expect(await resumed.state()).toEqual(await one.state());
    expect(resumed.code()).toEqual(one.code());
    for (const sae of [one, other, resumed]) sae.dispose();
  });

  it('stops at features that are no numbers and leaves everything as it was', async () => {
    const sae = trainer();
    const good = matrix(unevenBatch(1));
    await sae.step(good);
    const before = await sae.state();
    const bad = matrix(unevenBatch(2).fill(Number.NaN, 7, 8));
    await expect(sae.step(bad)).rejects.toMatchObject({ code: 'E_SAE_DIVERGED' });
    expect(await sae.state()).toEqual(before);
    tf.dispose([good, bad]);
    sae.dispose();
  });

  it('takes a batch of zeros, which moves no threshold', async () => {
    const sae = trainer();
    const zeros = matrix(new Float32Array(16 * C));
    expect(() => sae.code()).toThrow(expect.objectContaining({ code: 'E_SAE_FEATURES' }));
    const report = await sae.step(zeros);
    expect(report.l0).toBe(0);
    expect(() => sae.code()).toThrow(expect.objectContaining({ code: 'E_SAE_FEATURES' }));
    const good = matrix(unevenBatch(1));
    await sae.step(good);
    const { threshold } = sae.code();
    await sae.step(zeros);
    expect(sae.code().threshold).toBe(threshold);
    tf.dispose([zeros, good]);
    sae.dispose();
  });

  it('leaves no tensor behind', async () => {
    const growth = await tensorGrowth(async () => {
      const sae = trainer();
      const x = matrix(unevenBatch(1));
      await sae.step(x);
      await sae.step(x);
      x.dispose();
      sae.dispose();
    });
    expect(growth).toBe(0);
  });
});

describe('the code of single positions', () => {
  it('is as wide as all but one row in 10,000 need, and says what the others lose', () => {
    const perRow = Float32Array.of(0, 0.5, 0.4999, 0.00005, 0.00005, 0);
    const options = { k: 2, latents: 5, normFactor: 2, width: null };
    expect(batchTopKCode({ threshold: 3, perRow }, options)).toMatchObject({ k: 2, threshold: 6 });
    const narrow = batchTopKCode({ threshold: 3, perRow }, { ...options, width: 1 });
    expect(narrow.k).toBe(1);
    expect((narrow.training.code as { truncatedShare: number }).truncatedShare).toBeCloseTo(0.5, 4);
    expect(batchTopKCode({ threshold: 3, perRow }, { ...options, width: 99 }).k).toBe(5);
  });

  it('forgets by its memory', () => {
    const first = nextCode({ threshold: -1, perRow: new Float32Array(2) }, 4, Float32Array.of(0, 1), 0.9);
    expect(first).toEqual({ threshold: 4, perRow: Float32Array.of(0, 1) });
    const next = nextCode(first, 2, Float32Array.of(1, 0), 0.75);
    expect(next).toEqual({ threshold: 3.5, perRow: Float32Array.of(0.25, 0.75) });
    expect(nextCode(next, 0, Float32Array.of(1, 0), 0.75)).toBe(next);
  });

  it('encodes unscaled features as training sees scaled ones', () => {
    const [x, e, norm] = [normals(B * C, 5), normals(K * C, 6), 7];
    const scaled = encodeSparse(matrix(x.map((v) => v / norm)), matrix(e), 5, 0.1);
    const plain = encodeSparse(matrix(x), matrix(e), 5, 0.1 * norm);
    expect(plain.values.dataSync()).toBeNormwiseClose(tf.mul(scaled.values, norm).dataSync(), 1e-5);
    const values = Array.from(plain.values.dataSync());
    expect(values.some((v) => v > 0)).toBe(true);
    expect(values.every((v) => v === 0 || v > 0.1 * norm)).toBe(true);
  });
});
