import * as tf from '@tensorflow/tfjs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Batch } from '../../../src/data/batchLoader.js';
import { startEngine } from '../../../src/engine/start.js';
import { attributeConcepts } from '../../../src/explain/conceptProgram.js';
import { ConceptPass, type PassImage } from '../../../src/explain/concepts/pass.js';
import { networkPart } from '../../../src/explain/networkPart.js';
import { runPart } from '../../../src/explain/parts.js';
import { createSae, type Sae } from '../../../src/explain/sae.js';
import type { BcosModel } from '../../../src/models/bcosModel.js';
import { testEngine } from '../../engineName.js';
import { randomImage, randomSae, SIZE, smallModel } from '../fixtures.js';

const TAP = 'layer2';
const IMAGE: [number, number] = [SIZE, SIZE];

function batchOf(count: number): Batch {
  const images = new Float32Array(count * SIZE * SIZE * 3);
  for (let i = 0; i < count; i++)
    images.set(
      Float32Array.from(randomImage(i).pixels, (v) => v / 255),
      i * SIZE * SIZE * 3,
    );
  return {
    images,
    labels: Int32Array.from({ length: count }, (_, i) => i % 5),
    samples: Int32Array.from({ length: count }, (_, i) => 10 + i),
    keys: Array.from({ length: count }, (_, i) => `key ${i}`),
    size: count,
    index: 0,
    waitMs: 0,
  };
}

describe('a pass over a data set', () => {
  let model: BcosModel;
  let sae: Sae;
  let beside: Sae;
  let pass: ConceptPass;
  let found: PassImage[];
  beforeAll(async () => {
    await startEngine({ engine: testEngine(), threads: 1 });
    model = smallModel();
    sae = randomSae(model, TAP);
    beside = randomSae(model, TAP, 20, 3, 8);
    pass = new ConceptPass(model, sae, { imageSize: IMAGE, batchSize: 4, beside: [beside] });
    found = await pass.run(batchOf(3));
  });
  afterAll(() => {
    pass.dispose();
    sae.dispose();
    beside.dispose();
    model.dispose();
  });

  it('gives the images of a shorter batch, with their names, labels and numbers', () => {
    expect(found.map(({ key, label, sample }) => ({ key, label, sample }))).toEqual([
      { key: 'key 0', label: 0, sample: 10 },
      { key: 'key 1', label: 1, sample: 11 },
      { key: 'key 2', label: 2, sample: 12 },
    ]);
  });

  it('gives what an explanation of the predicted class gives', () => {
    const [encode, lower, upper] = [
      model.segment(null, 'input'),
      model.segment('input', TAP),
      model.segment(TAP, null),
    ].map(networkPart);
    const batch = batchOf(3);
    const expected = tf.tidy(() => {
      const x = runPart(encode, tf.tensor4d(batch.images, [3, SIZE, SIZE, 3])) as tf.Tensor4D;
      const target = tf.oneHot(
        Int32Array.from(found, ({ predicted }) => predicted),
        5,
      );
      const a = attributeConcepts(lower, upper, sae, x, tf.cast(target, 'float32') as tf.Tensor2D);
      const rows = (t: tf.Tensor): number[][] => tf.reshape(t, [3, -1]).arraySync() as number[][];
      return {
        spliced: rows(a.scores),
        contributions: rows(a.contributions),
        presence: rows(a.presence),
        errors: rows(a.errors),
        lengths: rows(a.lengths),
        worth: rows(a.weights),
        constants: rows(a.upperConstants),
      };
    });
    for (const [name, rows] of Object.entries(expected) as [keyof typeof expected, number[][]][]) {
      rows.forEach((row, i) => {
        const largest = Math.max(1, ...row.map(Math.abs));
        expect(found[i][name]).toHaveLength(row.length);
        row.forEach((value, j) => {
          expect(Math.abs(found[i][name][j] - value), `${name} ${i} ${j}`).toBeLessThan(2e-5 * largest);
        });
      });
    }
  });

  it('gives contributions that sum to the score of the class with the highest one', () => {
    for (const { spliced, predicted, contributions, constants } of found) {
      expect(spliced[predicted]).toBe(Math.max(...spliced));
      const sum = [...contributions, ...constants].reduce((total, v) => total + v, 0);
      expect(sum).toBeCloseTo(spliced[predicted], 4);
    }
  });

  it('gives moments of features and of what the reconstruction misses', () => {
    for (const { features, residual, errors, lengths } of found) {
      const squares = (values: Float32Array): number => values.reduce((sum, v) => sum + v * v, 0);
      const positions = errors.length;
      expect(features.spread + positions * squares(features.mean)).toBeCloseTo(squares(lengths), 2);
      expect(residual.spread + positions * squares(residual.mean)).toBeCloseTo(squares(errors), 2);
    }
  });

  it('gives the codes of autoencoders beside', async () => {
    const own = new ConceptPass(model, beside, { imageSize: IMAGE, batchSize: 4 });
    const alone = await own.run(batchOf(3));
    own.dispose();
    for (const [i, { values, indices }] of alone.entries()) {
      expect(found[i].beside).toHaveLength(1);
      expect(Array.from(found[i].beside[0].values)).toEqual(Array.from(values));
      expect(Array.from(found[i].beside[0].indices)).toEqual(Array.from(indices));
    }
  });

  it('keeps no tensors', async () => {
    const before = tf.memory().numTensors;
    await pass.run(batchOf(2));
    await pass.run(batchOf(4));
    expect(tf.memory().numTensors).toBe(before);
  });

  it('takes black images', async () => {
    const black = { ...batchOf(1), images: new Float32Array(SIZE * SIZE * 3) };
    const [image] = await pass.run(black);
    expect(image.contributions.every(Number.isFinite)).toBe(true);
    expect(image.errors.every(Number.isFinite)).toBe(true);
  });

  it('refuses numbers that are none, and names the image', async () => {
    const bad = batchOf(2);
    bad.images[SIZE * SIZE * 3 + 5] = Number.NaN;
    await expect(pass.run(bad)).rejects.toMatchObject({
      code: 'E_NOT_FINITE',
      message: expect.stringContaining('key 1'),
    });
  });

  it('refuses autoencoders of other networks and taps, and standard networks', () => {
    const options = { imageSize: IMAGE, batchSize: 4 };
    const other = randomSae(model, 'layer1');
    expect(() => new ConceptPass(model, sae, { ...options, beside: [other] })).toThrow(
      /belongs at tap layer1/,
    );
    other.dispose();
    const { channels, latents, k } = sae;
    const zeros = new Float32Array(channels * latents);
    const foreign = createSae({
      channels,
      latents,
      k,
      encoder: zeros,
      decoder: zeros,
      tap: TAP,
      meta: { arch: 'x' },
    });
    expect(() => new ConceptPass(model, foreign, options)).toThrow(/trained on x/);
    foreign.dispose();
    const { segment, stageNames, spec } = model;
    const standard = {
      segment: segment.bind(model),
      stageNames,
      spec: { ...spec, kind: 'standard' as const },
    };
    expect(() => new ConceptPass(standard, sae, options)).toThrow(/not a B-cos network/);
  });
});
