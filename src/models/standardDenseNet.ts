/**
 * DenseNets with the wiring and the names of torchvision: standard ones (norm, ReLU, convolution; no explanation mode) and
 * their B-cosified twins (standardParts.ts).
 *
 *     input -> features.conv0 -> norm0 -> relu0 -> pool0 -> denseblock1 -> transition1 -> ... -> norm5 -> relu -> classifier
 */
import * as tf from '@tensorflow/tfjs';
import { AvgPool2d } from '../layers/avgPool2d.js';
import { Relu } from '../layers/relu.js';
import { type Architecture, chain, LayerList, type Wiring } from './architecture.js';
import type { FamilyOptions } from './options.js';
import { bcosifiedParts, type ConvOptions, STANDARD_PARTS, type StandardParts } from './standardParts.js';

type Shape = FamilyOptions<'standardDensenet'>;

/** Describes a DenseNet of these parts. */
function describe(o: Shape, parts: StandardParts, seed: number, initialise: boolean): Architecture {
  const list = new LayerList(initialise);
  /** norm, ReLU, convolution. */
  const step = (norm: string, relu: string, conv: string, config: ConvOptions): Wiring =>
    chain(
      parts.norm(list, norm),
      list.add(new Relu({ name: relu })),
      parts.conv(list, conv, { initial: 'kaiming-fan-in', seed, ...config }),
    );
  const denseLayer = (path: string): Wiring =>
    chain(
      step(`${path}.norm1`, `${path}.relu1`, `${path}.conv1`, { outChannels: o.bottleneck * o.growth }),
      step(`${path}.norm2`, `${path}.relu2`, `${path}.conv2`, {
        outChannels: o.growth,
        kernel: 3,
        padding: 1,
      }),
    );
  const denseBlock = (path: string, layers: number): Wiring => {
    const steps = Array.from({ length: layers }, (_, i): Wiring => {
      const added = denseLayer(`${path}.denselayer${i + 1}`);
      const join = tf.layers.concatenate({ name: `${path}.concat${i + 1}`, axis: -1 });
      return (x) => join.apply([x, added(x)]) as tf.SymbolicTensor;
    });
    return chain(...steps);
  };
  const at = (name: string): string => `features.${name}`;
  const stem = { outChannels: o.width, kernel: 7, stride: 2, padding: 3, seed };
  const stages = [
    parts.input(list),
    list.stage(at('conv0'), () => parts.conv(list, at('conv0'), { initial: 'kaiming-fan-in', ...stem })),
    list.stage(at('norm0'), () => parts.norm(list, at('norm0'))),
    list.stage(at('relu0'), () => list.add(new Relu({ name: at('relu0') }))),
    list.stage(at('pool0'), () => parts.stemPool(list, at('pool0'))),
  ];
  let channels = o.width;
  o.blocks.forEach((layers, i) => {
    const block = at(`denseblock${i + 1}`);
    stages.push(list.stage(block, () => denseBlock(block, layers)));
    channels += layers * o.growth;
    if (i === o.blocks.length - 1) return;
    const path = at(`transition${i + 1}`);
    channels = Math.floor(channels / 2);
    stages.push(
      list.stage(path, () =>
        chain(
          step(`${path}.norm`, `${path}.relu`, `${path}.conv`, { outChannels: channels }),
          list.add(new AvgPool2d({ name: `${path}.pool`, kernel: 2 })),
        ),
      ),
    );
  });
  stages.push(
    list.stage(at('norm5'), () => parts.norm(list, at('norm5'))),
    list.stage('relu', () => list.add(new Relu({ name: 'relu' }))),
    ...parts.head(list, 'classifier', { ...o, seed }),
  );
  const taps = [...o.blocks.map((_, i) => at(`denseblock${i + 1}`)), at('norm5')];
  return { stages, taps, head: 'classifier' };
}

/** Describes a standard DenseNet; `seed` of its initial weights, `initialise` false leaves them zero. */
export function standardDenseNet(
  o: FamilyOptions<'standardDensenet'>,
  seed: number,
  initialise: boolean,
): Architecture {
  return describe(o, STANDARD_PARTS, seed, initialise);
}

/** The same as a B-cosified network. */
export function bcosifiedDenseNet(
  o: FamilyOptions<'bcosifiedDensenet'>,
  seed: number,
  initialise: boolean,
): Architecture {
  return describe(o, bcosifiedParts(o), seed, initialise);
}
