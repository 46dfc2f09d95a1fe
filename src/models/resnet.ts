/**
 * B-cos ResNets and ResNeXts with the names of torchvision: B-cos convolutions, no activation functions, average in
 * place of max pooling, and a 1x1 B-cos convolution before the global average as classifier.
 *
 *     input -> conv1 -> bn1 -> (pool) -> layer1..S -> fc -> global average -> logit layer
 */
import { AvgPool2d } from '../layers/avgPool2d.js';
import { BcosConv2d, type BcosConv2dConfig } from '../layers/bcosConv2d.js';
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

/** Channels out of a bottleneck block per channel of its stage. */
const BOTTLENECK_EXPANSION = 4;

export interface BlockOptions extends NormOptions {
  readonly block: 'basic' | 'bottleneck';
  readonly inChannels: number;
  /** Channels of the stage; a bottleneck puts out four times as many. */
  readonly planes: number;
  readonly stride: number;
  readonly groups: number;
  readonly groupWidth: number;
  readonly b: number;
  readonly maxOut: number;
  readonly stochasticDepth: number;
  readonly seed: number;
}

/** Makers of named convolutions and norms that share a network's options and register in state-dict order. */
class Parts {
  constructor(
    private readonly list: LayerList,
    private readonly options: NormOptions & { b: number; maxOut: number; seed: number },
  ) {}

  conv(name: string, config: Omit<BcosConv2dConfig, 'name'>): Wiring {
    const { b, maxOut, seed } = this.options;
    return this.list.add(new BcosConv2d({ name, b, maxOut, seed, ...config }));
  }

  norm(name: string): Wiring {
    const layer = createNorm(name, this.options);
    return layer === null ? straight : this.list.add(layer);
  }
}

/** Channels out of a block. */
function blockChannels(block: 'basic' | 'bottleneck', planes: number): number {
  return block === 'basic' ? planes : planes * BOTTLENECK_EXPANSION;
}

/** One residual block; the stride sits on the 3x3 convolution, the shortcut is a 1x1 where the shape changes. */
export function residualBlock(list: LayerList, path: string, o: BlockOptions): Wiring {
  const at = (name: string): string => (path === '' ? name : `${path}.${name}`);
  const parts = new Parts(list, o);
  const outChannels = blockChannels(o.block, o.planes);
  const body: Wiring[] = [];
  const add = (index: number, config: Omit<BcosConv2dConfig, 'name'>): void => {
    body.push(parts.conv(at(`conv${index}`), config), parts.norm(at(`bn${index}`)));
  };
  if (o.block === 'basic') {
    add(1, { outChannels, kernel: 3, stride: o.stride, padding: 1 });
    add(2, { outChannels, kernel: 3, padding: 1 });
  } else {
    const inner = Math.floor((o.planes * o.groupWidth) / 64) * o.groups;
    add(1, { outChannels: inner });
    add(2, { outChannels: inner, kernel: 3, stride: o.stride, padding: 1, groups: o.groups });
    add(3, { outChannels });
  }
  if (o.stochasticDepth > 0) {
    const depth = new StochasticDepth({ name: at('stochastic_depth'), probability: o.stochasticDepth });
    body.push(list.add(depth));
  }
  const changes = o.stride !== 1 || o.inChannels !== outChannels;
  const shortcut = changes
    ? chain(parts.conv(at('downsample.0'), { outChannels, stride: o.stride }), parts.norm(at('downsample.1')))
    : straight;
  return sumOf(at('add'), chain(...body), shortcut);
}

/** The stem's stages: `conv1`, `bn1` where there is a norm, `pool` where there is one. */
function stemStages(list: LayerList, parts: Parts, o: FamilyOptions<'resnet'>): Stage[] {
  const [kernel, stride, padding] = { imagenet: [7, 2, 3], cifar: [3, 1, 1], small: [3, 2, 1] }[o.stem];
  const stages = [
    list.stage('conv1', () => parts.conv('conv1', { outChannels: o.width, kernel, stride, padding })),
  ];
  if (o.norm !== 'identity') stages.push(list.stage('bn1', () => parts.norm('bn1')));
  if (o.stem !== 'cifar') {
    const pool = { name: 'pool', kernel: 3, stride: 2, padding: 1 };
    stages.push(list.stage('pool', () => list.add(new AvgPool2d(pool))));
  }
  return stages;
}

/** Describes a ResNet; `seed` of its initial weights, `initialise` false leaves them zero. */
export function resnet(o: FamilyOptions<'resnet'>, seed: number, initialise: boolean): Architecture {
  const list = new LayerList(initialise);
  const parts = new Parts(list, { ...o, seed });
  const stages = [bcosInput(list), ...stemStages(list, parts, o)];

  const total = o.blocks.reduce((sum, count) => sum + count, 0);
  let inChannels = o.width;
  let made = 0;
  const blockOf = (stage: number, i: number): Wiring => {
    const planes = o.width * 2 ** stage;
    const stochasticDepth = total > 1 ? (o.stochasticDepth * made++) / (total - 1) : 0;
    const stride = stage > 0 && i === 0 ? 2 : 1;
    const options = { ...o, inChannels, planes, stride, stochasticDepth, seed };
    inChannels = blockChannels(o.block, planes);
    return residualBlock(list, `layer${stage + 1}.${i}`, options);
  };
  o.blocks.forEach((count, stage) => {
    const blocks = (): Wiring[] => Array.from({ length: count }, (_, i) => blockOf(stage, i));
    stages.push(list.stage(`layer${stage + 1}`, () => chain(...blocks())));
  });

  stages.push(
    list.stage('fc', () => parts.conv('fc', { outChannels: o.numClasses })),
    pooledLogits(list, '', o),
  );
  return { stages, taps: o.blocks.map((_, stage) => `layer${stage + 1}`), head: 'fc' };
}
