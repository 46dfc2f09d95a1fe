import * as tf from '@tensorflow/tfjs';
import { describe, expect, it } from 'vitest';
import { Random } from '../../../../src/core/random.js';
import { type SaeLossOptions, saeGradients } from '../../../../src/train/sae/step/gradients.js';
import { adam, clipFactor, removeParallel, unitRows } from '../../../../src/train/sae/step/update.js';
import { tensorGrowth, useEngine } from '../../../engine.js';

useEngine();

const [B, C, K] = [7, 5, 14];
const DEAD = [1, 4, 8];
const base: SaeLossOptions = { k: 2, auxAlpha: 0.5, auxK: 2, deadAfterRows: 100, auxWidth: K };

function normals(count: number, ...keys: number[]): Float64Array {
  const random = new Random(...keys);
  return Float64Array.from({ length: count }, () => Math.fround(random.normal()));
}

/** A case where the latents in DEAD respond weakly, so that top-k leaves them out, and have old counters. */
function makeCase() {
  const x = normals(B * C, 1);
  const e = normals(K * C, 2);
  for (const j of DEAD) for (let c = 0; c < C; c++) e[j * C + c] = Math.fround(0.05 * e[j * C + c]);
  const r = normals(K * C, 3);
  const counters = Int32Array.from({ length: K }, (_, j) => (DEAD.includes(j) ? 500 : 3));
  return { x, e, r, counters };
}

const dot = (a: ArrayLike<number>, i: number, b: ArrayLike<number>, j: number): number => {
  let sum = 0;
  for (let c = 0; c < C; c++) sum += a[i * C + c] * b[j * C + c];
  return sum;
};

/** Positive values of row p among `allowed`, the `count` largest. */
function topOf(x: ArrayLike<number>, p: number, e: ArrayLike<number>, allowed: number[], count: number) {
  return allowed
    .map((j) => [dot(x, p, e, j), j] as const)
    .filter(([v]) => v > 0)
    .sort((a, b) => b[0] - a[0])
    .slice(0, count);
}

const ALL = Array.from({ length: K }, (_, j) => j);

function residuals(x: ArrayLike<number>, e: ArrayLike<number>, r: ArrayLike<number>): Float64Array {
  const result = Float64Array.from(x);
  for (let p = 0; p < B; p++)
    for (const [u, j] of topOf(x, p, e, ALL, base.k))
      for (let c = 0; c < C; c++) result[p * C + c] -= u * r[j * C + c];
  return result;
}

/** The loss in float64; residual and denominator of the auxiliary term are those of the unmoved weights. */
function loss(x: Float64Array, e: Float64Array, r: Float64Array, held: Float64Array): number {
  const l2 = residuals(x, e, r).reduce((s, v) => s + v * v, 0) / B;
  const mean = Float64Array.from({ length: C }, (_, c) => {
    let sum = 0;
    for (let p = 0; p < B; p++) sum += held[p * C + c] / B;
    return sum;
  });
  const variance = held.reduce((s, v, i) => s + (v - mean[i % C]) ** 2, 0) / B;
  let numerator = 0;
  for (let p = 0; p < B; p++) {
    const top = topOf(x, p, e, DEAD, base.auxK);
    for (let c = 0; c < C; c++) {
      const z = top.reduce((s, [u, j]) => s + u * r[j * C + c], 0);
      numerator += (held[p * C + c] - z) ** 2 / B;
    }
  }
  return l2 + (base.auxAlpha * numerator) / variance;
}

function run(options: SaeLossOptions = base) {
  const { x, e, r, counters } = makeCase();
  return tf.tidy(() =>
    saeGradients(
      tf.tensor2d(Float32Array.from(x), [B, C]),
      tf.tensor2d(Float32Array.from(e), [K, C]),
      tf.tensor2d(Float32Array.from(r), [K, C]),
      tf.tensor1d(counters, 'int32'),
      options,
    ),
  );
}

describe('the loss of the autoencoder', () => {
  it('and its gradients agree with finite differences of float64 arithmetic', () => {
    const { x, e, r } = makeCase();
    const held = residuals(x, e, r);
    const result = run();
    expect(result.loss.dataSync()).toBeNormwiseClose([loss(x, e, r, held)], 1e-5);
    const h = 1e-6;
    for (const [values, gradient] of [
      [e, result.encoderGrad],
      [r, result.decoderRowsGrad],
    ] as const) {
      const numeric = values.map((_, i) => {
        const at = (shift: number) => {
          const moved = Float64Array.from(values);
          moved[i] += shift;
          return values === e ? loss(x, moved, r, held) : loss(x, e, moved, held);
        };
        return (at(h) - at(-h)) / (2 * h);
      });
      expect(gradient.dataSync()).toBeNormwiseClose(numeric, 1e-5);
    }
  });

  it('counts rows since each latent fired, and which are dead', () => {
    const { x, e, counters } = makeCase();
    const fired = new Array<number>(K).fill(0);
    for (let p = 0; p < B; p++) for (const [, j] of topOf(x, p, e, ALL, base.k)) fired[j]++;
    const result = run();
    expect(Array.from(result.fired.dataSync())).toEqual(fired);
    expect(Array.from(result.counters.dataSync())).toEqual(
      fired.map((n, j) => (n > 0 ? 0 : counters[j] + B)),
    );
    expect(result.dead.dataSync()[0]).toBe(DEAD.filter((j) => fired[j] === 0).length);
    expect(DEAD.every((j) => fired[j] === 0)).toBe(true);
  });

  it('is the same for every width that holds the dead latents', () => {
    const wide = run();
    const narrow = run({ ...base, auxWidth: 3 });
    expect(narrow.loss.dataSync()).toBeNormwiseClose(wide.loss.dataSync(), 1e-6);
    expect(narrow.encoderGrad.dataSync()).toBeNormwiseClose(wide.encoderGrad.dataSync(), 1e-6);
    expect(narrow.decoderRowsGrad.dataSync()).toBeNormwiseClose(wide.decoderRowsGrad.dataSync(), 1e-6);
  });

  it('gives dead latents a gradient only through the auxiliary term', () => {
    const [without, withAux] = [run({ ...base, auxWidth: 0 }), run()];
    for (const j of DEAD) {
      const norm = (t: tf.Tensor) => Math.hypot(...t.dataSync().slice(j * C, (j + 1) * C));
      expect(norm(without.encoderGrad)).toBe(0);
      expect(norm(withAux.encoderGrad)).toBeGreaterThan(0);
    }
  });

  it('leaves no tensor behind', async () => {
    const growth = await tensorGrowth(() => {
      for (let i = 0; i < 100; i++) tf.dispose(run());
    });
    expect(growth).toBe(0);
  });
});

describe('the update', () => {
  const weights = () => tf.tensor2d([3, 4, 0, 2], [2, 2]);

  it('removes from a gradient what is parallel to its direction', () => {
    const result = removeParallel(tf.tensor2d([1, 1, 5, 7], [2, 2]), weights()).dataSync();
    expect(result).toBeNormwiseClose([1 - 0.84, 1 - 1.12, 5, 0], 1e-5);
  });

  it('clips the joint norm to 1 and leaves smaller gradients as they are', () => {
    const large = clipFactor(3 ** 2 + 4 ** 2);
    expect(large.norm).toBeCloseTo(5, 12);
    expect(large.factor).toBeCloseTo(0.2, 6);
    expect(clipFactor(0.3 ** 2).factor).toBe(1);
  });

  it('is Adam with bias correction', () => {
    const [w, m, v, g, t] = [0.5, 0.2, 0.03, 0.4, 3];
    const tensor = (value: number) => tf.tensor2d([value], [1, 1]);
    const [c1, c2] = [1 - 0.9 ** t, 1 - 0.999 ** t];
    const next = adam(tensor(w), tensor(m), tensor(v), tensor(g), tf.scalar(0.5), {
      learningRate: tf.scalar(0.01),
      correction1: tf.scalar(c1),
      correction2: tf.scalar(c2),
    });
    const [m1, v1] = [0.9 * m + 0.1 * 0.5 * g, 0.999 * v + 0.001 * (0.5 * g) ** 2];
    const expected = w - (0.01 * (m1 / c1)) / (Math.sqrt(v1 / c2) + 1e-8);
    expect(next.weight.dataSync()[0]).toBeCloseTo(expected, 6);
    expect(next.moment1.dataSync()[0]).toBeCloseTo(m1, 7);
    expect(next.moment2.dataSync()[0]).toBeCloseTo(v1, 7);
  });

  it('scales directions to unit norm', () => {
    expect(unitRows(weights()).dataSync()).toBeNormwiseClose([0.6, 0.8, 0, 1], 1e-6);
  });
});
