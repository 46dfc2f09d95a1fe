import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { zooEntries, zooEntry, zooSaes } from '../../../src/convert/zoo/catalogue.js';
import { IMAGENET_CLASSES } from '../../../src/convert/zoo/imagenetClasses.js';
import type { FactError } from '../../../src/core/errors.js';
import { tapChannels } from '../../../src/explain/sae.js';
import { createModel } from '../../../src/models/createModel.js';
import { useEngine } from '../../engine.js';
import { goldensFolder } from '../../goldens/format.js';

useEngine('cpu');

const errorOf = (act: () => unknown): FactError => {
  try {
    act();
  } catch (error) {
    return error as FactError;
  }
  throw new Error('it did not fail');
};

describe('the catalogue', () => {
  const manifestPath = join(goldensFolder() ?? '', 'bcos', 'manifest.json');

  it.skipIf(!existsSync(manifestPath))(
    'holds every network of the manifest, with its file, hash and accuracy',
    () => {
      const manifest = JSON.parse(readFileSync(manifestPath, 'utf8')) as {
        releaseTag: string;
        entries: {
          name: string;
          parameters: number;
          weights?: { file: string; hashPrefix: string };
          published?: { top1: number; top5: number };
        }[];
      };
      const wanted = manifest.entries
        .flatMap(({ name, parameters, weights, published }) =>
          weights === undefined
            ? []
            : [
                {
                  name,
                  parameters,
                  file: weights.file,
                  hashPrefix: weights.hashPrefix,
                  top1: published?.top1,
                  top5: published?.top5,
                },
              ],
        )
        .sort((a, b) => a.name.localeCompare(b.name));
      const found = zooEntries()
        .map(({ name, hashPrefix, published: { parameters, file, top1, top5 } }) => {
          return { name, parameters, file, hashPrefix, top1, top5 };
        })
        .sort((a, b) => a.name.localeCompare(b.name));
      expect(found).toEqual(wanted);
      for (const { url, published } of zooEntries())
        expect(url.endsWith(`/${manifest.releaseTag}/${published.file}`)).toBe(true);
    },
  );

  it('holds ten autoencoders, each at a stage of its network with that many channels', () => {
    const entries = zooEntries().filter((entry) => entry.saes.length > 0);
    expect(entries.flatMap((entry) => entry.saes).length).toBe(10);
    expect(zooSaes(zooEntry('densenet121_long'), ['features.norm5'])[0].file).toBe(
      'v0.1-densenet121_long-features.norm5-BiasFreeTopK-K16384-S16-LR0.001.pt',
    );
    for (const entry of entries) {
      const model = createModel(entry.name, { weights: 'zero' });
      for (const sae of entry.saes) {
        expect(model.stageNames).toContain(sae.tap);
        expect(tapChannels(model, sae.tap)).toBe(sae.channels);
      }
      model.dispose();
    }
  });

  it('knows autoencoders by tap, with the name of PyTorch too, all, or none', () => {
    const entry = zooEntry('vitc_s'); // short for vitc_s_patch1_14
    expect(zooSaes(entry, ['0.transformer.encoder_8']).map(({ tap }) => tap)).toEqual([
      'transformer.encoder_8',
    ]);
    expect(zooSaes(entry, ['all']).length).toBe(4);
    expect(zooSaes(entry, [])).toEqual([]);
    const wrong = errorOf(() => zooSaes(entry, ['layer4']));
    expect(wrong.code).toBe('E_ZOO_UNKNOWN');
    expect(wrong.remedy).toContain('transformer.encoder_10');
    expect(errorOf(() => zooSaes(zooEntry('resnet18'), ['all'])).code).toBe('E_ZOO_UNKNOWN');
  });

  it('names the nearest network, and tells a network without weights', () => {
    expect(errorOf(() => zooEntry('densnet121')).message).toContain('"densenet121"');
    expect(errorOf(() => zooEntry('torchvision_resnet18')).message).toContain('no weights');
  });

  it('has a name of its own for each of the 1000 classes', () => {
    expect(IMAGENET_CLASSES.length).toBe(1000);
    expect(new Set(IMAGENET_CLASSES.map((name) => name.toLowerCase())).size).toBe(1000);
    expect([0, 1, 430, 999].map((i) => IMAGENET_CLASSES[i])).toEqual([
      'tench',
      'goldfish',
      'basketball',
      'toilet tissue',
    ]);
    for (const name of IMAGENET_CLASSES) expect(name).toMatch(/^\S.*\S$/);
  });
});
