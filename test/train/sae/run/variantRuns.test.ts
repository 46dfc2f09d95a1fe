import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadSae } from '../../../../src/explain/sae.js';
import { resolveSaeConfig } from '../../../../src/train/sae/config.js';
import type { FeatureSource } from '../../../../src/train/sae/features/featureSource.js';
import { trainSae } from '../../../../src/train/sae/run/run.js';
import { tensorGrowth, useEngine } from '../../../engine.js';
import { temporaryFolders } from '../../../fixtures/pictures.js';
import { syntheticFeatures } from '../syntheticFeatures.js';

useEngine();
const folder = temporaryFolders();

const config = (changes: Record<string, unknown>) =>
  resolveSaeConfig(
    {
      tap: 'layer1',
      latents: 32,
      k: 3,
      epochs: 5,
      batchRows: 100,
      learningRate: 0.01,
      aux: { deadAfter: 0.4, k: 8 },
      logEvery: 1,
      checkpointEvery: 4,
      ...changes,
    },
    'test',
  );

/** The source, and a signal that is given after so many batches. */
function aborting(source: FeatureSource, afterBatches: number) {
  const controller = new AbortController();
  let read = 0;
  const batches: FeatureSource['batches'] = async function* (order) {
    for await (const values of source.batches(order)) {
      if (++read === afterBatches) controller.abort();
      yield values;
    }
  };
  return { source: { ...source, batches }, signal: controller.signal };
}

describe.each([
  ['batchtopk', { architecture: 'batchtopk' }],
  ['archetypal', { architecture: 'archetypal', archetypal: { points: 40 } }],
  ['archetypal of drawn rows', { architecture: 'archetypal', archetypal: { points: 20, choice: 'rows' } }],
] as const)('a run of architecture %s', (_, changes) => {
  it('learns, and stopped and resumed ends with the same bytes', async () => {
    const [through, stopped] = [folder(), folder()];
    const growth = await tensorGrowth(async () => {
      const features = await syntheticFeatures(650, 10, 14);
      const whole = await trainSae(config(changes), features, { out: through });
      expect(whole.status).toBe('done');
      expect(whole.last?.varianceExplained).toBeGreaterThan(0.4);
      for (const after of [12, 16]) {
        const { source, signal } = aborting(features, after);
        const part = await trainSae(config(changes), source, { out: stopped, resume: after === 16, signal });
        expect(part.status).toBe('stopped');
      }
      const end = await trainSae(config(changes), features, { out: stopped, resume: true });
      expect(end.status).toBe('done');
      const sae = await loadSae(end.sae ?? '');
      expect(sae.architecture).toBe(changes.architecture);
      expect(sae.meta.trainedK).toBe(3);
      expect(sae.k >= 3 && sae.threshold >= 0).toBe(true);
      sae.dispose();
    });
    expect(growth).toBe(0);
    for (const file of ['sae/sae_weights.safetensors', 'sae/cfg.json', 'metrics.jsonl'])
      expect(readFileSync(join(stopped, file))).toEqual(readFileSync(join(through, file)));
  });
});

describe('a run of architecture archetypal', () => {
  it('is refused where there are fewer distinct rows than points, with nothing left behind', async () => {
    const features = await syntheticFeatures(650, 10, 14);
    const recipe = config({ architecture: 'archetypal', archetypal: { points: 651 } });
    await expect(trainSae(recipe, features, { out: folder() })).rejects.toMatchObject({
      code: 'E_SAE_ARCHETYPES',
      message: expect.stringContaining('650 distinct'),
    });
  });
});
