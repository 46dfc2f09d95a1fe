/**
 * B-cos ConvNeXts with the names of the published weights: the patch convolution and its norm are `features.0` and
 * `features.1`, so the stages are `features.2/4/6/8` and the steps between them `features.3/5/7`.
 */
import { BcosConv2d, type BcosConv2dConfig } from '../layers/bcosConv2d.js';
import { LayerScale } from '../layers/layerScale.js';
import { StochasticDepth } from '../layers/stochasticDepth.js';
import {
  type Architecture,
  chain,
  LayerList,
  type Stage,
  straight,
  sumOf,
  type Wiring,
} from './architecture.js';
import { bcosInput, pooledLogits } from './ends.js';
import { createNorm, type NormOptions } from './normFactory.js';
import type { FamilyOptions } from './options.js';

/** Channels inside a block per channel of its stage. */
const EXPANSION = 4;

export interface ConvNeXtOptions extends NormOptions {
  /** Channels and blocks of each stage. */
  readonly stages: readonly { readonly channels: number; readonly blocks: number }[];
  readonly numClasses: number;
  readonly b: number;
  readonly maxOut: number;
  readonly stochasticDepth: number;
  readonly logitBias: number | null;
  readonly temperature: number | null;
  readonly seed: number;
}

type BlockOptions = NormOptions & Pick<ConvNeXtOptions, 'b' | 'maxOut' | 'seed' | 'stochasticDepth'>;

function conv(
  list: LayerList,
  name: string,
  o: BlockOptions,
  config: Omit<BcosConv2dConfig, 'name'>,
): Wiring {
  return list.add(
    new BcosConv2d({ name, b: o.b, maxOut: o.maxOut, initial: 'normal-0.02', seed: o.seed, ...config }),
  );
}

function norm(list: LayerList, name: string, o: BlockOptions): Wiring {
  const layer = createNorm(name, o);
  return layer === null ? straight : list.add(layer);
}

/** x + layer_scale * (1x1 of 1x1 of norm of depthwise 7x7), one factor a channel. */
export function convNeXtBlock(list: LayerList, path: string, channels: number, o: BlockOptions): Wiring {
  const scale = list.add(new LayerScale({ name: path }));
  const depthwise = { outChannels: channels, kernel: 7, padding: 3, groups: channels };
  const body = [
    conv(list, `${path}.block.0`, o, depthwise),
    norm(list, `${path}.block.1`, o),
    conv(list, `${path}.block.2`, o, { outChannels: EXPANSION * channels }),
    conv(list, `${path}.block.3`, o, { outChannels: channels }),
    scale,
  ];
  if (o.stochasticDepth > 0) {
    const depth = new StochasticDepth({ name: `${path}.stochastic_depth`, probability: o.stochasticDepth });
    body.push(list.add(depth));
  }
  return sumOf(`${path}.add`, chain(...body), straight);
}

/** Stages of a ConvNeXt behind its encoded input; every `path` starts with `prefix`. */
export function convNeXtStages(list: LayerList, prefix: string, o: ConvNeXtOptions): Stage[] {
  const at = (name: string): string => `${prefix}${name}`;
  const stem = { outChannels: o.stages[0].channels, kernel: 4, stride: 4 };
  const stages = [
    list.stage('features.0', () => conv(list, at('features.0'), o, stem)),
    list.stage('features.1', () => norm(list, at('features.1'), o)),
  ];
  const total = o.stages.reduce((sum, stage) => sum + stage.blocks, 0);
  let made = 0;
  let index = 2;
  o.stages.forEach(({ channels, blocks }, i) => {
    const name = `features.${index++}`;
    const block = (j: number): Wiring => {
      const stochasticDepth = total > 1 ? (o.stochasticDepth * made++) / (total - 1) : 0;
      return convNeXtBlock(list, at(`${name}.${j}`), channels, { ...o, stochasticDepth });
    };
    stages.push(list.stage(name, () => chain(...Array.from({ length: blocks }, (_, j) => block(j)))));
    const next = o.stages[i + 1];
    if (next === undefined) return;
    const step = `features.${index++}`;
    const halve = { outChannels: next.channels, kernel: 2, stride: 2 };
    stages.push(
      list.stage(step, () => chain(norm(list, at(`${step}.0`), o), conv(list, at(`${step}.1`), o, halve))),
    );
  });
  stages.push(
    list.stage('classifier.0', () => norm(list, at('classifier.0'), o)),
    list.stage('classifier.1', () => conv(list, at('classifier.1'), o, { outChannels: o.numClasses })),
    pooledLogits(list, prefix, o),
  );
  return stages;
}

/** Describes a ConvNeXt; `seed` of its initial weights, `initialise` false leaves them zero. */
export function convNeXt(o: FamilyOptions<'convnext'>, seed: number, initialise: boolean): Architecture {
  const list = new LayerList(initialise);
  const sizes = o.blocks.map((blocks, i) => ({ channels: o.width * 2 ** i, blocks }));
  const stages = [bcosInput(list), ...convNeXtStages(list, '', { ...o, stages: sizes, seed })];
  return { stages, taps: sizes.map((_, i) => `features.${2 * i + 2}`), head: 'classifier.1' };
}
