import { Random } from '../../src/core/random.js';
import type { ExplainImage } from '../../src/explain/explanation.js';
import { createSae, type Sae, tapChannels } from '../../src/explain/sae.js';
import { initialSaeWeights } from '../../src/layers/topKSae.js';
import type { BcosModel } from '../../src/models/bcosModel.js';
import { type CreateOptions, createModel } from '../../src/models/createModel.js';

export const CLASS_NAMES = ['tabby', 'basketball', 'volleyball', 'school bus', 'espresso'];
export const SIZE = 32;

/** A small random network: three stages of 8, 16 and 32 channels, five classes, 32 x 32. */
export function smallModel(options: CreateOptions = {}): BcosModel {
  return createModel('cifar10_resnet_20', {
    width: 8,
    blocks: [1, 1, 1],
    numClasses: CLASS_NAMES.length,
    classNames: CLASS_NAMES,
    inputSize: SIZE,
    preprocessing: { resize: SIZE, crop: [SIZE, SIZE] },
    seed: 3,
    ...options,
  });
}

/** A random autoencoder for a tap of a model. */
export function randomSae(model: BcosModel, tap: string, latents = 64, k = 4, seed = 1): Sae {
  const channels = tapChannels(model, tap);
  return createSae({
    channels,
    latents,
    k,
    ...initialSaeWeights(channels, latents, seed),
    tap,
    modelHash: model.spec.weightsHash,
    meta: { arch: model.spec.arch },
  });
}

/** A random smooth picture. */
export function randomImage(seed: number, trueClass: number | null = null, size = SIZE): ExplainImage {
  const random = new Random(7, seed);
  const waves = Array.from({ length: 9 }, () => random.uniform(0.05, 0.6));
  const pixels = new Uint8Array(size * size * 3);
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) {
      for (let c = 0; c < 3; c++) {
        const v =
          Math.sin(x * waves[c] + 3 * waves[c + 3]) * Math.cos(y * waves[c + 3]) +
          Math.sin((x + y) * waves[c + 6]);
        pixels[(y * size + x) * 3 + c] = Math.round(127.5 + 60 * v);
      }
    }
  }
  return { name: `image-${seed}`, pixels, height: size, width: size, original: null, trueClass };
}
