import * as ort from 'onnxruntime-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BaseExplainer } from '../../../src/explain/baseExplainer.js';
import { Explainer } from '../../../src/explain/explainer.js';
import type { Explanation } from '../../../src/explain/explanation.js';
import { exportModel } from '../../../src/explain/exported/exportModel.js';
import { ExportedPrograms, type OnnxRuntime } from '../../../src/explain/exported/programs.js';
import { exportedSubject } from '../../../src/explain/exported/subject.js';
import type { Sae } from '../../../src/explain/sae.js';
import type { BcosModel } from '../../../src/models/bcosModel.js';
import { useEngine } from '../../engine.js';
import { testEngine } from '../../engineName.js';
import { relativeError } from '../../goldens/format.js';
import { randomImage, randomSae, smallModel } from '../fixtures.js';

useEngine();

/** The numbers of two explanations agree. */
function expectSame(a: Explanation, b: Explanation): void {
  expect(a.target.for.index).toBe(b.target.for.index);
  expect(a.target.versus?.index).toBe(b.target.versus?.index);
  expect(a.target.reason).toBe(b.target.reason);
  expect(relativeError(a.logits, b.logits)).toBeLessThanOrEqual(1e-5);
  expect(a.predictedAlone.index).toBe(b.predictedAlone.index);
  expect(a.predictedAlone.logit).toBeCloseTo(b.predictedAlone.logit, 4);
  expect(relativeError(a.map.values, b.map.values)).toBeLessThanOrEqual(1e-5);
  expect(relativeError(a.gradient, b.gradient)).toBeLessThanOrEqual(1e-5);
  expect(a.concepts.map((c) => c.concept)).toEqual(b.concepts.map((c) => c.concept));
  a.concepts.forEach((c, j) => {
    const other = b.concepts[j];
    for (const key of ['presence', 'contribution', 'share', 'contributionFor', 'contributionVersus'] as const)
      expect(c[key] ?? 0).toBeCloseTo(other[key] ?? 0, 5);
    expect(relativeError(c.map?.values ?? [], other.map?.values ?? [])).toBeLessThanOrEqual(1e-5);
    expect(c.madeOf.map((trace) => trace.concept)).toEqual(other.madeOf.map((trace) => trace.concept));
  });
  expect(a.ledgers).toHaveLength(b.ledgers.length);
  expect(a.ledgers.every((ledger) => ledger.holds)).toBe(true);
}

describe.skipIf(testEngine() !== 'onnx')('an exported file, run by the programs of a page', () => {
  let model: BcosModel;
  let saes: { sae: Sae; early: Sae };
  let live: Explainer;
  let exported: BaseExplainer;
  const images = [randomImage(1), randomImage(2)];

  beforeAll(async () => {
    model = smallModel();
    saes = { sae: randomSae(model, 'layer3'), early: randomSae(model, 'layer1', 32, 3, 2) };
    live = new Explainer(model, saes.sae, { early: saes.early, top: 4 });
    const file = exportModel({ model, ...saes }, { packageVersion: '0' });
    const session = await ort.InferenceSession.create(file.bytes, { logSeverityLevel: 3 });
    const programs = new ExportedPrograms(ort as OnnxRuntime, session, file.metadata, 4);
    exported = new BaseExplainer(exportedSubject(file.metadata), programs, { top: 4 });
  });
  afterAll(() => {
    exported.dispose();
    live.dispose();
    saes.sae.dispose();
    saes.early.dispose();
    model.dispose();
  });

  it.each([
    ['the answer', {}],
    ['a class', { for: 2 }],
    ['two classes', { for: 1, versus: 3 }],
    ['the answer and a class', { versus: 4 }],
    ['a class and itself', { for: 2, versus: 2 }],
  ])('explains %s as the live programs do', async (_, choice) => {
    const [a, b] = [await exported.explain(images, choice), await live.explain(images, choice)];
    expect(a).toHaveLength(images.length);
    a.forEach((explanation, i) => {
      expectSame(explanation, b[i]);
    });
  });

  it('gives the scores of the network with and without the autoencoder', async () => {
    const [a, b] = [await exported.scores(images), await live.scores(images)];
    a.forEach((row, i) => {
      expect(relativeError(row.spliced, b[i].spliced)).toBeLessThanOrEqual(1e-5);
      // The file gives the logits of the network alone with their bias, which costs digits of small scores.
      const logits = (scores: Float32Array): Float32Array =>
        scores.map((v) => v + (model.spec.logitBias ?? 0));
      expect(relativeError(logits(row.alone), logits(b[i].alone))).toBeLessThanOrEqual(1e-5);
    });
  });

  it('explains pixels where the file has no autoencoder', async () => {
    const file = exportModel({ model, sae: null, early: null }, { packageVersion: '0' });
    const session = await ort.InferenceSession.create(file.bytes, { logSeverityLevel: 3 });
    const programs = new ExportedPrograms(ort as OnnxRuntime, session, file.metadata, 4);
    const explainer = new BaseExplainer(exportedSubject(file.metadata), programs);
    const plain = new Explainer(model, null);
    const [[a], [b]] = [
      await explainer.explain([images[0]], { versus: 1 }),
      await plain.explain([images[0]], { versus: 1 }),
    ];
    expectSame(a, b);
    explainer.dispose();
    plain.dispose();
  });

  it('refuses files that are no explanations, naming what they are', () => {
    expect(() => exportedSubject({ format: 'fact-explanation/1', kind: 'predict' })).toThrow(
      expect.objectContaining({ code: 'E_EXPORTED_FILE', message: expect.stringContaining('predict') }),
    );
    expect(() => exportedSubject({})).toThrow(expect.objectContaining({ code: 'E_EXPORTED_FILE' }));
    const broken = { format: 'fact-explanation/1', kind: 'explain', input: '{' };
    expect(() => exportedSubject(broken)).toThrow(
      expect.objectContaining({ code: 'E_EXPORTED_FILE', message: expect.stringContaining('input') }),
    );
  });
});
