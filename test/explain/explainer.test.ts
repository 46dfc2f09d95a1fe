import * as tf from '@tensorflow/tfjs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Random } from '../../src/core/random.js';
import { chooseShown } from '../../src/explain/chooseShown.js';
import { Explainer } from '../../src/explain/explainer.js';
import type { Explanation } from '../../src/explain/explanation.js';
import { worstLedger } from '../../src/explain/ledger.js';
import { chooseConceptIds, chooseTargets } from '../../src/explain/programFunctions.js';
import { createSae, type Sae } from '../../src/explain/sae.js';
import type { BcosModel } from '../../src/models/bcosModel.js';
import { tensorGrowth, useEngine } from '../engine.js';
import { relativeError } from '../goldens/format.js';
import { CLASS_NAMES, randomImage, randomSae, SIZE, smallModel } from './fixtures.js';

useEngine();

describe('an explainer', () => {
  let model: BcosModel;
  let sae: Sae;
  let early: Sae;
  let explainer: Explainer;
  const images = [randomImage(1), randomImage(2), randomImage(3)];
  let explained: Explanation[];

  beforeAll(async () => {
    model = smallModel();
    sae = randomSae(model, 'layer3');
    early = randomSae(model, 'layer1', 32, 3, 2);
    explainer = new Explainer(model, sae, { early });
    explained = await explainer.explain(images);
  });
  afterAll(() => {
    explainer.dispose();
    sae.dispose();
    early.dispose();
    model.dispose();
  });

  it('closes every ledger within 1e-5: concepts and pixels of the logit, pixels and traces of each concept', () => {
    for (const { ledgers, concepts } of explained) {
      expect(ledgers).toHaveLength(2 + 2 * concepts.length);
      expect(worstLedger(ledgers)?.relativeError).toBeLessThanOrEqual(1e-5);
      expect(ledgers.every((ledger) => ledger.holds)).toBe(true);
    }
  });

  it('closes the ledgers of every class', async () => {
    for (let index = 0; index < CLASS_NAMES.length; index++) {
      for (const { ledgers, target } of await explainer.explain(images, { for: index })) {
        expect(target.for.index).toBe(index);
        expect(worstLedger(ledgers)?.relativeError).toBeLessThanOrEqual(1e-5);
      }
    }
  });

  it('explains the predicted class where nothing else is asked', () => {
    for (const { predicted, target, ranking } of explained) {
      expect(target.for).toEqual(predicted);
      expect(ranking[0]).toEqual(predicted);
      expect(target.reason).toBe('predicted');
      expect(predicted.logit).toBeCloseTo(target.score + target.bias, 4);
    }
  });

  it('splits the logit into listed concepts, other concepts and a residual', () => {
    for (const { concepts, others, target } of explained) {
      const listed = concepts.reduce((sum, c) => sum + c.contribution, 0);
      expect(listed + others.contribution).toBeCloseTo(target.score, 4);
      expect(concepts.length).toBeGreaterThan(0);
      const sizes = concepts.map((c) => Math.abs(c.contribution));
      expect([...sizes].sort((a, b) => b - a)).toEqual(sizes);
    }
  });

  it('lists the earlier concepts that a concept is made of', () => {
    for (const { concepts } of explained) {
      expect(concepts[0].madeOf.length).toBeGreaterThan(0);
      expect(Math.abs(concepts[0].madeOf[0].share)).toBeLessThanOrEqual(1);
    }
  });

  it('compares a wrong answer with the true class by itself, and the contributions subtract', async () => {
    const predicted = explained[0].predicted.index;
    const wrong = (predicted + 1) % CLASS_NAMES.length;
    const [one] = await explainer.explain([{ ...images[0], trueClass: wrong }]);
    expect(one.target.reason).toBe('misclassified');
    expect(one.target.versus?.index).toBe(wrong);
    expect(one.target.bias).toBe(0);
    expect(one.ledgers.every((ledger) => ledger.holds)).toBe(true);
    for (const c of one.concepts) {
      expect((c.contributionFor ?? 0) - (c.contributionVersus ?? 0)).toBeCloseTo(c.contribution, 5);
    }
    const [right] = await explainer.explain([{ ...images[0], trueClass: predicted }]);
    expect(right.target.versus).toBeNull();
  });

  it('gives the same numbers compiled and operation by operation', async () => {
    const eager = new Explainer(model, sae, { early, compile: false });
    const plain = await eager.explain(images);
    plain.forEach((one, i) => {
      const other = explained[i];
      expect(one.concepts.map((c) => c.concept)).toEqual(other.concepts.map((c) => c.concept));
      expect(relativeError(one.logits, other.logits)).toBeLessThan(1e-5);
      expect(relativeError(one.map.values, other.map.values)).toBeLessThan(1e-5);
      one.concepts.forEach((c, j) => {
        expect(relativeError(c.map!.values, other.concepts[j].map!.values)).toBeLessThan(1e-5);
      });
    });
    eager.dispose();
  });

  it('keeps no tensor', async () => {
    expect(await tensorGrowth(() => explainer.explain(images))).toBe(0);
  });

  it('explains without an autoencoder: pixels only', async () => {
    const plain = new Explainer(model, null);
    const [one] = await plain.explain([images[0]]);
    expect(one.concepts).toEqual([]);
    expect(one.tap).toBeNull();
    expect(one.ledgers.map((ledger) => ledger.holds)).toEqual([true]);
    plain.dispose();
  });

  it('names the image whose scores are not numbers', async () => {
    const broken = smallModel();
    const entry = broken.stateDict().find((e) => e.name.startsWith('fc'))!;
    entry.variable.assign(tf.fill(entry.variable.shape, Number.NaN));
    const bad = new Explainer(broken, null, { compile: false });
    await expect(bad.explain([images[0]])).rejects.toMatchObject({
      code: 'E_NOT_FINITE',
      message: expect.stringContaining('image-1'),
    });
    bad.dispose();
    broken.dispose();
  });

  it('refuses an autoencoder of another network and names both', () => {
    const foreign = createSae({
      channels: sae.channels,
      latents: 4,
      k: 1,
      encoder: new Float32Array(4 * sae.channels).fill(1),
      decoder: new Float32Array(4 * sae.channels).fill(1),
      tap: 'layer3',
      meta: { arch: 'resnet50' },
    });
    expect(() => new Explainer(model, foreign)).toThrow(/resnet50.*cifar10_resnet_20/);
    foreign.dispose();
  });

  it.each(['bn', 'ln', 'pn', 'an', 'bnu', 'pnu'] as const)(
    'books the constants of %s norms with biases as named terms',
    async (norm) => {
      const other = smallModel({ norm, normParameters: 'affine' });
      tf.tidy(() => {
        for (const { name, variable } of other.stateDict()) {
          if (!/bias$|running_mean$/.test(name)) continue;
          const phase = name.endsWith('bias') ? 1 : 2.5;
          const values = Float32Array.from({ length: variable.size }, (_, i) => 0.1 * Math.sin(i + phase));
          variable.assign(tf.tensor(values, variable.shape));
        }
      });
      const otherSae = randomSae(other, 'layer2');
      const one = new Explainer(other, otherSae, { top: 2 });
      const [{ ledgers }] = await one.explain([images[0]]);
      expect(ledgers[0].lines.length).toBeGreaterThan(1);
      const booked = ledgers[1].lines.slice(1).map((line) => Math.abs(line.value));
      expect(Math.max(...booked)).toBeGreaterThan(1e-4 * ledgers[1].absoluteSum);
      expect(worstLedger(ledgers)?.relativeError).toBeLessThanOrEqual(1e-5);
      one.dispose();
      otherSae.dispose();
      other.dispose();
    },
  );

  it('explains images of other sizes than the network was made for', async () => {
    const [one] = await explainer.explain([randomImage(5, null, SIZE + 8)]);
    expect(one.map.values).toHaveLength((SIZE + 8) ** 2);
    expect(one.ledgers.every((ledger) => ledger.holds)).toBe(true);
  });
});

describe('the choice of concepts to show', () => {
  const contributions = Float32Array.of(5, -1, 4, 3, -0.5, 2, 0, 1);

  it('takes the largest absolute contributions, falling', () => {
    expect(chooseShown(contributions, 3, false)).toEqual([0, 2, 3]);
    expect(chooseShown(contributions, 20, false)).toHaveLength(8);
  });

  it('keeps a quarter of the places for either side of a difference', () => {
    expect(chooseShown(contributions, 4, true)).toEqual([0, 2, 3, 1]);
    expect(chooseShown(Float32Array.of(3, 2, 1, 0.5), 4, true)).toEqual([0, 1, 2, 3]);
  });

  it('is made alike by tensor operations: random contributions, ties, zeros, one sign only', async () => {
    const random = new Random(5, 1);
    const concepts = 40;
    const kinds = [
      () => random.uniform(-1, 1),
      () => Math.round(random.uniform(-3, 3)),
      () => random.uniform(0, 1),
      () => (random.uniform(0, 1) < 0.9 ? 0 : random.uniform(-1, 1)),
      () => 0,
    ];
    const rows = kinds.flatMap((draw) =>
      Array.from({ length: 4 }, () => Float32Array.from({ length: concepts }, draw)),
    );
    const flags = rows.map((_, i) => i % 2);
    for (const count of [1, 3, 4, 8, 9, 64]) {
      const ids = tf.tidy(() =>
        chooseConceptIds(
          tf.stack(rows.map((row) => tf.tensor1d(row))) as tf.Tensor2D,
          tf.tensor2d(flags, [rows.length, 1]),
          count,
        ),
      );
      const expected = rows.map((row, i) => chooseShown(row, Math.min(count, concepts), flags[i] === 1));
      expect(await ids.array()).toEqual(expected);
      ids.dispose();
    }
  });
});

describe('the choice of the target', () => {
  it('is the asked class or the highest score, less the second class unless that is the same', () => {
    const scores = tf.tensor2d([1, 3, 2, 5, 0, 5, 1, 2, 9, 1, 1, 1], [4, 3]);
    const wanted = tf.tensor2d([0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0], [4, 3]);
    const versus = tf.tensor2d([0, 1, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0], [4, 3]);
    const { target, against } = chooseTargets(scores, wanted, versus);
    expect(target.arraySync()).toEqual([
      [0, 1, 0],
      [1, -1, 0],
      [1, 0, -1],
      [1, 0, 0],
    ]);
    expect(against.sum(1).arraySync()).toEqual([0, 1, 1, 0]);
    tf.dispose([scores, wanted, versus, target, against]);
  });
});
