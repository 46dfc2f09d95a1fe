import { describe, expect, it } from 'vitest';
import { Explainer } from '../../src/explain/explainer.js';
import { probabilityOf } from '../../src/explain/modelKind.js';
import { createModel } from '../../src/models/createModel.js';
import { useEngine } from '../engine.js';
import { randomImage } from './fixtures.js';

useEngine();

const STANDARD = { numClasses: 4, width: 4, blocks: [1, 1], inputSize: 32, seed: 2 };
const FEATURES = { width: 16, depth: 1, heads: 2, mlpDim: 16, patch: 8, grid: 4, inputSize: 32 };

describe('networks that are not B-cos', () => {
  it('predict: the probabilities of a standard network are a softmax', async () => {
    const model = createModel('torchvision_resnet', STANDARD);
    const explainer = new Explainer(model, null);
    const [scores] = await explainer.scores([randomImage(1)]);
    const ranking = explainer.ranking(scores.alone, 4);
    expect(ranking.reduce((sum, c) => sum + c.probability, 0)).toBeCloseTo(1, 9);
    const [first, second] = ranking;
    expect(Math.log(first.probability / second.probability)).toBeCloseTo(first.logit - second.logit, 6);
    explainer.dispose();
    model.dispose();
  });

  it('are not explained, and the error says what is', async () => {
    const model = createModel('torchvision_resnet', STANDARD);
    const explainer = new Explainer(model, null);
    await expect(explainer.explain([randomImage(1)])).rejects.toMatchObject({
      code: 'E_EXPLAIN_STANDARD',
      message: expect.stringContaining('torchvision_resnet'),
      remedy: expect.stringContaining('--bcosify'),
    });
    explainer.dispose();
    model.dispose();
  });

  it('name no classes where they extract features', async () => {
    const model = createModel('dinov2', FEATURES);
    const explainer = new Explainer(model, null);
    await expect(explainer.scores([randomImage(1)])).rejects.toMatchObject({ code: 'E_NO_CLASSES' });
    explainer.dispose();
    model.dispose();
  });

  it('have probabilities where logits are huge, and B-cos networks have sigmoids', () => {
    const standard = { arch: 'a', kind: 'standard', logitBias: null } as const;
    expect(probabilityOf(standard, [1e4, 0], 0)).toBe(1);
    expect(probabilityOf({ ...standard, kind: 'bcos', logitBias: -1 }, [1, 5], 0)).toBe(0.5);
  });
});
