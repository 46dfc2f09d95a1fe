import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Random } from '../../../../src/core/random.js';
import type { OpenedImages } from '../../../../src/data/openImages.js';
import { openImages } from '../../../../src/data/openImages.js';
import { startEngine } from '../../../../src/engine/start.js';
import { pixelsToReach } from '../../../../src/explain/c2.js';
import { Explainer } from '../../../../src/explain/explainer.js';
import type { Sae } from '../../../../src/explain/sae.js';
import type { BcosModel } from '../../../../src/models/bcosModel.js';
import { evaluateSae, type SaeEvaluationOptions } from '../../../../src/train/sae/eval/evaluate.js';
import {
  type EvaluationState,
  readEvaluationState,
  writeEvaluationState,
} from '../../../../src/train/sae/eval/evaluationState.js';
import { isSampled, topConcepts } from '../../../../src/train/sae/eval/pixelSizes.js';
import { testEngine } from '../../../engineName.js';
import { CLASS_NAMES, randomSae, smallModel } from '../../../explain/fixtures.js';
import { jpegOf, randomPicture } from '../../../fixtures/pictures.js';

describe('an evaluation', () => {
  const root = mkdtempSync(join(tmpdir(), 'fact-evaluate-'));
  const BROKEN = [3, 11];
  const IMAGES = 17;
  let model: BcosModel;
  let sae: Sae;
  let beside: Sae;

  const open = (): Promise<OpenedImages> =>
    openImages(join(root, 'data'), model.spec.preprocessing, {
      batchSize: 4,
      workers: 0,
      labelsFor: model.spec,
    });

  async function run(
    options: Partial<SaeEvaluationOptions> = {},
  ): Promise<Awaited<ReturnType<typeof evaluateSae>>> {
    const { loader, imageSize, batchSize } = await open();
    try {
      return await evaluateSae(model, sae, loader, {
        imageSize,
        batchSize,
        beside: [beside],
        pixelImages: 6,
        pixelConcepts: 2,
        ...options,
      });
    } finally {
      await loader.close();
    }
  }

  beforeAll(async () => {
    await startEngine({ engine: testEngine(), threads: 1 });
    model = smallModel({ blocks: [1, 1], inputSize: 16, preprocessing: { resize: 16, crop: [16, 16] } });
    sae = randomSae(model, 'layer2', 48, 3);
    beside = randomSae(model, 'layer2', 32, 2, 4);
    for (let i = 0; i < IMAGES; i++) {
      const folder = join(root, 'data', CLASS_NAMES[i % CLASS_NAMES.length]);
      mkdirSync(folder, { recursive: true });
      const bytes = BROKEN.includes(i)
        ? Buffer.from([255, 216, 255])
        : await jpegOf(randomPicture(16, 16, i, true));
      writeFileSync(join(folder, `${i}.jpg`), bytes);
    }
  });
  afterAll(() => {
    sae.dispose();
    beside.dispose();
    model.dispose();
    rmSync(root, { recursive: true, force: true });
  });

  it('that is stopped and gone on with, anywhere and again, ends with the same numbers', async () => {
    const whole = await run();
    expect(whole.data).toMatchObject({ images: IMAGES - BROKEN.length, classes: 5 });
    expect(whole.data.broken).toHaveLength(BROKEN.length);
    const file = join(root, 'state.safetensors');
    const random = new Random(5);
    let resume: EvaluationState | null = null;
    let stops = 0;
    for (;;) {
      const controller = new AbortController();
      let images = 0;
      try {
        const result = await run({
          resume,
          save: (state) => writeEvaluationState(file, 'work', state),
          saveEveryMs: 0,
          signal: controller.signal,
          progress: {
            update: () => {
              if (images++ > 0 || random.next() < 0.7) controller.abort();
            },
            stop: () => {},
          },
        });
        expect(result.measured).toEqual(whole.measured);
        expect(result.data).toEqual(whole.data);
        expect(result.otherUses[0].save()).toEqual(whole.otherUses[0].save());
        break;
      } catch (error) {
        if (error !== controller.signal.reason) throw error;
        stops++;
        resume = readEvaluationState(file, 'work');
        expect(resume).not.toBeNull();
      }
    }
    expect(stops).toBeGreaterThan(1);
    // What was finished stays: no image is needed any more.
    const last = readEvaluationState(file, 'work');
    expect((await run({ resume: last })).measured).toEqual(whole.measured);
  });

  it('keeps no tensors', async () => {
    await run();
    const before = tf.memory().numTensors;
    await run();
    expect(tf.memory().numTensors).toBe(before);
  });

  it('writes sums to disk as they are, and knows damage and other work', () => {
    const file = join(root, 'sums.safetensors');
    const state: EvaluationState = {
      batches: 7,
      broken: [{ sample: 3, name: 'a', code: 'E_X', message: 'm' }],
      sums: { a: Float64Array.of(1 / 3, Number.MIN_VALUE, -0), none: new Float64Array(0) },
    };
    expect(readEvaluationState(file, 'work')).toBeNull();
    writeEvaluationState(file, 'work', state);
    expect(readEvaluationState(file, 'work')).toEqual(state);
    expect(readEvaluationState(file, 'other')).toBeNull();
    writeFileSync(file, 'nothing');
    expect(() => readEvaluationState(file, 'work')).toThrow(
      expect.objectContaining({ code: 'E_EVAL_STATE' }),
    );
    expect(existsSync(file)).toBe(true);
  });

  it('takes the pixel sizes of the maps that an explanation shows', async () => {
    const { measured } = await run({ pixelImages: IMAGES });
    const { loader } = await open();
    const explainer = new Explainer(model, sae, { top: 48 });
    const sizes: number[] = [];
    for await (const batch of loader.epoch(0)) {
      for (let i = 0; i < batch.size; i++) {
        const pixels = Uint8Array.from(batch.images.subarray(i * 768, (i + 1) * 768), (v) =>
          Math.round(v * 255),
        );
        const image = { name: 'x', pixels, height: 16, width: 16, original: null, trueClass: null };
        const [explanation] = await explainer.explain([image]);
        const shown = [...explanation.concepts].sort((a, b) => b.contribution - a.contribution);
        for (const { map, contribution } of shown.slice(0, 2))
          if (contribution > 0 && map !== null) sizes.push(pixelsToReach(map.values));
      }
    }
    explainer.dispose();
    await loader.close();
    const mean = sizes.reduce((sum, size) => sum + size, 0) / sizes.length;
    expect(measured.spatial.pixels).toMatchObject({ images: IMAGES - BROKEN.length, pairs: sizes.length });
    expect(measured.spatial.pixels?.meanPixels).toBeCloseTo(mean, 0);
  });

  it('samples as many images as asked for, evenly, and the strongest concepts', () => {
    for (const [size, wanted] of [
      [100, 7],
      [2500, 100],
      [10, 10],
      [3, 100],
      [50000, 0],
      [49999, 333],
    ]) {
      const chosen = Array.from({ length: size }, (_, i) => i).filter((i) => isSampled(i, size, wanted));
      expect(chosen).toHaveLength(Math.min(size, wanted));
      const gaps = chosen.slice(1).map((sample, i) => sample - chosen[i]);
      if (gaps.length > 0) expect(Math.max(...gaps) - Math.min(...gaps)).toBeLessThanOrEqual(1);
    }
    expect(topConcepts([0, 3, -9, 5, 3], 3)).toEqual([3, 1, 4]);
    expect(topConcepts([-1, 0], 3)).toEqual([]);
  });
});
