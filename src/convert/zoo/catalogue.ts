/**
 * What is published, as data: the networks' facts are those of the registry (`models/published.ts`), the autoencoders of
 * FaCT and the addresses stand here.
 */
import { FactError } from '../../core/errors.js';
import { nearestName } from '../../core/nearest.js';
import type { ModelEntry } from '../../models/modelEntry.js';
import { type Published, WEIGHTS_LICENCE } from '../../models/published.js';
import { listModels, modelEntry } from '../../models/registry.js';

/** Release of the networks' weight files, each `NAME-HASH.pth` with the first ten digits of its SHA-256. */
export const WEIGHTS_RELEASE = 'https://github.com/B-cos/B-cos-v2/releases/download/v0.0.1-weights';
/** Release of FaCT's autoencoders; no hashes were published. */
export const SAE_TAG = 'v0.1';
export const SAE_RELEASE = `https://github.com/m-parchami/FaCT/releases/download/${SAE_TAG}`;

/** A published autoencoder of FaCT. */
export interface ZooSae {
  /** Network that it belongs to. */
  readonly network: string;
  /** Stage of the network, by this package's name. */
  readonly tap: string;
  readonly channels: number;
  /** Concepts, and how many of them stay at a position. */
  readonly latents: number;
  readonly k: number;
  readonly file: string;
  readonly url: string;
  /** Bytes of its two matrices; the file is a little longer. */
  readonly tensorBytes: number;
}

/** A published network. */
export interface ZooEntry {
  readonly name: string;
  readonly entry: ModelEntry;
  readonly published: Published;
  /** First digits of the file's SHA-256. */
  readonly hashPrefix: string;
  readonly url: string;
  /** Bytes of the trained values; running statistics and names come on top. */
  readonly parameterBytes: number;
  readonly licence: string;
  readonly saes: readonly ZooSae[];
}

const TOKENS = '0.transformer.encoder_';

/** Network, stage by FaCT's name, channels, latents, k, learning rate (a part of the file's name). */
const SAES: readonly (readonly [string, string, number, number, number, string])[] = [
  ['densenet121_long', 'features.norm5', 1024, 16384, 16, '0.001'],
  ['densenet121_long', 'features.transition3', 512, 16384, 32, '0.001'],
  ['densenet121_long', 'features.transition2', 256, 8192, 32, '0.0001'],
  ['resnet50_long', 'layer4', 2048, 16384, 16, '0.001'],
  ['resnet50_long', 'layer3', 1024, 16384, 32, '0.001'],
  ['resnet50_long', 'layer2', 512, 8192, 32, '0.001'],
  ['vitc_s_patch1_14', `${TOKENS}10`, 384, 8192, 32, '0.001'],
  ['vitc_s_patch1_14', `${TOKENS}9`, 384, 16384, 32, '0.0001'],
  ['vitc_s_patch1_14', `${TOKENS}8`, 384, 16384, 32, '0.001'],
  ['vitc_s_patch1_14', `${TOKENS}4`, 384, 16384, 64, '0.0001'],
];

function zooSae([network, layer, channels, latents, k, rate]: (typeof SAES)[number]): ZooSae {
  const file = `${SAE_TAG}-${network}-${layer}-BiasFreeTopK-K${latents}-S${k}-LR${rate}.pt`;
  return {
    network,
    // The published ViTs are wrapped, so PyTorch's names begin with "0."; stages here do not.
    tap: layer.replace(/^0\./, ''),
    channels,
    latents,
    k,
    file,
    url: `${SAE_RELEASE}/${file}`,
    tensorBytes: 2 * 4 * channels * latents,
  };
}

const ALL_SAES: readonly ZooSae[] = SAES.map(zooSae);

/** The hash digits in a weight file's name. Throws TypeError where there are none: the data is wrong. */
function hashOf(file: string): string {
  const match = /-([0-9a-f]{10})\.pth$/.exec(file);
  if (match === null) throw new TypeError(`the zoo's file ${file} has no hash in its name`);
  return match[1];
}

/** Every published network, in the registry's order. */
export function zooEntries(): ZooEntry[] {
  return listModels().flatMap((entry) => {
    const { published, name } = entry;
    if (published === null) return [];
    return [
      {
        name,
        entry,
        published,
        hashPrefix: hashOf(published.file),
        url: `${WEIGHTS_RELEASE}/${published.file}`,
        parameterBytes: 4 * published.parameters,
        licence: WEIGHTS_LICENCE,
        saes: ALL_SAES.filter((sae) => sae.network === name),
      },
    ];
  });
}

/**
 * The published network of that name; ViTs may leave out the patch (`vitc_s`). Throws FactError E_ZOO_UNKNOWN with the
 * nearest one.
 */
export function zooEntry(name: string): ZooEntry {
  const entries = zooEntries();
  const found = entries.find(
    (entry) => entry.name === name || entry.name.replace(/_patch\d+_\d+$/, '') === name,
  );
  if (found !== undefined) return found;
  const names = entries.map((entry) => entry.name);
  const nearest = nearestName(name, names);
  const isKnown = listModels().some((entry) => entry.name === name);
  throw new FactError({
    code: 'E_ZOO_UNKNOWN',
    message: isKnown
      ? `no weights of ${modelEntry(name).name} are published`
      : `no network called "${name}" is published${nearest === undefined ? '' : `; the nearest is "${nearest}"`}`,
    remedy: '`fact zoo list` shows all that are.',
    exitCode: 2,
  });
}

/**
 * Published autoencoders of a network by what a user names: taps (with or without PyTorch's leading "0."), `all`, or
 * `none`. Throws FactError E_ZOO_UNKNOWN.
 */
export function zooSaes(entry: ZooEntry, wanted: readonly string[]): readonly ZooSae[] {
  if (wanted.includes('none') || wanted.length === 0) return [];
  if (wanted.includes('all') && entry.saes.length > 0) return entry.saes;
  return [...new Set(wanted)].map((name) => {
    const found = entry.saes.find((sae) => sae.tap === name.replace(/^0\./, ''));
    if (found !== undefined) return found;
    const taps = entry.saes.map((sae) => sae.tap);
    throw new FactError({
      code: 'E_ZOO_UNKNOWN',
      message: `no autoencoder of ${entry.name} is published${name === 'all' ? '' : ` at "${name}"`}`,
      remedy:
        taps.length > 0
          ? `There are some at: ${taps.join(', ')}.`
          : '`fact zoo list` shows which networks have some.',
      exitCode: 2,
    });
  });
}
