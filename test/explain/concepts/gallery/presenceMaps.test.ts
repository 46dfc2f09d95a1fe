import * as tf from '@tensorflow/tfjs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startEngine } from '../../../../src/engine/start.js';
import { nearestRows } from '../../../../src/explain/concepts/gallery/neighbours.js';
import { PresenceMaps } from '../../../../src/explain/concepts/gallery/presenceMaps.js';
import type { Sae } from '../../../../src/explain/sae.js';
import type { BcosModel } from '../../../../src/models/bcosModel.js';
import { testEngine } from '../../../engineName.js';
import { randomImage, randomSae, SIZE, smallModel } from '../../fixtures.js';

describe('maps of the presence of concepts', () => {
  let model: BcosModel;
  let sae: Sae;
  beforeAll(async () => {
    await startEngine({ engine: testEngine(), threads: 1 });
    model = smallModel({ blocks: [1, 1] });
    sae = randomSae(model, 'layer2', 32, 3);
  });
  afterAll(() => {
    sae.dispose();
    model.dispose();
  });

  it('sum to the presence, whatever the size of the calls, and hold no tensors', async () => {
    const pairs = Array.from({ length: 7 }, (_, i) => ({
      concept: (5 * i) % 32,
      pixels: i === 6 ? new Uint8Array(SIZE * SIZE * 3) : randomImage(i).pixels,
    }));
    const before = tf.memory().numTensors;
    const results = [];
    for (const batchSize of [1, 3, 8]) {
      const maps = new PresenceMaps(model, sae, { imageSize: [SIZE, SIZE], batchSize });
      results.push(await maps.run(pairs));
      await maps.run([]);
      maps.dispose();
      expect(tf.memory().numTensors).toBe(before);
    }
    const [one] = results;
    expect(one.some(({ presence }) => presence > 0)).toBe(true);
    for (const { map, presence, constants } of one) {
      const sum = map.reduce((s, v) => s + v, 0) + constants.reduce((s, v) => s + v, 0);
      const absolute = map.reduce((s, v) => s + Math.abs(v), 0);
      expect(Math.abs(sum - presence)).toBeLessThanOrEqual(1e-5 * absolute);
    }
    for (const other of results.slice(1))
      other.forEach((found, i) => {
        expect(found.presence).toBeCloseTo(one[i].presence, 4);
        expect(found.map).toHaveLength(SIZE * SIZE);
        expect(found.gradient).toHaveLength(SIZE * SIZE * 6);
      });
  });

  it('names the nearest rows as a sorted table of cosines does, without itself and what is not active', () => {
    const [rows, width] = [30, 5];
    const table = Float32Array.from({ length: rows * width }, (_, i) => Math.sin(i * i + 1));
    table.fill(0, 3 * width, 4 * width);
    table.set(table.subarray(0, width), 7 * width);
    const cosine = (a: number, b: number): number => {
      const row = (r: number) => table.subarray(r * width, (r + 1) * width);
      const dot = (x: Float32Array, y: Float32Array) => x.reduce((s, v, i) => s + v * y[i], 0);
      return dot(row(a), row(b)) / Math.sqrt(dot(row(a), row(a)) * dot(row(b), row(b)));
    };
    const before = tf.memory().numTensors;
    const found = nearestRows(table, width, [0, 12, 3], (r) => r !== 5, 4);
    expect(tf.memory().numTensors).toBe(before);
    for (const [i, own] of [0, 12].entries()) {
      const sorted = Array.from({ length: rows }, (_, r) => r)
        .filter((r) => r !== own && r !== 5 && r !== 3 && cosine(own, r) > 0)
        .sort((a, b) => cosine(own, b) - cosine(own, a));
      expect(found[i].map(({ concept }) => concept)).toEqual(sorted.slice(0, 4));
      for (const one of found[i]) expect(one.cosine).toBeCloseTo(cosine(own, one.concept), 5);
    }
    expect(found[0][0]).toEqual({ concept: 7, cosine: expect.closeTo(1, 6) });
    expect(found[2]).toEqual([]);
  });
});
