import * as tf from '@tensorflow/tfjs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Journal } from '../../../../src/core/journal.js';
import { Random } from '../../../../src/core/random.js';
import type { BatchLoader } from '../../../../src/data/batchLoader.js';
import { CONV_2D, CONV_2D_INPUT_GRAD, gatherLast, SCATTER_LAST } from '../../../../src/engine/ops.js';
import { reconstructFeatures } from '../../../../src/explain/conceptProgram.js';
import { editImage, heldErrorOf, predictEdit } from '../../../../src/explain/concepts/edit/edit.js';
import {
  type BatchRecord,
  EditTotals,
  editBatch,
  overBatches,
} from '../../../../src/explain/concepts/edit/editDataset.js';
import { EditPass } from '../../../../src/explain/concepts/edit/editPass.js';
import { editTitle } from '../../../../src/explain/concepts/edit/editPicture.js';
import { conceptNumber, editWords, planEdit } from '../../../../src/explain/concepts/edit/editPlan.js';
import { graphImages } from '../../../../src/explain/concepts/graph/graphImage.js';
import { networkPart } from '../../../../src/explain/networkPart.js';
import { pullBack, runPart } from '../../../../src/explain/parts.js';
import type { Sae } from '../../../../src/explain/sae.js';
import type { BcosModel } from '../../../../src/models/bcosModel.js';
import { useEngine } from '../../../engine.js';
import { randomImage as imageOf, randomSae, smallModel } from '../../fixtures.js';

useEngine();

const SIZE = 16;
const LATENTS = 40;
const randomImage = (seed: number, trueClass: number | null = null) => imageOf(seed, trueClass, SIZE);

/** Factors of a random edit: some removed, some scaled up or down, the rest left. */
function randomFactors(seed: number): Float32Array {
  const random = new Random(11, seed);
  return Float32Array.from({ length: LATENTS }, () => {
    const draw = random.uniform(0, 1);
    return draw < 0.3 ? 0 : draw < 0.6 ? random.uniform(0, 3) : 1;
  });
}

/**
 * W(x) d in explanation mode, forwards, for all classes at once: the pullback is linear in its seed, so its derivative in
 * direction d is the held network itself. Needs the derivatives of two backward kernels, which only this test has.
 */
function pushForward(
  part: ReturnType<typeof networkPart>,
  at: tf.Tensor,
  d: tf.Tensor,
  classes: number,
): tf.Tensor {
  return tf.tidy(() =>
    tf.grad((seed: tf.Tensor) => tf.sum(tf.mul(pullBack(part, at, seed).gradient, d)))(
      tf.zeros([at.shape[0], classes]),
    ),
  );
}

describe('edits of concepts', () => {
  let model: BcosModel;
  let sae: Sae;
  let pass: EditPass;
  const same = new Float32Array(LATENTS).fill(1);

  beforeAll(() => {
    model = smallModel({ inputSize: SIZE, preprocessing: { resize: SIZE, crop: [SIZE, SIZE] } });
    sae = randomSae(model, 'layer2', LATENTS, 5, 2);
    pass = new EditPass(model, sae, { imageSize: [SIZE, SIZE], batchSize: 2 });
  });
  afterAll(() => {
    pass.dispose();
    sae.dispose();
    model.dispose();
  });

  it('predicts what is recomputed with the factors held, for any edit', async () => {
    for (let seed = 0; seed < 12; seed++) {
      const images = graphImages(randomImage(seed));
      const factors = randomFactors(seed);
      const versus = seed % 3 === 0 ? (seed + 2) % 5 : null;
      const [found] = await pass.attribute(images, factors, [{ for: seed % 5, versus }]);
      expect(heldErrorOf(found, factors)).toBeLessThanOrEqual(1e-5);
      expect(found.held).not.toBe(found.before);
    }
  });

  it('agrees with the held network run forwards, which knows nothing of contributions', async () => {
    tf.registerGradient({
      kernelName: CONV_2D_INPUT_GRAD,
      inputsToSave: ['dy', 'filter'],
      gradFunc: (g, saved, attrs) => {
        const { inputShape: _, ...window } = attrs as Record<string, unknown>;
        const run = () =>
          tf
            .engine()
            .runKernel(CONV_2D, { x: g as tf.Tensor, filter: saved[1] }, window as never) as tf.Tensor;
        return { dy: run, filter: () => tf.zerosLike(saved[1]) };
      },
    });
    tf.registerGradient({
      kernelName: SCATTER_LAST,
      inputsToSave: ['indices'],
      gradFunc: (g, [indices]) => ({
        values: () => gatherLast(g as tf.Tensor, indices),
        indices: () => tf.zerosLike(indices),
      }),
    });
    try {
      const images = graphImages(randomImage(20));
      const factors = randomFactors(20);
      const [scores] = await pass.scores({ ...images, count: 1 }, factors);
      const forwards = tf.tidy(() => {
        const x = runPart(
          networkPart(model.segment(null, 'input')),
          tf.tensor4d(images.values, [1, SIZE, SIZE, 3]),
        ) as tf.Tensor4D;
        const lower = networkPart(model.segment('input', 'layer2'));
        const { reconstruction, values, indices } = reconstructFeatures(lower, sae, x);
        const kept = tf.gather(tf.tensor1d(factors), tf.reshape(indices, [-1]) as tf.Tensor1D);
        const change = tf.mul(values, tf.sub(tf.reshape(kept, values.shape), 1));
        const hot = tf.cast(tf.oneHot(indices, LATENTS), 'float32');
        const code = tf.sum(tf.mul(hot, tf.expandDims(change, -1)), 2);
        const d = tf.reshape(
          tf.matMul(tf.reshape(code, [-1, LATENTS]), sae.decoder, false, true),
          reconstruction.shape,
        );
        return pushForward(networkPart(model.segment('layer2', null)), reconstruction, d, 5).dataSync();
      });
      const predicted = [];
      const held = [];
      for (let c = 0; c < 5; c++) {
        const [found] = await pass.attribute(images, factors, [{ for: c, versus: null }]);
        predicted.push(predictEdit(found, factors).score - scores.before[c]);
        held.push(found.held - scores.before[c]);
      }
      expect(predicted).toBeNormwiseClose(forwards, 1e-5);
      expect(held).toBeNormwiseClose(forwards, 1e-5);
    } finally {
      tf.unregisterGradient(CONV_2D_INPUT_GRAD);
      tf.unregisterGradient(SCATTER_LAST);
    }
  });

  it('changes nothing where nothing is edited, bit for bit', async () => {
    const images = graphImages(randomImage(30));
    const [{ before, after }] = await pass.scores(images, same);
    expect([...after]).toEqual([...before]);
    const [found] = await pass.attribute(images, same, [{ for: 1, versus: null }]);
    expect(predictEdit(found, same).score).toBe(found.before);
  });

  it('leaves the bias alone where all concepts are removed', async () => {
    const image = randomImage(31);
    const result = await editImage(pass, image, planEdit({ keepOnly: [''] }, LATENTS), {
      spec: model.spec,
      top: 5,
      wanted: [],
      tolerance: 1e-5,
    });
    for (const one of result.classes) {
      expect(one.after).toBeCloseTo(model.spec.logitBias ?? 0, 6);
      expect(one.held).toBeCloseTo(model.spec.logitBias ?? 0, 5);
      expect(one.predicted).toBeCloseTo(model.spec.logitBias ?? 0, 5);
    }
    expect(result.classes).toHaveLength(5);
    expect(result.removed).toBeGreaterThan(0);
    expect(result.holds).toBe(true);
  });

  it('is linear in the factors with the network held', async () => {
    const images = graphImages(randomImage(32));
    const scaled = (factor: number) => Float32Array.from(same, (v, c) => (c % 2 === 0 ? factor : v));
    const heldAt = async (factor: number) =>
      (await pass.attribute(images, scaled(factor), [{ for: 2, versus: null }]))[0].held;
    const [zero, half, one, three] = [await heldAt(0), await heldAt(0.5), await heldAt(1), await heldAt(3)];
    const size = Math.abs(zero) + Math.abs(one);
    expect(Math.abs(half - (zero + one) / 2) / size).toBeLessThan(1e-5);
    expect(Math.abs(three - (3 * one - 2 * zero)) / size).toBeLessThan(1e-5);
  });

  it('scales all of the code by scaling all of the features', async () => {
    // Encoding and decoding are homogeneous: a factor on every concept is one on the reconstruction.
    const images = graphImages(randomImage(33));
    const [{ after }] = await pass.scores(images, new Float32Array(LATENTS).fill(2));
    const upper = networkPart(model.segment('layer2', null));
    const whole = tf.tidy(() => {
      const x = runPart(
        networkPart(model.segment(null, 'input')),
        tf.tensor4d(images.values, [1, SIZE, SIZE, 3]),
      ) as tf.Tensor4D;
      const lower = networkPart(model.segment('input', 'layer2'));
      return runPart(upper, tf.mul(reconstructFeatures(lower, sae, x).reconstruction, 2)).dataSync();
    });
    expect(after).toBeNormwiseClose(whole, 1e-5);
  });

  it('shows the highest classes, the true one and those asked for', async () => {
    const image = randomImage(34, 4);
    const result = await editImage(pass, image, planEdit({ remove: ['1,2'], scale: ['3=0.5'] }, LATENTS), {
      spec: model.spec,
      top: 1,
      wanted: [3],
      tolerance: 1e-5,
    });
    const shown = result.classes.map(({ index }) => index);
    expect(shown).toEqual(expect.arrayContaining([3, 4, result.predictedBefore, result.predictedAfter]));
    expect(result.concepts.map(({ concept, factor }) => [concept, factor])).toEqual([
      [1, 0],
      [2, 0],
      [3, 0.5],
    ]);
  });

  it('keeps no tensor', async () => {
    const images = graphImages(randomImage(35));
    const once = async () => {
      await pass.scores(images, same);
      await pass.attribute(images, same, [{ for: 0, versus: 1 }]);
    };
    await once();
    const before = tf.memory().numTensors;
    for (let i = 0; i < 20; i++) await once();
    expect(tf.memory().numTensors).toBe(before);
  });

  it('counts a data set as it counts its images one by one', async () => {
    const factors = randomFactors(40);
    const plan = { factors, steps: [], isKeepOnly: false };
    const totals = new EditTotals(model.spec, 1e-5);
    const expected = { before: 0, after: 0, changed: 0, sum: 0 };
    for (let pair = 0; pair < 3; pair++) {
      const images = [randomImage(40 + 2 * pair), randomImage(41 + 2 * pair)];
      const values = new Float32Array(2 * SIZE * SIZE * 3);
      images.forEach((image, i) => {
        values.set(graphImages(image).values, i * SIZE * SIZE * 3);
      });
      const batch = {
        images: values,
        size: 2,
        keys: images.map(({ name }) => name),
        samples: Int32Array.of(2 * pair, 2 * pair + 1),
      };
      const labelOf = (sample: number) => (sample === 5 ? -1 : sample % 5);
      for (const row of await editBatch(pass, batch, factors, model.spec, labelOf)) totals.add(row);
      for (const [i, image] of images.entries()) {
        const one = await editImage(pass, image, plan, {
          spec: model.spec,
          top: 1,
          wanted: [],
          tolerance: 1e-5,
        });
        const label = labelOf(2 * pair + i);
        if (one.predictedBefore === label) expected.before++;
        if (one.predictedAfter === label) expected.after++;
        if (one.predictedBefore !== one.predictedAfter) expected.changed++;
        const answer = one.classes.find(({ index }) => index === one.predictedBefore);
        expected.sum += (answer?.predicted ?? 0) - (answer?.before ?? 0);
      }
    }
    const result = totals.result();
    expect(result.images).toBe(6);
    expect(result.labelled).toBe(5);
    expect([result.correctBefore, result.correctAfter, result.changed]).toEqual([
      expected.before,
      expected.after,
      expected.changed,
    ]);
    expect(result.meanChangeBySum).toBeCloseTo(expected.sum / 6, 5);
    expect(result.holds).toBe(true);
  });

  it('does not hold where a number is not finite', () => {
    const totals = new EditTotals(model.spec, 1e-5);
    const row = { label: 0, before: 0, after: 0, bySum: 0, byForward: 0 };
    totals.add({ ...row, key: 'bad', heldError: null });
    totals.add({ ...row, key: 'good', heldError: 1e-7 });
    expect(totals.result()).toMatchObject({ heldError: null, heldErrorImage: 'bad', holds: false });
  });
});

describe('the plan of an edit', () => {
  const refused = (code: string) => expect.objectContaining({ code, exitCode: 2 });

  it('reads removals, factors and what alone is kept', () => {
    const plan = planEdit({ remove: ['3, 1', '4'], scale: ['0=0.5,2=0'] }, 6);
    expect([...plan.factors]).toEqual([0.5, 0, 0, 0, 0, 1]);
    expect(editWords(plan)).toBe(
      'concept 0 × 0.5, concept 1 removed, concept 2 removed, concept 3 removed, concept 4 removed',
    );
    const kept = planEdit({ keepOnly: ['2', '5'], scale: ['5=2'] }, 6);
    expect([...kept.factors]).toEqual([0, 0, 1, 0, 0, 2]);
    expect(editWords(kept)).toBe('only concept 2 kept, concept 5 × 2, all others removed');
    expect(editWords(planEdit({}, 3))).toBe('no change');
  });

  it('refuses concepts that the autoencoder lacks, with the range', () => {
    expect(() => planEdit({ remove: ['6'] }, 6)).toThrowError(refused('E_CONCEPT_UNKNOWN'));
    expect(() => conceptNumber('99999999999', 6)).toThrowError(/0 to 5|has 6/);
  });

  it.each([
    [{ remove: ['1', '1'] }],
    [{ remove: ['1'], scale: ['1=0.5'] }],
    [{ scale: ['1=0.5', '1=0.5'] }],
    [{ keepOnly: ['1,1'] }],
    [{ keepOnly: ['1'], remove: ['2'] }],
    [{ keepOnly: ['1'], scale: ['2=0.5'] }],
    [{ scale: ['1'] }],
    [{ scale: ['1='] }],
    [{ scale: ['1=NaN'] }],
    [{ scale: ['1=Infinity'] }],
    [{ scale: ['1=-0.5'] }],
    [{ scale: ['x=1'] }],
    [{ remove: ['-1'] }],
    [{ remove: ['1.5'] }],
  ])('refuses %j', (request) => {
    expect(() => planEdit(request, 6)).toThrowError(refused('E_CONCEPT_EDIT'));
  });

  it('says what becomes of the answer', () => {
    const nameOf = (i: number) => ['cat', 'dog'][i];
    expect(editTitle({ predictedBefore: 0, predictedAfter: 1 }, 'Edit', nameOf)).toBe(
      'Edit: cat becomes dog',
    );
    expect(editTitle({ predictedBefore: 0, predictedAfter: 0 }, 'Edit', nameOf)).toBe('Edit: still cat');
  });
});

describe('work over a data set', () => {
  /** One batch, after which pictures are found broken; `earlier` is what a run before has found. */
  async function run(brokenLimit: number, earlier: readonly string[]) {
    const broken: { message: string }[] = [];
    const loader = {
      broken,
      batchesPerEpoch: 3,
      async *epoch() {
        yield { index: 1, size: 4 };
        broken.push({ message: 'last.png' });
      },
    } as unknown as BatchLoader;
    const folder = {
      done: [{ index: 0, images: 4, rows: [], broken: earlier }],
      journal: { add: () => {} } as unknown as Journal<BatchRecord<number>>,
    };
    const found = await overBatches<number>(
      { loader, brokenLimit },
      folder,
      async () => [7],
      () => {},
      new AbortController().signal,
    );
    return found.broken;
  }

  it('counts broken pictures over all runs, those after the last batch too', async () => {
    expect(await run(2, ['first.png'])).toEqual(['first.png', 'last.png']);
    await expect(run(1, ['first.png'])).rejects.toThrowError(
      expect.objectContaining({ code: 'E_DATA_TOO_MANY_BROKEN' }),
    );
  });
});
