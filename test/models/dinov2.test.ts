import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { describe, expect, it } from 'vitest';
import { compile } from '../../src/engine/compile.js';
import { resampling } from '../../src/layers/tokenEmbedding.js';
import type { BcosModel } from '../../src/models/bcosModel.js';
import { createModel } from '../../src/models/createModel.js';
import { useEngine } from '../engine.js';
import { fill, fillRange, goldenTolerance, relativeError } from '../goldens/format.js';

interface Case {
  readonly name: string;
  readonly seed: number;
  readonly options: { width: number; depth: number; heads: number; mlpDim: number; grid: number };
  readonly height: number;
  readonly width: number;
  readonly noise: number;
  readonly parameters: number;
  readonly token: number[];
  readonly l2: number;
  readonly proj: number;
}

const numbers: { names: [string, number[]][]; cases: Case[] } = JSON.parse(
  readFileSync(join(import.meta.dirname, 'dinov2.json'), 'utf8'),
);

useEngine();

function filled(c: Case): BcosModel {
  const model = createModel('dinov2_vits14', {
    ...c.options,
    inputSize: [c.height, c.width],
    weights: 'zero',
  });
  for (const entry of model.stateDict()) {
    const [a, b] = fillRange(entry.name, entry.shape) ?? [0, 0];
    entry.write(fill(entry.name, entry.variable.size, c.seed, a, b));
  }
  return model;
}

describe('DINOv2', () => {
  it('has the names, order and shapes of the published weights', () => {
    const model = filled(numbers.cases[0]);
    expect(model.stateDict().map((entry) => [entry.name, [...entry.shape]])).toEqual(numbers.names);
    model.dispose();
  });

  it.each(numbers.cases)('$name: the class token and all tokens are those of PyTorch', async (c) => {
    const model = filled(c);
    expect(model.countParameters()).toBe(c.parameters);
    const size = c.height * c.width * 3;
    const image = tf.tensor4d(fill('input:x', size, c.seed, 0.5, 0.5), [1, c.height, c.width, 3]);
    const program = compile(
      (x: tf.Tensor) => ({
        token: model.network.apply(x) as tf.Tensor,
        tokens: model.segment(null, 'norm').apply(x) as tf.Tensor,
      }),
      { name: 'dinov2', bake: true },
    );
    const { token, tokens } = await program(image);
    const tolerance = goldenTolerance(c.noise);
    expect(relativeError(token.dataSync(), c.token)).toBeLessThan(tolerance);
    const values = tokens.dataSync() as Float32Array;
    const u = fill('tap:norm', values.length, c.seed, 0, 1);
    const proj = values.reduce((sum, v, i) => sum + v * u[i], 0);
    expect(Math.abs(proj - c.proj) / c.l2).toBeLessThan(tolerance);
    expect(Math.sqrt(values.reduce((sum, v) => sum + v * v, 0)) / c.l2).toBeCloseTo(1, 5);
    tf.dispose([image, token, tokens]);
    program.dispose();
    model.dispose();
  });

  it('reads a constant grid of positions as the same constant, whatever the size', () => {
    for (const size of [1, 4, 16, 50]) {
      const weights = resampling(size, 37);
      for (let i = 0; i < size; i++) {
        const sum = weights.subarray(i * 37, (i + 1) * 37).reduce((s, v) => s + v, 0);
        expect(sum).toBeCloseTo(1, 5);
      }
    }
  });

  it('keeps its width as the size of its output, and refuses images that are not made of patches', () => {
    const model = createModel('dinov2', { width: 32, depth: 1, heads: 2, mlpDim: 32, grid: 3 });
    expect(model.spec.options.numClasses).toBe(32);
    model.dispose();
    expect(() => createModel('dinov2_vits14', { inputSize: 225 })).toThrow(
      expect.objectContaining({ code: 'E_MODEL_OPTION', message: expect.stringContaining('14 pixels') }),
    );
  });
});
