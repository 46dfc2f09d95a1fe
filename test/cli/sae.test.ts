import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { register } from '../../src/cli/sae.js';
import { loadSae } from '../../src/explain/sae.js';
import { CLASS_NAMES } from '../explain/fixtures.js';
import { jpegOf, randomPicture } from '../fixtures/pictures.js';
import { goldensFolder } from '../goldens/format.js';
import { runVerbOf, useExplainCase } from './explainCase.js';

describe('fact sae', () => {
  const made = useExplainCase();
  const data = join(made.root, 'data');
  const at = (name: string) => join(made.root, name);
  const sae = (...argv: string[]) => runVerbOf(register, 'sae', ...argv);
  const small = ['--tap', 'layer2', '--latents', '24', '--k', '4', '--batch', '64', '--epochs', '3'];

  beforeAll(async () => {
    for (const split of ['train', 'val']) {
      for (const [c, name] of CLASS_NAMES.entries()) {
        mkdirSync(join(data, split, name), { recursive: true });
        for (let i = 0; i < 2; i++) {
          const picture = randomPicture(32, 32, c * 10 + i + (split === 'val' ? 100 : 0), true);
          writeFileSync(join(data, split, name, `${i}.jpg`), await jpegOf(picture));
        }
      }
    }
  });

  it('takes features, trains on them and measures the spliced network', async () => {
    const features = await sae(
      ...['features', made.model, '--tap', 'layer2', '--data-dir', data, '--out', at('features')],
      ...['--positions', '20', '--image-batch', '4', '--json'],
    );
    expect(features.status, features.stderr).toBe(0);
    expect(JSON.parse(features.stdout).taps).toMatchObject([{ rows: 200, channels: 16, tap: 'layer2' }]);

    const trained = await sae('train', '--features', at('features'), ...small, '--out', at('run'), '--json');
    expect(trained.status, trained.stderr).toBe(0);
    const result = JSON.parse(trained.stdout);
    expect(result).toMatchObject({ status: 'done', updates: 11, sae: join(at('run'), 'sae') });
    const loaded = await loadSae(result.sae);
    expect(loaded.meta.arch).toBe('cifar10_resnet_20');
    expect(loaded.modelHash).toMatch(/^[0-9a-f]{64}$/);
    loaded.dispose();

    const measured = await sae(
      'eval',
      made.model,
      result.sae,
      '--data-dir',
      data,
      '--image-batch',
      '4',
      '--json',
    );
    expect(measured.status, measured.stderr).toBe(0);
    const e = JSON.parse(measured.stdout);
    expect(e).toMatchObject({ data: { images: 10 }, autoencoder: { tap: 'layer2' } });
    expect(e.accuracy.top5Percent).toBe(100);
    expect(e.sparsity.l0.mean).toBeGreaterThan(3);
    expect(e.sparsity.l0.mean).toBeLessThanOrEqual(4);
    expect(e.reconstruction.varianceExplained).toBeGreaterThan(0);
  });

  it('trains from images directly, and resumes with the recipe of the run', async () => {
    const recipe = at('recipe.yaml');
    writeFileSync(
      recipe,
      'tap: layer2\nlatents: 24\nk: 4\nbatchRows: 64\nepochs: 3\nfeatures: { positions: 20, imageBatch: 4 }\n',
    );
    const trained = await sae(
      'train',
      made.model,
      '-c',
      recipe,
      '--data-dir',
      data,
      '--out',
      at('direct'),
      '--quiet',
    );
    expect(trained.status, trained.stderr).toBe(0);
    expect(trained.stderr).toBe('');
    const weights = (run: string) => readFileSync(join(at(run), 'sae', 'sae_weights.safetensors'));
    const trainedWeights = weights('direct');
    const again = await sae('train', made.model, '--data-dir', data, '--out', at('direct'), '--resume');
    expect(again.status, again.stderr).toBe(0);
    expect(weights('direct')).toEqual(trainedWeights);
  });

  it('refuses an autoencoder of another network', async () => {
    const { smallModel } = await import('../explain/fixtures.js');
    const other = smallModel({ seed: 99 });
    await other.save(at('other'));
    other.dispose();
    const { status, stderr } = await sae('eval', at('other'), join(at('run'), 'sae'), '--data-dir', data);
    expect(status).toBe(1);
    expect(stderr).toMatch(/trained on weights [0-9a-f]{12}…, the network cifar10_resnet_20 has weights/);
    expect(stderr).toContain('[E_SAE_MISMATCH]');
  });

  it.each([
    [['train', '--tap', 'layer2', '--latents', '8', '--k', '2'], 2, 'no network is given'],
    [['train', 'MODEL', '--tap', 'layer2', '--latents', '8', '--k', '2'], 2, 'no data set is given'],
    [['train', 'MODEL', '--data-dir', 'DATA', '--tap', 'layer2', '--k', '2'], 2, 'no --latents is given'],
    [
      ['train', 'MODEL', '--data-dir', 'DATA', '--tap', 'layer2', '--latents', '8', '--k', '9'],
      2,
      '"k" is 9',
    ],
    [
      ['train', 'MODEL', '--data-dir', 'DATA', '--tap', 'laier2', '--latents', '8', '--k', '2'],
      2,
      'nearest is "layer2"',
    ],
    [['train', 'MODEL', '-c', 'missing.yaml', '--data-dir', 'DATA'], 2, 'no such file'],
    [['train', '--features', 'nowhere', '--tap', 'layer2', '--latents', '8', '--k', '2'], 1, 'store.json'],
    [['features', 'MODEL', '--tap', 'layer2', '--out', 'OUT', '--data-dir', 'nowhere'], 1, 'nowhere'],
    [['eval', 'MODEL', 'nowhere', '--data-dir', 'DATA'], 1, 'cfg.json'],
    [['eval', 'MODEL', 'nowhere'], 2, 'no data set is given'],
  ])('%o ends with status %i and says "%s"', async (argv, status, message) => {
    const names: Record<string, string> = { MODEL: made.model, DATA: data, OUT: at('unused') };
    const outcome = await sae(
      ...argv.map((word) => names[word] ?? word),
      ...(argv[0] === 'train' ? ['--out', at('bad')] : []),
    );
    expect(outcome.stderr).toContain(message);
    expect(outcome.stderr).not.toMatch(/^\s+at /m);
    expect(outcome.status).toBe(status);
    expect(existsSync(at('bad'))).toBe(false);
  });

  it('names an unknown key of a recipe, its line and the nearest known one', async () => {
    const recipe = at('bad.yaml');
    writeFileSync(recipe, 'tap: layer2\nlatents: 8\nk: 2\naux:\n  alfa: 1\n');
    const { status, stderr } = await sae(
      'train',
      made.model,
      '-c',
      recipe,
      '--data-dir',
      data,
      '--out',
      at('bad'),
    );
    expect(status).toBe(2);
    expect(stderr).toContain('bad.yaml:5: unknown key "aux.alfa"');
    expect(stderr).toContain('Did you mean "alpha"?');
  });

  const goldens = goldensFolder();
  const released = join(goldens ?? '', 'fact', 'checkpoints', 'sae_best.pt');
  it.skipIf(!existsSync(released))('imports a released autoencoder (skipped without goldens)', async () => {
    const target = at('imported');
    const { status, stdout } = await sae('import', released, target, '--tap', 'layer4', '--dtype', 'float16');
    expect(status).toBe(0);
    expect(stdout).toContain('10 concepts of 6 channels, k = 3');
    const loaded = await loadSae(target);
    expect(loaded).toMatchObject({ latents: 10, channels: 6, k: 3, tap: 'layer4' });
    loaded.dispose();
    const wrong = await sae('import', released, at('wrong'), '--tap', 'layer2', '--model', made.model);
    expect(wrong.status).toBe(1);
    expect(wrong.stderr).toContain('6 channels');
    expect(existsSync(at('wrong'))).toBe(false);
  });
});
