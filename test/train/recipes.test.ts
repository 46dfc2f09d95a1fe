import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadConfig } from '../../src/train/config/load.js';
import { goldensFolder } from '../goldens/format.js';

const folder = goldensFolder();
const RECIPES: Readonly<Record<string, string>> = {
  resnet18: 'imagenet/resnet18.yaml',
  resnet50: 'imagenet/resnet50.yaml',
  cifar10_resnet_20: 'cifar10/resnet20.yaml',
};

describe.skipIf(folder === null)('the recipes of the reference (skipped without the goldens)', () => {
  for (const [entrypoint, file] of Object.entries(RECIPES)) {
    it(`that of ${entrypoint} is the one in configs/`, () => {
      const { groups } = JSON.parse(readFileSync(join(folder ?? '', 'bcos/train/recipes.json'), 'utf8'));
      const { recipe } = groups.find((group: { entrypoints: string[] }) =>
        group.entrypoints.includes(entrypoint),
      );
      const ours = loadConfig(join(import.meta.dirname, '../../configs', file));
      expect(ours.model.arch).toBe(entrypoint);
      expect(ours.seed).toBe(recipe.seed);
      expect(ours.epochs).toBe(recipe.epochs);
      expect(ours.data.batchSize * ours.accumulate).toBe(recipe.effectiveBatch);
      expect(ours.optimizer).toMatchObject({
        name: recipe.optimizer.name.toLowerCase(),
        rate: recipe.optimizer.lr,
        weightDecay: 0,
      });
      expect(ours.schedule).toMatchObject({ name: 'cosine', interval: recipe.schedule.interval, minimum: 0 });
      expect(ours.schedule.warmup.epochs).toBe(recipe.schedule.warmupEpochs ?? 0);
      expect(ours.clip.adaptive).toBe(recipe.agc ? 0.01 : null);
      expect(ours.ema).toBe(recipe.ema);
      expect(ours.loss.name).toBe(recipe.loss === 'BinaryCrossEntropyLoss' ? 'bce' : 'uniformOffBce');
      if (recipe.trainTransform.crop_size !== undefined) {
        expect(ours.data.imageSize).toEqual([
          recipe.trainTransform.crop_size,
          recipe.trainTransform.crop_size,
        ]);
        expect(ours.data.evalResize).toBe(recipe.testTransform.resize_size);
        expect(ours.data.augment).toMatchObject({
          crop: 'resized',
          flip: recipe.trainTransform.hflip_prob === 0.5,
        });
      }
    });
  }
});
