import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Explainer } from '../../src/explain/explainer.js';
import { worstLedger } from '../../src/explain/ledger.js';
import { fidelityLine } from '../../src/explain/report/words.js';
import { createSae, loadSae, type Sae, saveSae } from '../../src/explain/sae.js';
import { initialSaeWeights } from '../../src/layers/topKSae.js';
import type { BcosModel } from '../../src/models/bcosModel.js';
import { useEngine } from '../engine.js';
import { temporaryFolders } from '../fixtures/pictures.js';
import { CLASS_NAMES, randomImage, smallModel } from './fixtures.js';
import { trainedSae } from './trainedSae.js';

useEngine();
const folder = temporaryFolders();

describe.each(['batchtopk', 'archetypal'] as const)('an autoencoder of architecture %s', (architecture) => {
  let model: BcosModel;
  let sae: Sae;
  let early: Sae;
  beforeAll(async () => {
    model = smallModel();
    sae = await trainedSae(model, 'layer3', architecture);
    early = await trainedSae(model, 'layer1', architecture, [32, 3]);
  });
  afterAll(() => {
    for (const one of [sae, early, model]) one?.dispose();
  });

  it('explains with ledgers that close within 1e-5, for every class, with traces', async () => {
    const explainer = new Explainer(model, sae, { early });
    const images = [randomImage(1), randomImage(2)];
    for (let index = 0; index < CLASS_NAMES.length; index++) {
      for (const { ledgers, concepts } of await explainer.explain(images, { for: index })) {
        expect(concepts.length).toBeGreaterThan(0);
        expect(ledgers).toHaveLength(2 + 2 * concepts.length);
        expect(worstLedger(ledgers)?.relativeError).toBeLessThanOrEqual(1e-5);
      }
    }
    explainer.dispose();
  });

  it('loads as it was saved', async () => {
    const path = join(folder(), 'sae');
    await saveSae(path, sae);
    const loaded = await loadSae(path);
    const plain = { encoder: 0, decoder: 0, dispose: 0 };
    expect({ ...loaded, ...plain }).toEqual({ ...sae, ...plain });
    expect(loaded.encoder.dataSync()).toEqual(sae.encoder.dataSync());
    expect(JSON.parse(readFileSync(join(path, 'cfg.json'), 'utf8'))).toMatchObject({ architecture, k: 4 });
    expect(loaded.architecture).toBe(architecture);
    expect(loaded.threshold > 0).toBe(architecture === 'batchtopk');
    loaded.dispose();
  });
});

describe('a code that is too narrow for its threshold', () => {
  it('is told: positions without a free place are counted in the explanation and named in the report', async () => {
    const model = smallModel();
    const wide = await trainedSae(model, 'layer3', 'batchtopk');
    const narrow = createSae({
      ...wide,
      k: 1,
      encoder: wide.encoder.dataSync() as Float32Array,
      decoder: wide.decoder.dataSync() as Float32Array,
    });
    const topk = await trainedSae(model, 'layer3', 'topk');
    const full: (number | null)[] = [];
    const lines: string[] = [];
    for (const sae of [wide, narrow, topk]) {
      const explainer = new Explainer(model, sae);
      const [one] = await explainer.explain([randomImage(1)]);
      full.push(one.fullPositions);
      lines.push(fidelityLine(one));
      expect(worstLedger(one.ledgers)?.relativeError).toBeLessThanOrEqual(1e-5);
      explainer.dispose();
    }
    expect(full[1]).toBeGreaterThan(full[0] ?? Number.POSITIVE_INFINITY);
    expect(full[2]).toBeNull();
    expect(lines[1]).toContain(`at ${full[1]} positions only the strongest`);
    expect(lines[2]).not.toContain('strongest');
    for (const one of [wide, narrow, topk, model]) one.dispose();
  });
});

describe('threshold and width', () => {
  const parts = { channels: 4, latents: 6, k: 3, ...initialSaeWeights(4, 6, 1), tap: 'layer1' };

  it('belong to batchtopk and to nothing else', () => {
    const code = 'E_SAE_CONFIG';
    expect(() => createSae({ ...parts, threshold: 0.5 })).toThrow(expect.objectContaining({ code }));
    for (const threshold of [0, -1, Number.NaN, Number.POSITIVE_INFINITY])
      expect(() => createSae({ ...parts, architecture: 'batchtopk', threshold })).toThrow(
        expect.objectContaining({ code }),
      );
  });

  it.each([
    ['no threshold', { threshold: undefined }, 'threshold'],
    ['no width', { width: undefined }, 'width'],
    ['a width above the latents', { width: 7 }, 'width'],
    ['a threshold of topk', { architecture: 'topk' }, 'threshold'],
    ['a negative threshold', { threshold: -1 }, 'threshold'],
  ])('are checked in cfg.json: %s', async (_, changes, key) => {
    const path = join(folder(), 'sae');
    const sae = createSae({ ...parts, architecture: 'batchtopk', threshold: 0.5, meta: { trainedK: 2 } });
    await saveSae(path, sae);
    sae.dispose();
    const file = join(path, 'cfg.json');
    const config = JSON.parse(readFileSync(file, 'utf8'));
    expect(config).toMatchObject({ architecture: 'batchtopk', k: 2, threshold: 0.5, width: 3 });
    writeFileSync(file, JSON.stringify({ ...config, ...changes }));
    await expect(loadSae(path)).rejects.toMatchObject({
      code: 'E_SAE_CONFIG',
      message: expect.stringContaining(`"${key}"`),
    });
  });
});
