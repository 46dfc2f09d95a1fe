import { describe, expect, it } from 'vitest';
import { Random } from '../../../../src/core/random.js';
import { initialSaeWeights } from '../../../../src/layers/topKSae.js';
import { SAE_INITS, type SaeStart, startWeights } from '../../../../src/train/sae/step/inits.js';

const [CHANNELS, LATENTS] = [6, 15];
const SIZES = { channels: CHANNELS, latents: LATENTS, seed: 3 };

function draws(rows: number): Float32Array {
  const random = new Random(4);
  return Float32Array.from({ length: rows * CHANNELS }, () => random.uniform(-2, 5));
}

/** Columns of the decoder. */
function columns({ decoder }: SaeStart): number[][] {
  return Array.from({ length: LATENTS }, (_, j) =>
    Array.from({ length: CHANNELS }, (__, c) => decoder[c * LATENTS + j]),
  );
}
const dot = (a: number[], b: number[]) => a.reduce((sum, v, i) => sum + v * b[i], 0);

describe('first weights', () => {
  it.each(SAE_INITS)('%s: unit columns, the encoder their transpose, given by the seed', (init) => {
    const start = startWeights(init, SIZES, draws(40));
    columns(start).forEach((column, j) => {
      expect(Math.hypot(...column)).toBeCloseTo(1, 6);
      expect(Array.from(start.encoder.subarray(j * CHANNELS, (j + 1) * CHANNELS))).toEqual(column);
    });
    expect(startWeights(init, SIZES, draws(40))).toEqual(start);
    const other = startWeights(init, { ...SIZES, seed: 4 }, draws(40));
    if (init === 'data')
      expect(other).toEqual(start); // the rows are drawn, not the weights
    else expect(other).not.toEqual(start);
  });

  it('linear is the start of the reference', () => {
    expect(startWeights('linear', SIZES)).toEqual(initialSaeWeights(CHANNELS, LATENTS, 3));
  });

  it('orthogonal: columns of each block of as many as there are channels are orthogonal', () => {
    const found = columns(startWeights('orthogonal', SIZES));
    for (let i = 0; i < LATENTS; i++) {
      for (let j = 0; j < i; j++) {
        const isSameBlock = Math.floor(i / CHANNELS) === Math.floor(j / CHANNELS);
        if (isSameBlock) expect(Math.abs(dot(found[i], found[j]))).toBeLessThan(1e-6);
        else expect(Math.abs(dot(found[i], found[j]))).toBeGreaterThan(0);
      }
    }
  });

  it('data: the rows in their order at unit length, those without a direction left out, then normal ones', () => {
    const rows = draws(4);
    rows.fill(0, CHANNELS, 2 * CHANNELS);
    const found = columns(startWeights('data', SIZES, rows));
    const normal = columns(startWeights('normal', SIZES));
    [0, 2, 3].forEach((row, j) => {
      const values = Array.from(rows.subarray(row * CHANNELS, (row + 1) * CHANNELS));
      expect(dot(found[j], values) / Math.hypot(...values)).toBeCloseTo(1, 6);
    });
    expect(found.slice(3)).toEqual(normal.slice(0, LATENTS - 3));
  });

  it('data without rows is refused', () => {
    expect(() => startWeights('data', SIZES)).toThrow(
      expect.objectContaining({ code: 'E_SAE_CONFIG', message: expect.stringContaining('feature vectors') }),
    );
  });
});
