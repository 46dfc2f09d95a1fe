import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { networkPart } from '../../src/explain/networkPart.js';
import { pullBack, runPart } from '../../src/explain/parts.js';
import type { BcosModel } from '../../src/models/bcosModel.js';
import { type CreateOptions, createModel } from '../../src/models/createModel.js';
import { loadModel } from '../../src/models/loadModel.js';
import { withNewHead } from '../../src/models/newHead.js';
import { FAMILY_OPTIONS } from '../../src/models/options.js';
import { modelEntry } from '../../src/models/registry.js';
import { train } from '../../src/train/train.js';
import { tensorGrowth, useEngine } from '../engine.js';
import { randomTensor } from '../layers/numbers.js';
import { tinyConfig, writeTinyData } from '../train/tinyRun.js';

useEngine();

const VIT = { width: 16, depth: 2, heads: 2, headDim: 8, mlpDim: 32, patch: 4 };

/** A small network of each family, on pictures of 8 x 8 pixels. */
const FAMILIES: readonly (readonly [arch: string, options: CreateOptions])[] = [
  ['resnet', { width: 4, blocks: [1, 1], stem: 'cifar' }],
  ['densenet', { width: 8, growth: 4, bottleneck: 2, blocks: [2, 2] }],
  ['vgg', { stages: [[8], [8, 8]], hidden: 16 }],
  ['convnext', { width: 8, blocks: [1, 2], stochasticDepth: 0.2 }],
  ['simple_vit', VIT],
  ['simple_vit', { ...VIT, convStem: [8, 8, 16], patch: 2 }],
  ['standard_simple_vit', VIT],
  ['standard_simple_vit', { ...VIT, convStem: [8, 8, 16], patch: 1 }],
  ['torchvision_resnet', { width: 4, blocks: [1, 1] }],
  ['torchvision_resnet', { width: 4, blocks: [1, 1], block: 'bottleneck' }],
];
const FEATURES = ['dinov2', { width: 16, depth: 2, heads: 2, mlpDim: 32, patch: 4, grid: 3 }] as const;

const folder = mkdtempSync(join(tmpdir(), 'fact-families-'));
beforeAll(() => writeTinyData(join(folder, 'data')));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function small(arch: string, options: CreateOptions): BcosModel {
  return createModel(arch, { numClasses: 5, inputSize: 8, seed: 3, ...options });
}

function images(height = 8, width = 8): tf.Tensor4D {
  return tf.tidy(() => tf.sigmoid(randomTensor([2, height, width, 3], 9)) as tf.Tensor4D);
}

describe.each([...FAMILIES, FEATURES])('%s %j', (arch, options) => {
  it('is the composition of its parts at every tap, for any fitting image size', () => {
    const model = small(arch, options);
    tf.tidy(() => {
      const x = images(16, 8);
      const whole = (model.network.apply(x) as tf.Tensor).dataSync();
      for (const tap of model.stageNames.slice(0, -1)) {
        const { lower, upper } = model.splitAt(tap);
        const y = upper.apply(lower.apply(x) as tf.Tensor) as tf.Tensor;
        expect(y.dataSync(), tap).toEqual(whole);
      }
    });
    expect(model.spec.taps.length).toBeGreaterThanOrEqual(2);
    for (const tap of model.spec.taps) expect(model.stageNames).toContain(tap);
    model.dispose();
  });

  it('comes back from a file, bit for bit', async () => {
    const model = small(arch, options);
    const place = join(folder, 'saved');
    await model.save(place);
    const loaded = await loadModel(place);
    expect(loaded.spec).toEqual(model.spec);
    tf.tidy(() => {
      const x = images();
      const [ours, theirs] = [model, loaded].map((m) => (m.network.apply(x) as tf.Tensor).dataSync());
      expect(theirs).toEqual(ours);
      expect(ours.every(Number.isFinite)).toBe(true);
    });
    model.dispose();
    loaded.dispose();
  });

  it('frees everything it made', async () => {
    const growth = await tensorGrowth(() => {
      const model = small(arch, options);
      tf.tidy(() => {
        model.network.apply(images());
      });
      model.dispose();
    });
    expect(growth).toBe(0);
  });

  it('refuses options of other families, and names its own', () => {
    const foreign = Object.keys(FAMILY_OPTIONS.resnet.shape)
      .concat(Object.keys(FAMILY_OPTIONS.dinov2.shape))
      .find((key) => !(key in modelEntry(arch).defaults));
    expect(foreign).toBeDefined();
    expect(() => createModel(arch, { [String(foreign)]: 1 })).toThrow(
      expect.objectContaining({ code: 'E_MODEL_OPTION', message: expect.stringContaining(String(foreign)) }),
    );
  });
});

describe.each(FAMILIES.filter(([arch]) => modelEntry(arch).bcos))('%s %j', (arch, options) => {
  it('explains every score completely at every tap, constants named', () => {
    const model = small(arch, options);
    tf.tidy(() => {
      const x = images();
      const target = tf.cast(tf.oneHot([2, 4], 5), 'float32');
      for (const tap of model.stageNames.slice(0, -1)) {
        const value = model.segment(null, tap).apply(x) as tf.Tensor;
        const part = networkPart(model.segment(tap, null));
        const { gradient, constantTerms } = pullBack(part, value, target);
        const axes = value.shape.map((_, i) => i).slice(1);
        const products = tf.mul(value, gradient);
        const sums = tf.add(tf.sum(products, axes), tf.sum(constantTerms, 1)).dataSync();
        const sizes = tf.add(tf.sum(tf.abs(products), axes), tf.sum(tf.abs(constantTerms), 1)).dataSync();
        const scores = tf.sum(tf.mul(runPart(part, value), target), 1).dataSync();
        scores.forEach((score, i) => {
          expect(Math.abs(sums[i] - score) / sizes[i], `${tap}, image ${i}`).toBeLessThan(1e-5);
        });
      }
      const vit = modelEntry(arch).family === 'vit';
      const { constants } = networkPart(model.segment('input', null));
      expect(constants).toEqual(vit ? ['0.position_embedding'] : []);
    });
    model.dispose();
  });
});

describe.each(FAMILIES)('%s %j', (arch, options) => {
  it('takes another head, its body unchanged', () => {
    const model = small(arch, options);
    const other = withNewHead(model, 3, { seed: 8 });
    expect(other.spec.options.numClasses).toBe(3);
    const before = new Map(model.stateDict().map((entry) => [entry.name, entry]));
    const changed = other.stateDict().filter((entry) => {
      const source = before.get(entry.name);
      return source === undefined || String(source.read()) !== String(entry.read());
    });
    expect(changed.length).toBeGreaterThan(0);
    for (const entry of changed) expect(entry.name.startsWith(`${other.head}.`), entry.name).toBe(true);
    model.dispose();
    other.dispose();
  });

  it('learns three colours by a recipe that names it', async () => {
    const config = tinyConfig({
      epochs: 6,
      model: { arch, options: options as Record<string, unknown> },
      loss: modelEntry(arch).bcos ? { name: 'uniformOffBce' } : { name: 'crossEntropy' },
    });
    const out = mkdtempSync(join(folder, 'run-'));
    const result = await train(config, { dataDir: join(folder, 'data'), out });
    expect(result.status).toBe('done');
    const rows = readFileSync(join(out, 'summary.csv'), 'utf8').trim().split('\n');
    expect(rows).toHaveLength(7);
    expect(result.best?.top1).toBeGreaterThanOrEqual(60);
    const model = await loadModel(join(out, 'model'));
    expect(model.spec.kind).toBe(modelEntry(arch).kind);
    model.dispose();
  });
});
