import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { describe, expect, it } from 'vitest';
import type { BcosModel } from '../../src/models/bcosModel.js';
import { type CreateOptions, createModel } from '../../src/models/createModel.js';
import { useEngine } from '../engine.js';
import { fill, fillRange, goldenTolerance, relativeError } from '../goldens/format.js';
import { type Run, runEager, runFed } from '../goldens/moduleCase.js';

/** l2, projection, first values, noise. */
type Numbers = readonly [l2: number, proj: number, first: number[], noise: number];

interface Case {
  readonly arch: string;
  readonly options: CreateOptions;
  readonly seed: number;
  readonly batch: number;
  readonly height: number;
  readonly width: number;
  readonly y: Numbers;
  readonly gradients: Readonly<Record<string, Numbers>>;
  readonly after: Readonly<Record<string, Numbers>>;
}

const { cases }: { cases: Case[] } = JSON.parse(
  readFileSync(join(import.meta.dirname, 'standardGradients.json'), 'utf8'),
);

useEngine();

function filled(c: Case): BcosModel {
  const model = createModel(c.arch, { ...c.options, inputSize: [c.height, c.width], weights: 'zero' });
  for (const entry of model.stateDict()) {
    const range = fillRange(entry.name, entry.shape);
    if (range === null) entry.write(BigInt64Array.of(7n));
    else entry.write(fill(entry.name, entry.variable.size, c.seed, ...range));
  }
  return model;
}

function compare(name: string, values: Float32Array, wanted: Numbers, seed: number): void {
  const [l2, proj, first, noise] = wanted;
  const tolerance = goldenTolerance(noise);
  const u = fill(name, values.length, seed, 0, 1);
  const norm = Math.sqrt(values.reduce((sum, v) => sum + v * v, 0));
  const own = values.reduce((sum, v, i) => sum + v * u[i], 0);
  expect(Math.abs(norm - l2), `${name}: norm`).toBeLessThanOrEqual(tolerance * l2);
  expect(Math.abs(own - proj), `${name}: projection`).toBeLessThanOrEqual(tolerance * l2);
  if (l2 > 0) {
    const error = relativeError(values.slice(0, first.length), first) * Math.hypot(...first);
    expect(error, `${name}: first values`).toBeLessThanOrEqual(tolerance * l2);
  }
}

async function train(c: Case, run: Run): Promise<void> {
  const model = filled(c);
  const shape: [number, number, number, number] = [c.batch, c.height, c.width, 3];
  const size = c.batch * c.height * c.width * 3;
  const x = tf.tensor4d(fill('input:x', size, c.seed, 0.5, 0.5), shape);
  const outputs = model.spec.options.numClasses;
  const gy = tf.tensor2d(fill('gradOutput', c.batch * outputs, c.seed, 0, 1), [c.batch, outputs]);
  const parameters = model.stateDict().filter((entry) => entry.isParameter && entry.name in c.gradients);
  const used = parameters.filter((entry) => entry.name !== 'mask_token');
  const results = await run(
    c.arch,
    (image, upstream) => {
      const step = (): tf.Scalar =>
        tf.sum(tf.mul(model.network.apply(image, { training: true }) as tf.Tensor, upstream));
      const { grads } = tf.valueAndGrads(step)(used.map((entry) => entry.variable));
      return Object.fromEntries(grads.map((gradient, i) => [used[i].name, gradient]));
    },
    [x, gy],
  );
  expect(parameters.map((entry) => entry.name)).toEqual(Object.keys(c.gradients));
  for (const entry of used) {
    const values = entry.toTorch(results[entry.name].dataSync() as Float32Array);
    compare(`grad:${entry.name}`, values, c.gradients[entry.name], c.seed);
  }
  for (const entry of model.stateDict()) {
    const wanted = c.after[entry.name];
    if (wanted !== undefined) compare(`after:${entry.name}`, entry.read() as Float32Array, wanted, c.seed);
  }
  tf.dispose([x, gy, results]);
  model.dispose();
}

describe.each(cases)('$arch $options in training mode', (c) => {
  it('has the gradients and running statistics of PyTorch, operation by operation', async () => {
    await train(c, runEager);
  });

  it('has them compiled', async () => {
    await train(c, runFed);
  });
});
