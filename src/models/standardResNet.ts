/**
 * ResNets with the wiring and the names of torchvision: standard ones (plain convolutions without bias, batch norm, ReLU,
 * max pooling, a linear classifier on the average; no explanation mode) and their B-cosified twins (standardParts.ts).
 *
 *     input -> conv1 -> bn1 -> relu -> maxpool -> layer1..S -> avgpool -> fc -> logits
 */
import { Relu } from '../layers/relu.js';
import { type Architecture, chain, LayerList, straight, sumOf, type Wiring } from './architecture.js';
import type { FamilyOptions } from './options.js';
import { bcosifiedParts, type ConvOptions, STANDARD_PARTS, type StandardParts } from './standardParts.js';

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

/** One residual block, ReLU after the sum; the stride sits on the 3x3 convolution. */
export function standardBlock(
  list: LayerList,
  path: string,
  o: StandardBlockOptions,
  parts: StandardParts = STANDARD_PARTS,
): Wiring {
  const { seed, stride } = o;
  const outChannels = blockChannels(o.block, o.planes);
  const convNorm = (conv: string, norm: string, config: ConvOptions): Wiring =>
    chain(parts.conv(list, `${path}.${conv}`, { ...config, seed }), parts.norm(list, `${path}.${norm}`));
  const part = (index: number, config: ConvOptions): Wiring => convNorm(`conv${index}`, `bn${index}`, config);
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
  const shortcut = changes ? convNorm('downsample.0', 'downsample.1', { outChannels, stride }) : straight;
  return chain(sumOf(`${path}.add`, chain(...body), shortcut), relu(3));
}

type Shape = Pick<
  FamilyOptions<'standardResnet'>,
  'width' | 'blocks' | 'block' | 'numClasses' | 'logitBias' | 'temperature'
>;

function describe(o: Shape, parts: StandardParts, seed: number, initialise: boolean): Architecture {
  const list = new LayerList(initialise);
  const stem = { outChannels: o.width, kernel: 7, stride: 2, padding: 3, seed };
  const stages = [
    parts.input(list),
    list.stage('conv1', () => parts.conv(list, 'conv1', stem)),
    list.stage('bn1', () => parts.norm(list, 'bn1')),
    list.stage('relu', () => list.add(new Relu({ name: 'relu' }))),
    list.stage('maxpool', () => parts.stemPool(list, 'maxpool')),
  ];
  let inChannels = o.width;
  o.blocks.forEach((count, stage) => {
    const planes = o.width * 2 ** stage;
    const block = (i: number): Wiring => {
      const stride = stage > 0 && i === 0 ? 2 : 1;
      const options = { block: o.block, inChannels, planes, stride, seed };
      inChannels = blockChannels(o.block, planes);
      return standardBlock(list, `layer${stage + 1}.${i}`, options, parts);
    };
    stages.push(
      list.stage(`layer${stage + 1}`, () => chain(...Array.from({ length: count }, (_, i) => block(i)))),
    );
  });
  stages.push(...parts.head(list, 'fc', { ...o, seed }));
  return { stages, taps: o.blocks.map((_, stage) => `layer${stage + 1}`), head: 'fc' };
}

/** Describes a standard ResNet; `seed` of its initial weights, `initialise` false leaves them zero. */
export function standardResNet(
  o: FamilyOptions<'standardResnet'>,
  seed: number,
  initialise: boolean,
): Architecture {
  return describe(o, STANDARD_PARTS, seed, initialise);
}

/** The same as a B-cosified network. */
export function bcosifiedResNet(
  o: FamilyOptions<'bcosifiedResnet'>,
  seed: number,
  initialise: boolean,
): Architecture {
  return describe(o, bcosifiedParts(o), seed, initialise);
}
