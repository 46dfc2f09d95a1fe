import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  contributionCutoff,
  contributionMap,
  gradientToImage,
  type OpacityScale,
} from '../../src/explain/picture/gradientPicture.js';
import { close, type GoldenCheck, type GoldenSuite } from './checks.js';
import { folderSuite } from './folderSuite.js';
import { type GoldenTensor, readFactCase, readGoldenSafetensors } from './format.js';

/** [C, H, W] of one image (number `n` of a batch) to [H, W, C]. */
export function channelsLast(tensor: GoldenTensor, n: number): Float64Array {
  const [channels, height, width] = tensor.shape.slice(-3);
  const plane = height * width;
  const data = tensor.data as Float32Array;
  const out = new Float64Array(channels * plane);
  for (let c = 0; c < channels; c++) {
    for (let p = 0; p < plane; p++) out[p * channels + c] = data[(n * channels + c) * plane + p];
  }
  return out;
}

/** The options of each `rgba_*` picture of fact/explain, by what follows the first underscore after its kind. */
const STYLES: Record<string, { smooth?: number; alphaPercentile?: number; scale?: OpacityScale }> = {
  smooth3: { smooth: 3 },
  smooth0_p90: { smooth: 0, alphaPercentile: 90 },
  smooth15: { smooth: 15, alphaPercentile: 99.5 },
  unscaled: { smooth: 5, scale: 'none' },
  fixed: { smooth: 3, scale: 0.01 },
};

/** Pictures of the stored gradients of an explanation case. */
function rgbaChecks(path: string): GoldenCheck[] {
  const { params, tensors } = readFactCase(path);
  const checks: GoldenCheck[] = [];
  for (const [name, expected] of Object.entries(tensors)) {
    const match = /^rgba_(class|concept)_(.+)$/.exec(name);
    if (match === null) continue;
    const style = STYLES[match[2]];
    if (style === undefined) throw new Error(`${name}: a picture of an unknown kind`);
    const image = channelsLast(tensors.image, match[1] === 'class' ? 0 : params.concepts[0][0]);
    const gradient = channelsLast(tensors[`${match[1]}_gradient`], 0);
    const [height, width] = expected.shape;
    const picture = gradientToImage(image, gradient, height, width, style);
    checks.push(close(name, picture, expected.data as Float32Array, expected.noise));
  }
  return checks;
}

interface LayerCase {
  readonly id: string;
  readonly group: string;
  readonly layer: string;
  readonly config: {
    smooth: number;
    alphaPercentile: number;
    contributionPercentile: number;
    contributionCutoff: number;
  };
  readonly noise?: Record<string, number>;
}

function layerChecks(folder: string, { id, group, config, noise }: LayerCase): GoldenCheck[] {
  const tensors = readGoldenSafetensors(join(folder, 'bcos/layers', `${group}.safetensors`));
  const image = channelsLast(tensors[`${id}:image`], 0);
  const gradient = channelsLast(tensors[`${id}:linear_mapping`], 0);
  const rgba = tensors[`${id}:rgba`];
  const map = contributionMap(image, gradient);
  const expectedMap = tensors[`${id}:contribution_map`].data as Float32Array;
  const picture = gradientToImage(image, gradient, rgba.shape[0], rgba.shape[1], config);
  const cutoff = contributionCutoff(map, config.contributionPercentile);
  return [
    close('rgba', picture, rgba.data as Float32Array, noise?.rgba),
    close('contribution_map', map, expectedMap),
    close('cutoff', [cutoff], [config.contributionCutoff]),
  ];
}

/** Pictures of gradients among the layers' goldens. */
export const layerPictureSuite: GoldenSuite = {
  name: 'bcos/pictures',
  part: 'bcos/layers.json',
  cases: (folder) =>
    (JSON.parse(readFileSync(join(folder, 'bcos/layers.json'), 'utf8')).cases as LayerCase[])
      .filter((c) => c.layer === 'gradientToImage')
      .map((c) => ({ name: c.id, run: async () => layerChecks(folder, c) })),
};

/** Pictures of gradients among the explanations' goldens. */
export const explanationPictureSuite = folderSuite('fact/explain', rgbaChecks, 'fact/pictures');
