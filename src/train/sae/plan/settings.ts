import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type ZooSae, zooEntries } from '../../../convert/zoo/catalogue.js';
import { loadSaeConfig, type SaeTrainConfig } from '../config.js';
import { positionsPerImage } from '../features/sampling.js';
import type { TapSize } from '../features/tapReader.js';

/** Pictures of ImageNet's training split, its classes, and how many of each class the recipes hold out. */
export const IMAGENET = { images: 1_281_167, classes: 1000, validation: 50_000 } as const;

/** An autoencoder to be trained: where, how large, by which recipe. */
export interface PlanSetting extends TapSize {
  readonly network: string;
  readonly config: SaeTrainConfig;
}

/** Positions of a picture of 224 x 224 at the published autoencoders' taps. */
const POSITIONS: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  densenet121_long: { 'features.norm5': 49, 'features.transition3': 49, 'features.transition2': 196 },
  resnet50_long: { layer4: 49, layer3: 196, layer2: 784 },
  vitc_s_patch1_14: {
    'transformer.encoder_10': 196,
    'transformer.encoder_9': 196,
    'transformer.encoder_8': 196,
    'transformer.encoder_4': 196,
  },
};

/** The recipe of a published autoencoder, as it comes with this package. */
function recipeOf(sae: ZooSae, changes: Readonly<Record<string, unknown>>): SaeTrainConfig {
  const root = resolve(dirname(fileURLToPath(import.meta.url)), '..', '..', '..', '..');
  return loadSaeConfig(
    resolve(root, 'configs', 'sae', 'imagenet', sae.file.replace(/\.pt$/, '.yaml')),
    changes,
  );
}

/** What an autoencoder at a tap of these sizes will be, by a recipe. */
export function planSetting(
  network: string,
  size: Omit<TapSize, 'kept'>,
  config: SaeTrainConfig,
): PlanSetting {
  const kept = positionsPerImage(config.features.positions, size.channels, size.positions);
  return { ...size, kept, network, config };
}

/**
 * The ten published settings with their recipes, `changes` by dotted key on top (config.ts).
 * Throws FactError E_CONFIG.
 */
export function publishedSettings(changes: Readonly<Record<string, unknown>> = {}): PlanSetting[] {
  return zooEntries()
    .flatMap(({ saes }) => saes)
    .map((sae) => {
      const positions = POSITIONS[sae.network]?.[sae.tap];
      if (positions === undefined) throw new TypeError(`positions of ${sae.network} at ${sae.tap}`);
      const size = { tap: sae.tap, channels: sae.channels, positions };
      return planSetting(sae.network, size, recipeOf(sae, changes));
    });
}
