import * as tf from '@tensorflow/tfjs';
import { afterEach, describe, expect, it } from 'vitest';
import { bcosifiedName, bcosify, torchvisionNames } from '../../../src/convert/bcosify/bcosify.js';
import {
  BCOSIFY_TOLERANCE,
  checkEqualLogits,
  compareLogits,
} from '../../../src/convert/bcosify/bcosifyCheck.js';
import type { FactError } from '../../../src/core/errors.js';
import type { BcosModel } from '../../../src/models/bcosModel.js';
import { createModel } from '../../../src/models/createModel.js';
import { listModels } from '../../../src/models/registry.js';
import { useEngine } from '../../engine.js';
import { SMALL, trained as trainedNetwork } from '../standardNetworks.js';

useEngine();
const made: BcosModel[] = [];
afterEach(() => {
  for (const model of made.splice(0)) model.dispose();
});

const trained = (...args: Parameters<typeof trainedNetwork>): BcosModel => {
  const model = trainedNetwork(...args);
  made.push(model);
  return model;
};

describe.each(SMALL)('%s %#', (arch, options) => {
  it('has the same logits as a B-cosified network at B = 1', async () => {
    const standard = trained(arch, options);
    const twin = bcosify(standard);
    made.push(twin);
    const comparison = await compareLogits(standard, twin, 3);
    expect(comparison.relativeError).toBeLessThanOrEqual(BCOSIFY_TOLERANCE);
    expect(comparison.sameTopClass).toBe(3);
    expect(() => checkEqualLogits(comparison, arch)).not.toThrow();
  });

  it('has other logits in the published form, without biases', async () => {
    const standard = trained(arch, options);
    const twin = bcosify(standard, 'published');
    made.push(twin);
    expect(twin.stateDict().filter(({ name }) => name.endsWith('bias'))).toEqual([]);
    for (const entry of twin.stateDict())
      if (entry.name.endsWith('.b')) expect([...entry.read()].map(Number)).toEqual([2]);
    expect(twin.spec.logitBias).toBeCloseTo(-Math.log(4), 12);
    const comparison = await compareLogits(standard, twin);
    expect(comparison.relativeError).toBeGreaterThan(BCOSIFY_TOLERANCE);
    expect(() => checkEqualLogits(comparison, arch)).toThrow(/E_PARITY|differ/);
  });

  it('loses the equality as soon as B rises', async () => {
    const standard = trained(arch, options);
    const twin = bcosify(standard);
    made.push(twin);
    for (const entry of twin.stateDict()) if (entry.name.endsWith('.b')) entry.write(Float32Array.of(1.5));
    expect((await compareLogits(standard, twin)).relativeError).toBeGreaterThan(1e-3);
  });
});

describe('the folded input', () => {
  it('sees the mean colour where the standard network sees zero padding', async () => {
    const standard = trained('torchvision_resnet', SMALL[0][1]);
    const twin = bcosify(standard);
    made.push(twin);
    // One pixel wide pictures: nearly everything is padding.
    const image = tf.tensor4d([0.9, 0.1, 0.4], [1, 1, 1, 3]);
    const [a, b] = [standard, twin].map((model) =>
      (model.segment(null, 'conv1').apply(image) as tf.Tensor).dataSync(),
    );
    const size = Math.hypot(...a);
    expect(Math.hypot(...a.map((v, i) => v - b[i])) / size).toBeLessThan(1e-6);
    image.dispose();
  });
});

describe('what has no B-cosified form', () => {
  it('is E_BCOSIFY: B-cos networks, and standard ones without a twin', () => {
    for (const arch of ['cifar10_resnet_20-nomaxout', 'dinov2']) {
      const options =
        arch === 'dinov2' ? { width: 12, depth: 1, heads: 2, mlpDim: 12, patch: 14, numClasses: 12 } : {};
      const model = createModel(arch, { ...options, weights: 'zero' });
      made.push(model);
      let error: FactError | null = null;
      try {
        bcosify(model);
      } catch (reason) {
        error = reason as FactError;
      }
      expect(error?.code).toBe('E_BCOSIFY');
      expect(error?.message).toContain(arch);
    }
  });

  it('every standard network with published names has one of the same size', () => {
    const standard = listModels().filter((entry) => !entry.bcos && !entry.name.startsWith('dinov2'));
    expect(standard.length).toBeGreaterThan(14);
    for (const entry of standard) expect(bcosifiedName(entry.name)).not.toBeNull();
    expect(bcosifiedName('resnet18')).toBeNull();
  });

  it("torchvision's oldest DenseNet names are understood", () => {
    const named = (name: string) => ({
      name,
      dtype: 'float32' as const,
      shape: [0],
      bytes: new Uint8Array(),
    });
    const names = torchvisionNames(
      [
        'features.denseblock1.denselayer12.norm.1.weight',
        'features.denseblock1.denselayer2.conv.2.weight',
        'features.transition1.norm.weight',
      ].map(named),
    ).map(({ name }) => name);
    expect(names).toEqual([
      'features.denseblock1.denselayer12.norm1.weight',
      'features.denseblock1.denselayer2.conv2.weight',
      'features.transition1.norm.weight',
    ]);
  });
});
