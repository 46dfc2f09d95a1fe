import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createModel } from '../../src/models/createModel.js';
import { loadModel } from '../../src/models/loadModel.js';
import { isPlausible } from '../../src/models/plausible.js';
import { listModels } from '../../src/models/registry.js';
import { useEngine } from '../engine.js';

useEngine('cpu');

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'fact-plausible-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('options beside stored weights', () => {
  it('of every network of the registry are plausible', () => {
    for (const { name, family } of listModels()) {
      // One of each family is built; the others differ in numbers only.
      if (
        ![
          'resnet18',
          'densenet121',
          'vgg11_bnu',
          'convnext_tiny',
          'vitc_ti_patch1_14',
          'dinov2_vits14',
        ].includes(name)
      )
        continue;
      const model = createModel(name, { weights: 'zero' });
      const shapes = model.network.weights.map(({ shape }) => shape as number[]);
      expect([family, isPlausible(model.spec.options, shapes)]).toEqual([family, true]);
      model.dispose();
    }
  });

  it.each([
    ['width', 2 ** 20],
    ['numClasses', 1e9],
    ['blocks', [1e6]],
    ['maxOut', 1e6],
    ['temperature', 0],
  ])('that ask for more than is there, or for what no layer takes, are refused: %s', async (key, value) => {
    const path = join(folder, key);
    const model = createModel('resnet', {
      numClasses: 2,
      width: 2,
      blocks: [1],
      stem: 'cifar',
      inputSize: 8,
    });
    await model.save(path);
    model.dispose();
    const spec = JSON.parse(readFileSync(join(path, 'fact.json'), 'utf8'));
    writeFileSync(
      join(path, 'fact.json'),
      JSON.stringify({ ...spec, options: { ...spec.options, [key]: value } }),
    );
    await expect(loadModel(path)).rejects.toThrowError(
      expect.objectContaining({
        code: 'E_MODEL_CORRUPT',
        message: expect.stringMatching(/larger network|temperature/),
      }),
    );
  });
});
