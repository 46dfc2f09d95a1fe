import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { NamedTensor } from '../../src/convert/dtypes.js';
import { factSaeOf, readFactSae } from '../../src/convert/factSae.js';
import { type Checkpoint, readCheckpoint } from '../../src/convert/readCheckpoint.js';
import { goldensFolder } from '../goldens/format.js';

const goldens = goldensFolder();
const at = (name: string): string => join(goldens ?? '', 'fact', 'checkpoints', name);

describe.skipIf(goldens === null)('autoencoders in the layout of FaCT (needs the goldens)', () => {
  it.each(['sae_best.pt', 'sae_best_legacy.pt', 'sae_final.pt'])(
    '%s is read, strides and all',
    async (name) => {
      const sae = await readFactSae(at(name));
      expect(sae).toMatchObject({ channels: 6, latents: 10 });
      const encoder = (await readCheckpoint(at(name))).tensors.find((t) => t.name === 'encoder.weight');
      expect(new Uint8Array(sae.encoder.buffer)).toEqual(new Uint8Array(encoder?.bytes ?? []));
      expect(sae.decoder.length).toBe(60);
    },
  );

  it('the log is read where the file holds one', async () => {
    const { log } = await readFactSae(at('sae_best.pt'));
    expect(log.get('frac_variance_explained')).toBe(0.8125);
    expect(log.get('l0')).toBe(3);
    expect(log.get('val_acc')).toBeTypeOf('number');
    expect((await readFactSae(at('sae_final.pt'))).log.size).toBe(0);
  });

  it('safetensors hold k in their metadata', async () => {
    expect((await readFactSae(at('sae.safetensors'))).k).toBe(3);
  });
});

describe('an autoencoder of another layout', () => {
  const matrix = (name: string, shape: number[]): NamedTensor => ({
    name,
    dtype: 'float32',
    shape,
    bytes: new Uint8Array(4 * shape.reduce((p, d) => p * d, 1)),
  });
  const checkpoint = (tensors: NamedTensor[], k = '2'): Checkpoint => ({
    format: 'safetensors',
    tensors,
    tree: null,
    metadata: new Map([['k', k]]),
    skipped: [],
    fileBytes: 0,
  });
  const good = [matrix('encoder.weight', [5, 3]), matrix('decoder.weight', [3, 5])];

  it.each<[string, NamedTensor[], string, string]>([
    ['without an encoder', [good[1]], '2', 'no tensor "encoder.weight"'],
    ['with a transposed decoder', [good[0], matrix('decoder.weight', [5, 3])], '2', 'expected [3,5]'],
    ['with one axis', [matrix('encoder.weight', [15]), good[1]], '2', 'two axes'],
    ['with a bias', [...good, matrix('b_dec', [3])], '2', 'bias'],
    ['with k above its latents', good, '6', 'k is 6'],
    ['with k that is no number', good, 'x', 'k is NaN'],
  ])('is refused: %s', (_what, tensors, k, message) => {
    expect(() => factSaeOf(checkpoint(tensors, k), 'sae')).toThrowError(
      expect.objectContaining({ code: 'E_SAE_LAYOUT', message: expect.stringContaining(message) }),
    );
  });
});
