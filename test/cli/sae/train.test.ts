import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { register } from '../../../src/cli/sae.js';
import { loadSae } from '../../../src/explain/sae.js';
import { CLASS_NAMES } from '../../explain/fixtures.js';
import { jpegOf, randomPicture } from '../../fixtures/pictures.js';
import { runVerbOf, useExplainCase } from '../explainCase.js';

/** Of each class; a tenth of them can be held out. */
const PER_CLASS = 10;

describe('fact sae train', () => {
  const made = useExplainCase();
  const data = join(made.root, 'data');
  const at = (...names: string[]) => join(made.root, ...names);
  const sae = (...argv: string[]) => runVerbOf(register, 'sae', ...argv);
  const recipe = (tap: string, more = '') => {
    const path = at(`${tap}.yaml`);
    writeFileSync(
      path,
      `tap: ${tap}\nlatents: 24\nk: 4\nbatchRows: 200\nepochs: 2\nevaluateEvery: 1\nlogEvery: 1\n` +
        `features: { positions: 20, imageBatch: 4, blockImages: 16, holdOut: 1, workers: 0 }\n${more}`,
    );
    return path;
  };
  const filesOf = (out: string) =>
    ['sae/sae_weights.safetensors', 'sae/cfg.json', 'best/cfg.json', 'last/cfg.json', 'metrics.jsonl'].map(
      (name) => readFileSync(join(out, name), 'utf8'),
    );

  beforeAll(async () => {
    for (const [c, name] of CLASS_NAMES.entries()) {
      mkdirSync(join(data, 'train', name), { recursive: true });
      mkdirSync(join(data, 'val', name), { recursive: true });
      for (let i = 0; i < PER_CLASS; i++) {
        const jpeg = await jpegOf(randomPicture(32, 32, c * PER_CLASS + i, true));
        writeFileSync(join(data, 'train', name, `${i}.jpg`), jpeg);
      }
    }
  });

  it('on the fly trains several taps at once and measures them on the images held out', async () => {
    const argv = ['train', made.model, '-c', recipe('layer1'), '-c', recipe('layer2'), '--on-the-fly'];
    const outcome = await sae(...argv, '--data-dir', data, '--out', at('both'), '--json');
    expect(outcome.status, outcome.stderr).toBe(0);
    expect(outcome.stderr).toContain('5 images are held out');
    expect(outcome.stderr).toContain('45 images a pass');
    const results = JSON.parse(outcome.stdout);
    expect(results).toHaveLength(2);
    for (const [i, tap] of ['layer1', 'layer2'].entries()) {
      expect(results[i]).toMatchObject({ status: 'done', updates: 9, sae: at('both', tap, 'sae') });
      expect(readdirSync(at('both', tap)).sort()).toEqual([
        'best',
        'checkpoint.safetensors',
        'config.yaml',
        'events',
        'last',
        'metrics.jsonl',
        'sae',
        'summary.csv',
      ]);
      const [header, ...rows] = readFileSync(at('both', tap, 'summary.csv'), 'utf8')
        .trim()
        .split('\n');
      const column = (name: string) => rows.map((row) => row.split(',')[header.split(',').indexOf(name)]);
      expect(column('epoch')).toEqual(['1', '2']);
      for (const top1 of column('splicedTop1').map(Number)) expect([0, 20, 40, 60, 80, 100]).toContain(top1);
      expect(results[i].best.top1).toBe(Math.max(...column('splicedTop1').map(Number)));
      for (const name of ['sae', 'best', 'last']) {
        const loaded = await loadSae(at('both', tap, name));
        expect(loaded.meta.normFactor).toBeGreaterThan(0);
        expect(loaded).toMatchObject({ tap, latents: 24, k: 4 });
        loaded.dispose();
      }
    }
    // One of them alone: the same bits.
    const alone = ['train', made.model, '-c', recipe('layer2'), '--on-the-fly', '--data-dir', data];
    const single = await sae(...alone, '--out', at('single'), '--quiet');
    expect(single.status, single.stderr).toBe(0);
    expect(filesOf(at('single'))).toEqual(filesOf(at('both', 'layer2')));
  });

  it('resumes each of several runs, also those not begun', async () => {
    const argv = ['train', made.model, '-c', recipe('layer1'), '-c', recipe('layer2'), '--on-the-fly'];
    const more = ['--data-dir', data, '--quiet'];
    const first = ['train', made.model, '-c', recipe('layer1'), '--on-the-fly', ...more];
    expect((await sae(...first, '--out', at('later', 'layer1'))).status).toBe(0);
    const refused = await sae(...argv, ...more, '--out', at('later'));
    expect(refused.status).toBe(1);
    expect(refused.stderr).toContain('[E_RUN_EXISTS]');
    const before = filesOf(at('later', 'layer1'));
    const resumed = await sae(...argv, ...more, '--out', at('later'), '--resume');
    expect(resumed.status, resumed.stderr).toBe(0);
    expect(filesOf(at('later', 'layer1'))).toEqual(before);
    expect(filesOf(at('later', 'layer2'))).toEqual(filesOf(at('both', 'layer2')));
  });

  it('with --inits trains one autoencoder for each, on the same rows', async () => {
    const argv = ['train', made.model, '-c', recipe('layer2'), '--inits', 'linear,normal:3,data'];
    const outcome = await sae(...argv, '--data-dir', data, '--out', at('inits'), '--quiet');
    expect(outcome.status, outcome.stderr).toBe(0);
    expect(readdirSync(at('inits')).sort()).toEqual(['data', 'linear', 'normal-3']);
    const configs = ['data', 'linear', 'normal-3'].map(
      (name) => JSON.parse(readFileSync(at('inits', name, 'sae', 'cfg.json'), 'utf8')).training.config,
    );
    expect(configs).toMatchObject([
      { init: 'data', initSeed: null },
      { init: 'linear', initSeed: null },
      { init: 'normal', initSeed: 3 },
    ]);
    const weights = ['data', 'linear', 'normal-3'].map((name) =>
      readFileSync(at('inits', name, 'sae', 'sae_weights.safetensors'), 'latin1'),
    );
    expect(new Set(weights).size).toBe(3);
    const again = await sae(...argv, '--data-dir', data, '--out', at('inits'), '--resume', '--quiet');
    expect(again.status, again.stderr).toBe(0);
  });

  it('from a store with its network measures on the images that the store held out', async () => {
    const wanted = [
      '--positions',
      '20',
      '--image-batch',
      '4',
      '--hold-out',
      '1',
      '--workers',
      '0',
      '--quiet',
    ];
    const stored = await sae(
      ...['features', made.model, '--tap', 'layer1', '--tap', 'layer2', '--data-dir', data],
      ...['--split', 'train', '--out', at('store'), ...wanted],
    );
    expect(stored.status, stored.stderr).toBe(0);
    const argv = ['train', made.model, '-c', recipe('layer2'), '--features', at('store')];
    const outcome = await sae(...argv, '--data-dir', data, '--out', at('stored'), '--json');
    expect(outcome.status, outcome.stderr).toBe(0);
    expect(outcome.stderr).toContain('5 images are held out');
    expect(JSON.parse(outcome.stdout)).toMatchObject({ status: 'done', updates: 9 });
    expect(existsSync(at('stored', 'best', 'cfg.json'))).toBe(true);
    const without = await sae(
      'train',
      '-c',
      recipe('layer2'),
      '--features',
      at('store'),
      '--out',
      at('without'),
    );
    expect(without.status, without.stderr).toBe(0);
    expect(without.stderr).toContain('the spliced accuracy is not measured');
    expect(existsSync(at('without', 'best'))).toBe(false);
    // What is measured changes no weight.
    expect(readFileSync(at('without', 'sae', 'sae_weights.safetensors'))).toEqual(
      readFileSync(at('stored', 'sae', 'sae_weights.safetensors')),
    );
  });

  it('from a store of another split measures on pictures of that split', async () => {
    // The same names in train/, where nothing can be read.
    const other = at('splits');
    for (const [c, name] of CLASS_NAMES.entries()) {
      mkdirSync(join(other, 'train', name), { recursive: true });
      mkdirSync(join(other, 'val', name), { recursive: true });
      for (let i = 0; i < PER_CLASS; i++) {
        const jpeg = await jpegOf(randomPicture(32, 32, c * PER_CLASS + i, true));
        writeFileSync(join(other, 'train', name, `${i}.jpg`), 'no picture');
        writeFileSync(join(other, 'val', name, `${i}.jpg`), jpeg);
      }
    }
    const stored = await sae(
      ...['features', made.model, '--tap', 'layer2', '--data-dir', other, '--split', 'val', '--quiet'],
      ...['--positions', '20', '--image-batch', '4', '--hold-out', '1', '--workers', '0', '--out', at('val')],
    );
    expect(stored.status, stored.stderr).toBe(0);
    const outcome = await sae(
      ...['train', made.model, '-c', recipe('layer2'), '--features', at('val'), '--data-dir', other],
      ...['--out', at('of-val'), '--json'],
    );
    expect(outcome.status, outcome.stderr).toBe(0);
    expect(JSON.parse(outcome.stdout).best).toMatchObject({ epoch: expect.any(Number) });
  });

  it('with --inits refuses another start of an archetypal autoencoder', async () => {
    const argv = ['train', made.model, '-c', recipe('layer2', 'architecture: archetypal\n')];
    const outcome = await sae(...argv, '--data-dir', data, '--out', at('hull'), '--inits', 'linear,normal');
    expect(outcome.status).toBe(2);
    expect(outcome.stderr).toContain('"init" is normal');
    expect(existsSync(at('hull'))).toBe(false);
  });

  it('from a store of another network is refused before anything is trained', async () => {
    const { smallModel } = await import('../../explain/fixtures.js');
    const other = smallModel({ seed: 99 });
    await other.save(at('other'));
    other.dispose();
    const argv = [
      'train',
      at('other'),
      '-c',
      recipe('layer2'),
      '--features',
      at('store'),
      '--data-dir',
      data,
    ];
    const { status, stderr } = await sae(...argv, '--out', at('refused'));
    expect(status).toBe(1);
    expect(stderr).toMatch(/with weights [0-9a-f]{12}…, the network .* \[E_SAE_MISMATCH\]/s);
    expect(existsSync(at('refused'))).toBe(false);
  });

  it.each([
    [['--features', 'STORE', '--on-the-fly', '-c', 'layer1'], '--on-the-fly trains from images'],
    [
      ['MODEL', '--data-dir', 'DATA', '--on-the-fly', '-c', 'layer1', '-c', 'layer2seed'],
      '"seed" is 0 in one and 7',
    ],
    [['MODEL', '--data-dir', 'DATA', '-c', 'layer1', '-c', 'layer1'], 'two runs would write to'],
    [['MODEL', '--data-dir', 'DATA', '-c', 'layer1', '--inits', 'linear,linear'], 'two runs would write to'],
    [['MODEL', '--data-dir', 'DATA', '-c', 'layer1', '--inits', 'xavier'], '"xavier" is no initialisation'],
  ])('%o ends with status 2 and says "%s"', async (argv, message) => {
    recipe('layer1');
    writeFileSync(at('layer2seed.yaml'), readFileSync(recipe('layer2'), 'utf8').concat('seed: 7\n'));
    const names: Record<string, string> = {
      MODEL: made.model,
      DATA: data,
      STORE: at('store'),
      layer1: at('layer1.yaml'),
      layer2seed: at('layer2seed.yaml'),
    };
    const words = argv.map((word) => names[word] ?? word);
    const outcome = await sae('train', ...words, '--out', at('refused')).catch((error: Error) => ({
      status: 2,
      stderr: error.message,
    }));
    expect(outcome.stderr).toContain(message);
    expect(outcome.status).toBe(2);
    expect(existsSync(at('refused'))).toBe(false);
  });
});
