import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { createModel } from '../../../../src/models/index.js';
import { tapSizes } from '../../../../src/train/sae/features/tapReader.js';
import { checkpointBytes, trainingBytes, updatesOf } from '../../../../src/train/sae/plan/formulas.js';
import { laptopPlan } from '../../../../src/train/sae/plan/laptop.js';
import { type PlanOptions, planOf } from '../../../../src/train/sae/plan/plan.js';
import { type PlanRates, STATED_RATES } from '../../../../src/train/sae/plan/rates.js';
import { IMAGENET, type PlanSetting, publishedSettings } from '../../../../src/train/sae/plan/settings.js';
import { useEngine } from '../../../engine.js';
import { testEngine } from '../../../engineName.js';

useEngine();

const IMAGENET_OPTIONS: PlanOptions = {
  images: IMAGENET.images - 50 * IMAGENET.classes,
  heldOut: 50_000,
  validation: 50_000,
  maxBytes: null,
  onTheFly: false,
};
const settings = publishedSettings();
const byName = (name: string): PlanSetting => {
  const found = settings.find(({ network, tap }) => `${network} ${tap}` === name);
  if (found === undefined) throw new Error(name);
  return found;
};

describe('the published settings', () => {
  it('are ten, with positions and channels as the networks have them', () => {
    expect(settings).toHaveLength(10);
    for (const network of new Set(settings.map((setting) => setting.network))) {
      const model = createModel(network);
      const own = settings.filter((setting) => setting.network === network);
      const requests = own.map(({ tap }) => ({ tap, positions: 'budget' as const }));
      const found = tapSizes(model, requests, [224, 224]);
      expect(own.map(({ tap, channels, positions, kept }) => ({ tap, channels, positions, kept }))).toEqual(
        found,
      );
      model.dispose();
    }
  });

  it('give the rows and bytes of the reference, 169 GiB wherever the budget binds', () => {
    const kept = Object.fromEntries(settings.map(({ network, tap, kept: n }) => [`${network} ${tap}`, n]));
    expect(kept).toMatchObject({
      'densenet121_long features.norm5': 36,
      'densenet121_long features.transition3': 49,
      'densenet121_long features.transition2': 144,
      'resnet50_long layer4': 18,
      'resnet50_long layer2': 72,
      'vitc_s_patch1_14 transformer.encoder_10': 96,
    });
    expect(IMAGENET_OPTIONS.images).toBe(1_231_167);
    for (const setting of settings) {
      const plan = planOf(setting, IMAGENET_OPTIONS, STATED_RATES);
      expect(plan.rows).toBe(1_231_167 * setting.kept);
      const isAll = setting.kept === setting.positions;
      expect(plan.featureBytes).toBe(isAll ? 1_231_167 * 49 * 512 * 4 : 72 * 512 * 4 * 1_231_167);
      if (!isAll) expect(Math.round(plan.featureBytes / 2 ** 30)).toBe(169);
      // Image and position of each row, 8 bytes, then headers and index.
      const around = plan.f32.bytes - plan.featureBytes - 8 * plan.rows;
      expect(around).toBeGreaterThan(0);
      expect(around).toBeLessThan(2e6);
      expect(plan.f32.bytes - plan.f16.bytes).toBeGreaterThan(0.49 * plan.featureBytes);
      expect(plan.f32.peakBytes - plan.f32.bytes).toBeLessThanOrEqual(2 ** 28);
      expect(plan.seconds).not.toBeNull();
    }
  });
});

describe('a plan', () => {
  const norm5 = byName('densenet121_long features.norm5');
  const rates: PlanRates = {
    source: 'test',
    threads: 2,
    decode: 50,
    of: () => ({ collect: 20, evaluate: 10, update: { fixed: 0.5, perRow: 1e-4 } }),
  };

  it('counts hours from rates', () => {
    const { config } = norm5;
    const plan = planOf(norm5, { ...IMAGENET_OPTIONS, images: 1000, heldOut: 100, validation: 200 }, rates);
    const updates = config.epochs * Math.ceil(36_000 / config.batchRows) - 1;
    expect(plan.updates).toBe(updates);
    expect(plan.seconds?.collection).toBeCloseTo(1000 * (1 / 20 + 1 / 100), 6);
    expect(plan.seconds?.training).toBeCloseTo(updates * 0.5 + config.epochs * 36_000 * 1e-4, 6);
    const measured = 100 * Math.floor(config.epochs / config.evaluateEvery) + 200;
    expect(plan.seconds?.evaluation).toBeCloseTo(measured * (1 / 10 + 1 / 100), 6);
    const onTheFly = planOf(norm5, { ...IMAGENET_OPTIONS, images: 1000, onTheFly: true }, rates);
    expect(onTheFly.seconds?.collection).toBeCloseTo(config.epochs * 60, 6);
    expect(onTheFly.readRate).toBeNull();
  });

  it('keeps a store within its limit, all the time, and f16 keeps more', () => {
    const plan = planOf(norm5, { ...IMAGENET_OPTIONS, maxBytes: 50e9 }, rates);
    const { f32, f16 } = plan.limited ?? { f32: plan.f32, f16: plan.f16 };
    expect(f32.peakBytes).toBeLessThanOrEqual(50e9);
    expect(f32.peakBytes).toBeGreaterThan(49.9e9);
    expect(f32.rows).toBe(f32.images * 36);
    expect(f16.peakBytes).toBeLessThanOrEqual(50e9);
    expect(f16.images / f32.images).toBeGreaterThan(1.98);
    expect(plan.updates).toBe(updatesOf(f32.rows, norm5.config.batchRows, norm5.config.epochs));
  });

  it('says that hours are unknown for sizes that nobody measured', () => {
    const other = { ...norm5, config: { ...norm5.config, latents: 12345 } };
    expect(planOf(other, IMAGENET_OPTIONS, STATED_RATES).seconds).toBeNull();
  });

  it('finds the batch and the share of the images that fit a laptop', () => {
    const reader = 2 ** 29;
    const wide = laptopPlan(norm5, 1_231_167, reader, { memoryBytes: 2.2e9, diskBytes: 100e9 });
    expect(wide.memoryBytes).toBeLessThanOrEqual(2.2e9);
    const { channels, config } = norm5;
    const { latents, k } = config;
    expect(
      trainingBytes({ channels, latents, k, batchRows: 2 * wide.batchRows }, reader).total,
    ).toBeGreaterThan(2.2e9);
    expect(wide.share.f16).toBe(1);
    expect(wide.share.f32).toBeCloseTo(100 / 181.9, 2);
    expect(laptopPlan(norm5, 1000, reader, { memoryBytes: 1e8, diskBytes: 1e9 }).batchRows).toBe(0);
  });

  it('counts the weights, moments and counters of a checkpoint', () => {
    expect(checkpointBytes({ channels: 3, latents: 5 })).toBe(4 * (6 * 15 + 10));
  });
});

describe('memory of training', () => {
  const child = join(import.meta.dirname, 'memoryChild.ts');

  it.skipIf(testEngine() !== 'onnx').each([
    [256, 8192, 32, 2048],
    [512, 8192, 32, 8192],
    [128, 4096, 128, 4096],
  ])(
    'is as the formula says, within a factor of 1.25: %i channels, %i concepts, k %i, %i rows',
    async (channels, latents, k, batchRows) => {
      const sizes = { channels, latents, k, batchRows };
      const args = ['--import', 'tsx', child, ...Object.values(sizes).map(String)];
      const { stdout } = await promisify(execFile)(process.execPath, args);
      const ratio = Number(stdout) / trainingBytes(sizes).total;
      expect(ratio).toBeGreaterThan(1 / 1.25);
      expect(ratio).toBeLessThan(1.25);
    },
    60_000,
  );
});
