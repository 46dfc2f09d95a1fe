import * as tf from '@tensorflow/tfjs';
import { describe, expect, it } from 'vitest';
import { Random } from '../../../../src/core/random.js';
import {
  archetypalStart,
  mixtureGradient,
  toBound,
  toHull,
} from '../../../../src/train/sae/step/archetypal.js';
import { archetypePoints, archetypeSampleRows } from '../../../../src/train/sae/step/archetypes.js';
import { SaeTrainer, type SaeTrainerOptions } from '../../../../src/train/sae/step/trainer.js';
import { tensorGrowth, useEngine } from '../../../engine.js';

useEngine();

const [C, K, M, ROWS] = [6, 9, 7, 40];

function normals(count: number, seed: number): Float32Array {
  const random = new Random(seed, count);
  return Float32Array.from({ length: count }, () => random.normal());
}

const matrix = (values: Float32Array, columns: number) =>
  tf.tensor2d(values, [values.length / columns, columns]);

describe('the constraint of an archetypal dictionary', () => {
  const start = () => matrix(Float32Array.of(0.2, 0.3, 0.5, 1, 0, 0), 3);

  it('keeps rows of weights that are not negative and sum to 1, the old ones where none is positive', () => {
    const moved = matrix(Float32Array.of(0.4, -0.3, 1.2, -1, -2, 0), 3);
    expect(toHull(moved, start()).dataSync()).toBeNormwiseClose([0.25, 0, 0.75, 1, 0, 0], 1e-6);
  });

  it('shortens rows to the bound and leaves shorter ones as they are', () => {
    const rows = () => matrix(Float32Array.of(3, 4, 0.3, 0.4, 0, 0), 2);
    expect(toBound(rows(), tf.scalar(1)).dataSync()).toBeNormwiseClose([0.6, 0.8, 0.3, 0.4, 0, 0], 1e-6);
    expect(Array.from(toBound(rows(), tf.scalar(0)).dataSync())).toEqual([0, 0, 0, 0, 0, 0]);
  });

  it('is part of the gradient: that of weights divided by their sum', () => {
    const [gradient, points] = [matrix(normals(2 * C, 1), C), matrix(normals(3 * C, 2), C)];
    const wanted = tf.grad((v: tf.Tensor) => {
      const weights = tf.div(v, tf.sum(v, 1, true)) as tf.Tensor2D;
      return tf.sum(tf.mul(gradient, tf.matMul(weights, points)));
    })(start());
    expect(mixtureGradient(gradient, start(), points).dataSync()).toBeNormwiseClose(wanted.dataSync(), 1e-5);
  });
});

const OPTIONS: SaeTrainerOptions = {
  architecture: 'archetypal',
  channels: C,
  latents: K,
  k: 2,
  points: M,
  relaxation: 0.1,
  learningRate: 0.02,
  schedule: { totalSteps: 100, warmupSteps: 0, decayStart: null },
  auxAlpha: 1 / 32,
  auxK: 4,
  deadAfterRows: 200,
  batchRows: ROWS,
  normFactor: 2,
};
const POINTS = normals(M * C, 3);
const trainer = (changes: Partial<SaeTrainerOptions> = {}) =>
  new SaeTrainer({ ...OPTIONS, ...changes }, archetypalStart(POINTS, C, K, 5));

/** Rows near mixtures of the points, in the features' own scale. */
function batch(seed: number): tf.Tensor2D {
  const random = new Random(seed);
  const values = new Float32Array(ROWS * C);
  for (let p = 0; p < ROWS; p++) {
    const [one, other, share] = [random.integer(M), random.integer(M), random.uniform(0, 1)];
    for (let c = 0; c < C; c++)
      values[p * C + c] = 2 * (share * POINTS[one * C + c] + (1 - share) * POINTS[other * C + c]);
  }
  return matrix(values, C);
}

async function train(sae: SaeTrainer, updates: number): Promise<number[]> {
  const losses: number[] = [];
  for (let update = 0; update < updates; update++) {
    const x = batch(update % 10);
    losses.push((await sae.step(x)).loss);
    x.dispose();
  }
  return losses;
}

describe('a training of architecture archetypal', () => {
  it.each([0, 0.1])(
    'keeps every direction within %s of the hull of its points, and learns',
    async (relaxation) => {
      const sae = trainer({ relaxation });
      const losses = await train(sae, 60);
      expect(losses[59]).toBeLessThan(0.7 * losses[0]);
      const { values } = await sae.state();
      const { mixture, relaxation: left, decoder_rows: rows, points } = values;
      expect(Array.from(points)).toEqual(Array.from(POINTS));
      for (let j = 0; j < K; j++) {
        const weights = Array.from(mixture.slice(j * M, (j + 1) * M));
        expect(Math.min(...weights)).toBeGreaterThanOrEqual(0);
        expect(weights.reduce((a, b) => a + b)).toBeCloseTo(1, 5);
        const rest = Array.from(left.slice(j * C, (j + 1) * C));
        expect(Math.hypot(...rest)).toBeLessThanOrEqual(relaxation * (1 + 1e-5));
        for (let c = 0; c < C; c++) {
          const mean = weights.reduce((sum, w, m) => sum + w * POINTS[m * C + c], 0);
          expect(rows[j * C + c]).toBeCloseTo(mean + rest[c], 5);
        }
      }
      // The hull is what lies below its points in every direction.
      const random = new Random(8);
      for (let n = 0; n < 200; n++) {
        const d = Float64Array.from({ length: C }, () => random.normal());
        const reach = (table: ArrayLike<number>) =>
          Math.max(
            ...Array.from({ length: table.length / C }, (_, i) =>
              d.reduce((sum, value, c) => sum + value * table[i * C + c], 0),
            ),
          );
        expect(reach(rows)).toBeLessThanOrEqual(reach(POINTS) + (relaxation + 1e-5) * Math.hypot(...d));
      }
      sae.dispose();
    },
  );

  it('moves the mixture, not only the relaxation', async () => {
    const sae = trainer();
    const { mixture } = archetypalStart(POINTS, C, K, 5);
    await train(sae, 20);
    const { values } = await sae.state();
    const moved = (values.mixture as Float32Array).reduce(
      (sum, value, i) => sum + Math.abs(value - mixture[i]),
      0,
    );
    expect(moved).toBeGreaterThan(0.1);
    sae.dispose();
  });

  it('goes on from a state with the same bits, from any start', async () => {
    const [through, first] = [trainer(), trainer()];
    await train(through, 6);
    await train(first, 3);
    const resumed = new SaeTrainer(OPTIONS, {
      encoder: new Float32Array(K * C),
      decoder: new Float32Array(K * C),
    });
    resumed.restore(await first.state());
    for (let update = 3; update < 6; update++) {
      const x = batch(update);
      await resumed.step(x);
      x.dispose();
    }
    expect(await resumed.state()).toEqual(await through.state());
    for (const sae of [through, first, resumed]) sae.dispose();
  });

  it('leaves no tensor behind', async () => {
    const growth = await tensorGrowth(async () => {
      const sae = trainer();
      await train(sae, 3);
      sae.dispose();
    });
    expect(growth).toBe(0);
  });
});

describe('the start', () => {
  it('puts each latent at a point of its own, those beyond between two, and encodes along it', () => {
    const { mixture, decoder, encoder } = archetypalStart(POINTS, C, K, 5);
    const tops = Array.from({ length: K }, (_, j) => mixture.slice(j * M, (j + 1) * M));
    const own = tops.slice(0, M).map((weights) => weights.indexOf(1));
    expect([...own].sort()).toEqual([0, 1, 2, 3, 4, 5, 6]);
    for (const weights of tops) expect(weights.reduce((a, b) => a + b)).toBe(1);
    for (let c = 0; c < C; c++) expect(decoder[c * K]).toBe(POINTS[own[0] * C + c]);
    for (let j = 0; j < K; j++) expect(Math.hypot(...encoder.slice(j * C, (j + 1) * C))).toBeCloseTo(1, 5);
  });

  it('needs a point', () => {
    expect(() => archetypalStart(new Float32Array(), C, K, 1)).toThrow(
      expect.objectContaining({ code: 'E_SAE_ARCHETYPES' }),
    );
  });
});

describe('the points', () => {
  const options = { channels: 2, normFactor: 2, points: 3, choice: 'rows' } as const;

  it('are distinct rows in their order, or the means of the rows around them', async () => {
    const rows = Float32Array.of(2, 0, 2, 0, 0, 2, -2, 0, 2.2, 0, 0, 2.4);
    expect(await archetypePoints(rows, options)).toEqual(Float32Array.of(1, 0, 0, 1, -1, 0));
    const means = await archetypePoints(rows, { ...options, choice: 'kmeans' });
    expect(means).toBeNormwiseClose([3.1 / 3, 0, 0, 1.1, -1, 0], 1e-6);
    expect(archetypeSampleRows({ points: 100, choice: 'kmeans' }, 10)).toBe(1600);
    expect(archetypeSampleRows({ points: 1000, choice: 'kmeans' }, 2 ** 24)).toBe(2000);
  });

  it('lie in the hull of the features where they are means', async () => {
    const rows = normals(300 * 2, 4);
    const means = await archetypePoints(rows, { ...options, points: 20, choice: 'kmeans' });
    for (let angle = 0; angle < 6.3; angle += 0.1) {
      const [a, b] = [Math.cos(angle), Math.sin(angle)];
      const reach = (t: ArrayLike<number>, scale: number) =>
        Math.max(
          ...Array.from({ length: t.length / 2 }, (_, i) => (a * t[2 * i] + b * t[2 * i + 1]) / scale),
        );
      expect(reach(means, 1)).toBeLessThanOrEqual(reach(rows, 2) + 1e-6);
    }
  });

  it('are refused where there are fewer distinct rows, and from features that are no numbers', async () => {
    const same = new Float32Array(20).fill(1);
    await expect(archetypePoints(same, options)).rejects.toMatchObject({
      code: 'E_SAE_ARCHETYPES',
      message: expect.stringContaining('1 distinct'),
    });
    await expect(archetypePoints(new Float32Array(), options)).rejects.toMatchObject({
      code: 'E_SAE_ARCHETYPES',
    });
    same[3] = Number.NaN;
    await expect(archetypePoints(same, options)).rejects.toMatchObject({
      code: 'E_SAE_ARCHETYPES',
      message: expect.stringContaining('row 1'),
    });
  });
});
