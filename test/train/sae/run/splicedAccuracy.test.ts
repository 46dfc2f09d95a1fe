import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { splice } from '../../../../src/explain/conceptProgram.js';
import type { BcosModel } from '../../../../src/models/bcosModel.js';
import { holdOut } from '../../../../src/train/sae/features/holdOut.js';
import { openHeldOut, openSplit } from '../../../../src/train/sae/run/heldOutImages.js';
import { SplicedAccuracy } from '../../../../src/train/sae/run/splicedAccuracy.js';
import { tensorGrowth, useEngine } from '../../../engine.js';
import { CLASS_NAMES, randomSae, SIZE, smallModel } from '../../../explain/fixtures.js';
import { jpegOf, randomPicture } from '../../../fixtures/pictures.js';
import { scratchFolder } from '../../tinyRun.js';

useEngine();
const scratch = scratchFolder();
const data = join(scratch.path, 'data');
let model: BcosModel;

beforeAll(async () => {
  model = smallModel();
  for (const [c, name] of CLASS_NAMES.entries()) {
    mkdirSync(join(data, name), { recursive: true });
    for (let i = 0; i < 20; i++)
      writeFileSync(join(data, name, `${i}.jpg`), await jpegOf(randomPicture(SIZE, SIZE, 100 * c + i, true)));
  }
});
afterAll(() => {
  model.dispose();
  scratch.remove();
});

const REQUEST = { split: 'train', which: 2, imageBatch: 4, workers: 0 } as const;

async function opened(which: number | readonly string[] = REQUEST.which) {
  const images = await openHeldOut(data, model.spec, { ...REQUEST, which });
  if (images === null) throw new Error('none held out');
  return images;
}

describe('images held out', () => {
  it('are those that training left out, by number and by key', async () => {
    const source = await openSplit(data, 'train');
    const expected = Array.from(holdOut(source, 2).heldOut, (i) => source.key(i));
    source.close();
    expect(expected).toHaveLength(10);
    for (const which of [2, expected]) {
      const images = await opened(which);
      const keys: string[] = [];
      for await (const batch of images.loader.epoch(0)) keys.push(...batch.keys);
      expect(keys).toEqual(expected);
      await images.close();
    }
    expect(await openHeldOut(data, model.spec, { ...REQUEST, which: 0 })).toBeNull();
  });

  it('that are gone are counted', async () => {
    await expect(opened(['nothing', 'of', 'this'])).rejects.toMatchObject({
      code: 'E_DATA_CHANGED',
      message: expect.stringContaining('3 of the 3'),
    });
  });
});

describe('the accuracy of the spliced network', () => {
  it('is that of the network run by hand, image by image, for each autoencoder in turn', async () => {
    const images = await opened();
    const accuracy = new SplicedAccuracy(model, 'layer2', images);
    const found: number[] = [];
    for (const seed of [1, 2, 3]) {
      const sae = randomSae(model, 'layer2', 64, 4, seed);
      let correct = 0;
      for await (const batch of images.loader.epoch(0)) {
        tf.tidy(() => {
          const x = tf.tensor4d(batch.images, [batch.size, SIZE, SIZE, 3]);
          const features = model.segment(null, 'layer2').apply(x, { training: false }) as tf.Tensor;
          const { reconstruction } = splice(features, sae);
          const scores = model
            .segment('layer2', null)
            .apply(reconstruction, { training: false }) as tf.Tensor2D;
          scores
            .argMax(1)
            .dataSync()
            .forEach((label, i) => {
              if (label === batch.labels[i]) correct++;
            });
        });
      }
      const top1 = await accuracy.measure(sae);
      expect(top1).toBe(10 * correct);
      found.push(top1);
      sae.dispose();
    }
    expect(new Set(found).size).toBeGreaterThan(1);
    accuracy.dispose();
    await images.close();
  });

  it('ends with the reason of an aborted signal, and leaves no tensor behind', async () => {
    const images = await opened();
    const controller = new AbortController();
    controller.abort();
    const growth = await tensorGrowth(async () => {
      const sae = randomSae(model, 'layer2');
      const accuracy = new SplicedAccuracy(model, 'layer2', images);
      await expect(accuracy.measure(sae, controller.signal)).rejects.toBe(controller.signal.reason);
      await accuracy.measure(sae);
      accuracy.dispose();
      sae.dispose();
    });
    expect(growth).toBe(0);
    await images.close();
  });

  it('of images that cannot be read is refused', async () => {
    const place = join(scratch.path, 'broken', 'a');
    mkdirSync(place, { recursive: true });
    for (let i = 0; i < 10; i++) writeFileSync(join(place, `${i}.jpg`), 'no picture');
    const images = await openHeldOut(join(scratch.path, 'broken'), model.spec, {
      ...REQUEST,
      which: 1,
    });
    if (images === null) throw new Error('none held out');
    const accuracy = new SplicedAccuracy(model, 'layer2', images);
    const sae = randomSae(model, 'layer2');
    await expect(accuracy.measure(sae)).rejects.toMatchObject({ code: 'E_DATA_EMPTY' });
    sae.dispose();
    accuracy.dispose();
    await images.close();
  });
});
