import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { describe, expect, it } from 'vitest';
import { sha256 } from '../../src/core/hash.js';
import { saeFromFactCheckpoint } from '../../src/explain/factSae.js';
import { createSae, loadSae, matchSae, type Sae, saveSae, tapChannels } from '../../src/explain/sae.js';
import { initialSaeWeights } from '../../src/layers/topKSae.js';
import { tensorGrowth, useEngine } from '../engine.js';
import { temporaryFolders } from '../fixtures/pictures.js';
import { goldensFolder } from '../goldens/format.js';
import { randomSae, smallModel } from './fixtures.js';

useEngine();
const folder = temporaryFolders();

function sample(): Sae {
  return createSae({
    channels: 5,
    latents: 9,
    k: 3,
    ...initialSaeWeights(5, 9, 4),
    tap: 'layer2',
    modelHash: 'ab'.repeat(32),
    meta: { arch: 'resnet18', normFactor: 2.5, training: { epochs: 3, note: ['x', null] } },
  });
}

describe('the folder of an autoencoder', () => {
  it('loads as it was saved, bit for bit', async () => {
    const sae = sample();
    const path = join(folder(), 'sae');
    await saveSae(path, sae);
    const loaded = await loadSae(path);
    expect({ ...loaded, encoder: 0, decoder: 0, dispose: 0 }).toEqual({
      ...sae,
      encoder: 0,
      decoder: 0,
      dispose: 0,
    });
    expect(loaded.encoder.shape).toEqual([9, 5]);
    expect(loaded.encoder.dataSync()).toEqual(sae.encoder.dataSync());
    expect(loaded.decoder.dataSync()).toEqual(sae.decoder.dataSync());
    const again = join(folder(), 'sae');
    await saveSae(again, loaded);
    for (const file of ['cfg.json', 'sae_weights.safetensors'])
      expect(readFileSync(join(again, file))).toEqual(readFileSync(join(path, file)));
    sae.dispose();
    loaded.dispose();
  });

  it('stored as float16 takes half the room and is rounded once', async () => {
    const sae = sample();
    const [full, half, again] = [folder(), folder(), folder()].map((f) => join(f, 'sae'));
    await saveSae(full, sae);
    await saveSae(half, sae, { dtype: 'float16' });
    const loaded = await loadSae(half);
    expect(loaded.encoder.dataSync()).toBeNormwiseClose(sae.encoder.dataSync(), 5e-4);
    expect(loaded.encoder.dataSync()).not.toEqual(sae.encoder.dataSync());
    await saveSae(again, loaded, { dtype: 'float16' });
    expect(readFileSync(join(again, 'sae_weights.safetensors'))).toEqual(
      readFileSync(join(half, 'sae_weights.safetensors')),
    );
    const size = (path: string) => readFileSync(join(path, 'sae_weights.safetensors')).length;
    expect(size(full) - size(half)).toBeGreaterThan(2 * 45 * 2 - 16);
    const large = createSae({
      channels: 1,
      latents: 1,
      k: 1,
      encoder: Float32Array.of(70000),
      decoder: Float32Array.of(1),
      tap: 't',
    });
    const target = join(folder(), 'large');
    await expect(saveSae(target, large, { dtype: 'float16' })).rejects.toMatchObject({
      code: 'E_F16_OVERFLOW',
    });
    expect(existsSync(target)).toBe(false);
  });

  it('leaves no tensor behind once disposed', async () => {
    const path = join(folder(), 'sae');
    const sae = sample();
    await saveSae(path, sae);
    sae.dispose();
    const growth = await tensorGrowth(async () => {
      for (let i = 0; i < 5; i++) (await loadSae(path)).dispose();
    });
    expect(growth).toBe(0);
  });

  it('keeps the old one where the new one cannot be written', async () => {
    const path = join(folder(), 'sae');
    const sae = sample();
    await saveSae(path, sae);
    const before = readFileSync(join(path, 'cfg.json'));
    const bad = { ...sae, decoder: tf.tensor2d([1e6], [1, 1]) };
    await expect(saveSae(path, bad, { dtype: 'float16' })).rejects.toMatchObject({ code: 'E_F16_OVERFLOW' });
    expect(readFileSync(join(path, 'cfg.json'))).toEqual(before);
  });

  const CONFIG_FAULTS: [string, (config: Record<string, unknown>) => unknown, RegExp][] = [
    ['an unknown key', (c) => ({ ...c, latent: 3 }), /unknown key "latent"/],
    ['a missing key', ({ k: _, ...rest }) => rest, /"k"/],
    ['k above the number of latents', (c) => ({ ...c, k: 10 }), /"k" is 10, more than the 9 latents/],
    ['k of no whole number', (c) => ({ ...c, k: 1.5 }), /"k"/],
    ['another activation', (c) => ({ ...c, activation: 'relu' }), /"activation"/],
    ['a decoder bias', (c) => ({ ...c, apply_b_dec_to_input: true }), /"apply_b_dec_to_input"/],
    ['a newer version', (c) => ({ ...c, version: 2 }), /"version" is 2, this program reads up to 1/],
    ['a list', () => [], /cfg\.json/],
    ['null', () => null, /cfg\.json/],
  ];
  it.each(CONFIG_FAULTS)('refuses a cfg.json with %s', async (_, change, message) => {
    const path = join(folder(), 'sae');
    await saveSae(path, sample());
    const file = join(path, 'cfg.json');
    writeFileSync(file, JSON.stringify(change(JSON.parse(readFileSync(file, 'utf8')))));
    await expect(loadSae(path)).rejects.toMatchObject({
      code: 'E_SAE_CONFIG',
      message: expect.stringMatching(message),
    });
  });

  it('names the key that a misspelt one is near', async () => {
    const path = join(folder(), 'sae');
    await saveSae(path, sample());
    const file = join(path, 'cfg.json');
    writeFileSync(file, readFileSync(file, 'utf8').replace('"hook_name"', '"hook_nane"'));
    await expect(loadSae(path)).rejects.toMatchObject({ remedy: 'Did you mean "hook_name"?' });
    writeFileSync(file, '{"format":');
    await expect(loadSae(path)).rejects.toMatchObject({ code: 'E_SAE_CONFIG' });
    rmSync(file);
    await expect(loadSae(path)).rejects.toMatchObject({ code: 'E_SAE_MISSING' });
  });

  it('refuses weights that are cut off, changed, or of another size', async () => {
    const path = join(folder(), 'sae');
    await saveSae(path, sample());
    const file = join(path, 'sae_weights.safetensors');
    const bytes = readFileSync(file);
    for (let length = 0; length < bytes.length; length += 37) {
      writeFileSync(file, bytes.subarray(0, length));
      await expect(loadSae(path)).rejects.toMatchObject({ code: expect.stringMatching(/^E_CKPT_/) });
    }
    const changed = Buffer.from(bytes);
    changed[bytes.length - 2] ^= 1;
    writeFileSync(file, changed);
    await expect(loadSae(path)).rejects.toMatchObject({
      code: 'E_SAE_WEIGHTS',
      message: expect.stringContaining('SHA-256'),
    });

    const config = join(path, 'cfg.json');
    const text = readFileSync(config, 'utf8');
    writeFileSync(file, bytes);
    writeFileSync(config, text.replace('"d_sae": 9', '"d_sae": 10'));
    await expect(loadSae(path)).rejects.toMatchObject({
      code: 'E_SAE_WEIGHTS',
      message: expect.stringContaining('has shape [9,5], expected [10,5]'),
    });
    writeFileSync(config, text.replace('"float32"', '"float16"'));
    await expect(loadSae(path)).rejects.toMatchObject({ code: 'E_SAE_WEIGHTS' });

    const names = bytes.toString('latin1').replace('decoder.weight', 'decoder.weighs');
    writeFileSync(file, names, 'latin1');
    writeFileSync(config, text.replace(/"weights_sha256": "[^"]*"/, '"weights_sha256": null'));
    await expect(loadSae(path)).rejects.toMatchObject({ code: 'E_SAE_WEIGHTS' });
  });

  it('refuses weights that are not finite', async () => {
    const path = join(folder(), 'sae');
    await saveSae(path, sample());
    const file = join(path, 'sae_weights.safetensors');
    const bytes = readFileSync(file);
    bytes.writeFloatLE(Number.NaN, bytes.length - 4);
    writeFileSync(file, bytes);
    const config = join(path, 'cfg.json');
    const text = readFileSync(config, 'utf8');
    writeFileSync(config, text.replace(/"weights_sha256": "[^"]*"/, `"weights_sha256": "${sha256(bytes)}"`));
    await expect(loadSae(path)).rejects.toMatchObject({
      code: 'E_SAE_CONFIG',
      message: expect.stringContaining('NaN'),
    });
  });
});

describe('an autoencoder and a network', () => {
  it('match where tap, channels, architecture and weights agree or are unknown', () => {
    const model = smallModel();
    expect(tapChannels(model, 'layer2')).toBe(16);
    matchSae(model, randomSae(model, 'layer2'));
    matchSae(model, { ...randomSae(model, 'layer2'), modelHash: 'cd'.repeat(32) });
    model.describe({ weightsHash: 'cd'.repeat(32) });
    matchSae(model, { ...randomSae(model, 'layer2'), modelHash: 'cd'.repeat(32) });
    model.dispose();
  });

  it('that do not belong together are refused, naming both', () => {
    const model = smallModel();
    model.describe({ weightsHash: 'cd'.repeat(32) });
    const sae = randomSae(model, 'layer2');
    const faults: [Partial<Sae>, RegExp][] = [
      [{ modelHash: 'ef'.repeat(32) }, /efefefefefef….*cdcdcdcdcdcd…/],
      [{ meta: { ...sae.meta, arch: 'resnet50' } }, /trained on resnet50, the network is cifar10_resnet_20/],
      [{ tap: 'layer9' }, /tap "layer9", the network cifar10_resnet_20 has: .*layer2/],
      [{ tap: 'layer3' }, /16 channels, the network cifar10_resnet_20 has 32 at tap layer3/],
    ];
    for (const [change, message] of faults) {
      expect(() => matchSae(model, { ...sae, ...change })).toThrow(
        expect.objectContaining({ code: 'E_SAE_MISMATCH', message: expect.stringMatching(message) }),
      );
    }
    expect(() => tapChannels(model, 'laier2')).toThrow(/the nearest is "layer2"/);
    model.dispose();
  });
});

const goldens = goldensFolder();
const released = goldens === null ? '' : join(goldens, 'fact', 'checkpoints');
describe.skipIf(!existsSync(released))("FaCT's released layout (skipped without goldens)", () => {
  it.each(['sae_final.pt', 'sae_best.pt', 'sae_best_legacy.pt'])(
    '%s is read, strides honoured',
    async (file) => {
      const sae = await saeFromFactCheckpoint(join(released, file), { tap: 'layer4', arch: 'resnet50_long' });
      expect(sae).toMatchObject({ channels: 6, latents: 10, k: 3, tap: 'layer4', modelHash: null });
      expect(sae.meta.arch).toBe('resnet50_long');
      const hash = (t: tf.Tensor) => sha256(new Uint8Array(Float32Array.from(t.dataSync()).buffer));
      expect(hash(sae.encoder)).toBe('837ec3d9eaa4b2940a402fec9c7e9078b574f003d87566da0151f9d2e7ac361d');
      expect(hash(sae.decoder)).toBe('606c53e055e624f4549257804ffa047e2187926cfcdabd53a2895c9c987b8af6');
      expect(Object.keys((sae.meta.training.log ?? {}) as object).includes('val_acc')).toBe(
        file !== 'sae_final.pt',
      );
      sae.dispose();
    },
  );
});
