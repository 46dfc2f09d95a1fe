/**
 * B-cos DenseNets with torchvision's names: each layer of a dense block reads all features before it and appends
 * `growth` new ones; average pools, no activation functions, the classifier a 1x1 B-cos convolution before the average.
 */
import * as tf from '@tensorflow/tfjs';
import { AvgPool2d } from '../layers/avgPool2d.js';
import { BcosConv2d, type BcosConv2dConfig } from '../layers/bcosConv2d.js';
import { type Architecture, chain, LayerList, type Stage, straight, type Wiring } from './architecture.js';
import { bcosInput, pooledLogits } from './ends.js';
import { createNorm, type NormOptions } from './normFactory.js';
import type { FamilyOptions } from './options.js';

export interface DenseOptions extends NormOptions {
  /** Features that a layer appends. */
  readonly growth: number;
  /** Channels between the two convolutions of a layer, as a multiple of `growth`. */
  readonly bottleneck: number;
  readonly b: number;
  readonly maxOut: number;
  readonly seed: number;
}

export type DenseNetOptions = FamilyOptions<'densenet'> & { readonly seed: number };

function conv(
  list: LayerList,
  name: string,
  o: DenseOptions,
  config: Omit<BcosConv2dConfig, 'name'>,
): Wiring {
  return list.add(
    new BcosConv2d({ name, b: o.b, maxOut: o.maxOut, initial: 'kaiming-fan-in', seed: o.seed, ...config }),
  );
}

function norm(list: LayerList, name: string, o: DenseOptions): Wiring {
  const layer = createNorm(name, o);
  return layer === null ? straight : list.add(layer);
}

/** norm, 1x1 to bottleneck * growth, norm, 3x3 to growth: the new features of all those given, concatenated. */
export function denseLayer(list: LayerList, path: string, o: DenseOptions): Wiring {
  return chain(
    norm(list, `${path}.norm1`, o),
    conv(list, `${path}.conv1`, o, { outChannels: o.bottleneck * o.growth }),
    norm(list, `${path}.norm2`, o),
    conv(list, `${path}.conv2`, o, { outChannels: o.growth, kernel: 3, padding: 1 }),
  );
}

/** Layers one after the other, each with everything before it as input; puts out all features. */
export function denseBlock(list: LayerList, path: string, layers: number, o: DenseOptions): Wiring {
  const steps = Array.from({ length: layers }, (_, i): Wiring => {
    const added = denseLayer(list, `${path}.denselayer${i + 1}`, o);
    const join = tf.layers.concatenate({ name: `${path}.concat${i + 1}`, axis: -1 });
    return (x) => join.apply([x, added(x)]) as tf.SymbolicTensor;
  });
  return chain(...steps);
}

/** norm, 1x1 convolution, average pool 2x2. */
export function denseTransition(list: LayerList, path: string, outChannels: number, o: DenseOptions): Wiring {
  return chain(
    norm(list, `${path}.norm`, o),
    conv(list, `${path}.conv`, o, { outChannels }),
    list.add(new AvgPool2d({ name: `${path}.pool`, kernel: 2 })),
  );
}

/** Stages of a DenseNet behind its encoded input; every `path` starts with `prefix`. */
export function denseNetStages(list: LayerList, prefix: string, o: DenseNetOptions): Stage[] {
  const at = (name: string): string => `${prefix}${name}`;
  const pool = { name: at('features.pool0'), kernel: 3, stride: 2, padding: 1 };
  const stages = [
    list.stage('features.conv0', () =>
      conv(list, at('features.conv0'), o, { outChannels: o.width, kernel: 7, stride: 2, padding: 3 }),
    ),
    list.stage('features.norm0', () => norm(list, at('features.norm0'), o)),
    list.stage('features.pool0', () => list.add(new AvgPool2d(pool))),
  ];
  let channels = o.width;
  o.blocks.forEach((layers, i) => {
    const block = `features.denseblock${i + 1}`;
    stages.push(list.stage(block, () => denseBlock(list, at(block), layers, o)));
    channels += layers * o.growth;
    if (i === o.blocks.length - 1) return;
    const transition = `features.transition${i + 1}`;
    channels = Math.floor(channels / 2);
    stages.push(list.stage(transition, () => denseTransition(list, at(transition), channels, o)));
  });
  stages.push(
    list.stage('features.norm5', () => norm(list, at('features.norm5'), o)),
    list.stage('classifier', () => conv(list, at('classifier'), o, { outChannels: o.numClasses })),
    pooledLogits(list, prefix, o),
  );
  return stages;
}

/** Describes a DenseNet; `seed` of its initial weights, `initialise` false leaves them zero. */
export function denseNet(o: FamilyOptions<'densenet'>, seed: number, initialise: boolean): Architecture {
  const list = new LayerList(initialise);
  const stages = [bcosInput(list), ...denseNetStages(list, '', { ...o, seed })];
  const taps = [...o.blocks.map((_, i) => `features.denseblock${i + 1}`), 'features.norm5'];
  return { stages, taps, head: 'classifier' };
}
