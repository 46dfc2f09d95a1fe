import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { zooEntries } from '../../../src/convert/zoo/catalogue.js';
import { createModel } from '../../../src/models/createModel.js';
import { loadSaeConfig, resolveSaeConfig, type SaeTrainConfig } from '../../../src/train/sae/config.js';
import { positionsPerImage } from '../../../src/train/sae/features/sampling.js';
import { useEngine } from '../../engine.js';

useEngine();
const place = join(import.meta.dirname, '..', '..', '..', 'configs', 'sae');
const IMAGES = 1_231_167;

/** The recipe without the options of architectures that it does not choose. */
function chosen(recipe: SaeTrainConfig): Record<string, unknown> {
  const { batchTopK, archetypal, ...rest } = recipe;
  if (recipe.architecture === 'batchtopk') return { ...rest, batchTopK };
  return recipe.architecture === 'archetypal' ? { ...rest, archetypal } : rest;
}

const files = [place, join(place, 'imagenet')].flatMap((folder) =>
  readdirSync(folder)
    .filter((name) => name.endsWith('.yaml'))
    .map((name) => join(folder, name)),
);

describe('the recipes in configs/sae', () => {
  it.each(files.map((path) => path.slice(place.length + 1)))(
    '%s is valid and spells out every default',
    (file) => {
      const path = join(place, file);
      expect(parse(readFileSync(path, 'utf8'))).toEqual(chosen(loadSaeConfig(path)));
    },
  );

  it('without further keys have the settings of the reference, but for the batch', () => {
    expect(resolveSaeConfig({ tap: 'layer4', latents: 1024, k: 8 }, 'test')).toMatchObject({
      seed: 0,
      epochs: 16,
      learningRate: 0.001,
      init: 'linear',
      warmupEpochs: 1,
      decayAfterEpochs: 2,
      aux: { alpha: 1 / 32, k: 256, deadAfter: 0.5 },
      features: { split: 'train', holdOut: 50, positions: 'budget' },
      architecture: 'topk',
      evaluateEvery: 2,
    });
  });

  /** What the table of published autoencoders says is drawn per image, of how many positions. */
  const DRAWN: Readonly<Record<string, readonly [number, number]>> = {
    'features.norm5': [36, 49],
    'features.transition3': [49, 49],
    'features.transition2': [144, 196],
    layer4: [18, 49],
    layer3: [36, 196],
    layer2: [72, 784],
    'transformer.encoder_10': [96, 196],
    'transformer.encoder_9': [96, 196],
    'transformer.encoder_8': [96, 196],
    'transformer.encoder_4': [96, 196],
  };
  const published = zooEntries().flatMap((entry) => entry.saes);

  it('for ImageNet are one for each published autoencoder, named as its file', () => {
    expect(readdirSync(join(place, 'imagenet')).sort()).toEqual(
      published.map((sae) => sae.file.replace(/\.pt$/, '.yaml')).sort(),
    );
  });

  it.each(published.map((sae) => [sae.file.replace(/\.pt$/, ''), sae] as const))(
    '%s holds its settings, and its rows and bytes are those of the reference',
    (name, sae) => {
      const path = join(place, 'imagenet', `${name}.yaml`);
      const recipe = loadSaeConfig(path);
      expect(recipe).toMatchObject({
        tap: sae.tap,
        latents: sae.latents,
        k: sae.k,
        learningRate: Number(/LR([\d.]+)$/.exec(name)?.[1]),
        epochs: 16,
        batchRows: 32_786,
        features: { split: 'train', holdOut: 50, positions: 'budget' },
        architecture: 'topk',
      });
      const [drawn, positions] = DRAWN[sae.tap];
      const kept = positionsPerImage(recipe.features.positions, sae.channels, positions);
      expect(kept).toBe(drawn);
      const gigabytes = (IMAGES * kept * sae.channels * 4) / 1e9;
      // 181.6 GB wherever the budget of 72 * 512 floats binds and divides evenly.
      if (kept < positions && (72 * 512) % sae.channels === 0) expect(gigabytes).toBeCloseTo(181.5, 0);
      else expect(gigabytes).toBeLessThan(181.6);
      const comment = readFileSync(path, 'utf8');
      expect(comment).toContain(`${sae.channels} channels at ${positions} positions, ${kept} of them kept`);
      expect(comment).toContain(`give ${IMAGES * kept} rows: ${gigabytes.toFixed(1)} GB as float32`);
    },
  );

  it('for ImageNet name taps that their networks have', () => {
    for (const network of new Set(published.map((sae) => sae.network))) {
      const model = createModel(network, { numClasses: 2 });
      for (const sae of published.filter((s) => s.network === network)) {
        const { shape } = model.segment(null, sae.tap).outputs[0];
        const at224 = model.segment(null, sae.tap).computeOutputShape([1, 224, 224, 3]) as number[];
        expect(shape[shape.length - 1]).toBe(sae.channels);
        expect(at224.slice(1, -1).reduce((product, d) => product * d, 1)).toBe(DRAWN[sae.tap][1]);
      }
      model.dispose();
    }
  });
});
