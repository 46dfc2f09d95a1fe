/**
 * Standard ResNets with the names of torchvision: plain convolutions without bias, batch norm, ReLU, max pooling, a
 * linear classifier on the average. Baselines and sources of B-cosification; no explanation mode.
 *
 *     input -> conv1 -> bn1 -> relu -> maxpool -> layer1..S -> avgpool -> fc -> logits
 */
import { BatchNorm2d } from '../layers/batchNorm2d.js';
import { Conv2d, type Conv2dConfig } from '../layers/conv2d.js';
import { GlobalAvgPool2d } from '../layers/globalAvgPool2d.js';
import { Linear } from '../layers/linear.js';
import { MaxPool2d } from '../layers/maxPool2d.js';
import { Relu } from '../layers/relu.js';
import { type Architecture, chain, LayerList, straight, sumOf, type Wiring } from './architecture.js';
import { logits, normalisedInput } from './ends.js';
import type { FamilyOptions } from './options.js';

/** Channels out of a bottleneck block per channel of its stage. */
const BOTTLENECK_EXPANSION = 4;

export interface StandardBlockOptions {
  readonly block: 'basic' | 'bottleneck';
  readonly inChannels: number;
  /** Channels of the stage; a bottleneck puts out four times as many. */
  readonly planes: number;
  readonly stride: number;
  readonly seed: number;
}

function blockChannels(block: 'basic' | 'bottleneck', planes: number): number {
  return block === 'basic' ? planes : planes * BOTTLENECK_EXPANSION;
}

/** A convolution and its norm. */
function convNorm(
  list: LayerList,
  conv: string,
  norm: string,
  config: Omit<Conv2dConfig, 'name' | 'bias'>,
): Wiring {
  return chain(
    list.add(new Conv2d({ name: conv, bias: false, ...config })),
    list.add(new BatchNorm2d({ name: norm })),
  );
}

/** One residual block, ReLU after the sum; the stride sits on the 3x3 convolution. */
export function standardBlock(list: LayerList, path: string, o: StandardBlockOptions): Wiring {
  const { seed, stride } = o;
  const outChannels = blockChannels(o.block, o.planes);
  const part = (index: number, config: Omit<Conv2dConfig, 'name' | 'bias' | 'seed'>): Wiring =>
    convNorm(list, `${path}.conv${index}`, `${path}.bn${index}`, { ...config, seed });
  const relu = (index: number): Wiring => list.add(new Relu({ name: `${path}.relu${index}` }));
  const body =
    o.block === 'basic'
      ? [
          part(1, { outChannels, kernel: 3, stride, padding: 1 }),
          relu(1),
          part(2, { outChannels, kernel: 3, padding: 1 }),
        ]
      : [
          part(1, { outChannels: o.planes }),
          relu(1),
          part(2, { outChannels: o.planes, kernel: 3, stride, padding: 1 }),
          relu(2),
          part(3, { outChannels }),
        ];
  const changes = stride !== 1 || o.inChannels !== outChannels;
  const shortcut = changes
    ? convNorm(list, `${path}.downsample.0`, `${path}.downsample.1`, { outChannels, stride, seed })
    : straight;
  return chain(sumOf(`${path}.add`, chain(...body), shortcut), relu(3));
}

/** Describes a standard ResNet; `seed` of its initial weights, `initialise` false leaves them zero. */
export function standardResNet(
  o: FamilyOptions<'standardResnet'>,
  seed: number,
  initialise: boolean,
): Architecture {
  const list = new LayerList(initialise);
  const stem = { name: 'conv1', outChannels: o.width, kernel: 7, stride: 2, padding: 3, bias: false, seed };
  const stages = [
    normalisedInput(list),
    list.stage('conv1', () => list.add(new Conv2d(stem))),
    list.stage('bn1', () => list.add(new BatchNorm2d({ name: 'bn1' }))),
    list.stage('relu', () => list.add(new Relu({ name: 'relu' }))),
    list.stage('maxpool', () =>
      list.add(new MaxPool2d({ name: 'maxpool', kernel: 3, stride: 2, padding: 1 })),
    ),
  ];
  let inChannels = o.width;
  o.blocks.forEach((count, stage) => {
    const planes = o.width * 2 ** stage;
    const block = (i: number): Wiring => {
      const stride = stage > 0 && i === 0 ? 2 : 1;
      const options = { block: o.block, inChannels, planes, stride, seed };
      inChannels = blockChannels(o.block, planes);
      return standardBlock(list, `layer${stage + 1}.${i}`, options);
    };
    stages.push(
      list.stage(`layer${stage + 1}`, () => chain(...Array.from({ length: count }, (_, i) => block(i)))),
    );
  });
  const fc = { name: 'fc', outFeatures: o.numClasses, initial: 'uniform-fan-in', seed } as const;
  stages.push(
    list.stage('avgpool', () => list.add(new GlobalAvgPool2d({ name: 'avgpool' }))),
    list.stage('fc', () => list.add(new Linear(fc))),
    logits(list, '', o),
  );
  return { stages, taps: o.blocks.map((_, stage) => `layer${stage + 1}`), head: 'fc' };
}
