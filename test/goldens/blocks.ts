import * as tf from '@tensorflow/tfjs';
import { GlobalAvgPool2d } from '../../src/layers/globalAvgPool2d.js';
import { LayerList, type Stage, type Wiring } from '../../src/models/architecture.js';
import { convNeXtBlock, convNeXtStages } from '../../src/models/convNeXt.js';
import { denseBlock, denseLayer, denseNetStages, denseTransition } from '../../src/models/denseNet.js';
import { defaultLogitBias } from '../../src/models/options.js';
import { modelEntry } from '../../src/models/registry.js';
import { residualBlock } from '../../src/models/resnet.js';
import {
  simpleViTStages,
  vitAttention,
  vitConvStem,
  vitEncoder,
  vitFeedForward,
} from '../../src/models/simpleViT.js';
import type { ModuleCase, Subject } from './moduleCase.js';

/** Path of the block under test; the goldens' names do not have it. */
const PATH = 'm';

/** Norm options of the goldens' names for them. */
function normOptions(name: string): {
  norm: 'bnu' | 'pn' | 'identity';
  normParameters: 'linear';
  normEpsilon: number;
} {
  if (name === 'bnu no-bias') return { norm: 'bnu', normParameters: 'linear', normEpsilon: 1e-5 };
  if (name === 'pn no-bias eps 1e-6') return { norm: 'pn', normParameters: 'linear', normEpsilon: 1e-6 };
  if (name === 'identity') return { norm: 'identity', normParameters: 'linear', normEpsilon: 1e-5 };
  throw new Error(`unknown norm ${name}`);
}

/** Stages behind the encoded input, one after the other. */
function wired(stages: readonly Stage[]): Wiring {
  return (x) => stages.reduce((value, stage) => stage.wire(value), x);
}

// biome-ignore lint/suspicious/noExplicitAny: each kind of block has its own parameters.
type Config = any;

function resnetOf(list: LayerList, k: Config): Wiring {
  const entry = modelEntry('resnet');
  const options = {
    ...entry.defaults,
    ...normOptions(k.norm),
    numClasses: k.classes,
    width: k.inplanes,
    blocks: k.layers,
    block: k.block,
    stem: k.smallInputs ? ('cifar' as const) : ('imagenet' as const),
    maxOut: k.maxOut ?? 1,
    logitBias: k.logitBias ?? defaultLogitBias(k.classes),
    temperature: k.logitTemperature ?? null,
  };
  const { stages } = entry.build(options, 0, true);
  for (const layer of stages.slice(1).flatMap((stage) => stage.layers)) list.layers.push(layer);
  return wired(stages.slice(1));
}

const common = { b: 2, maxOut: 1, seed: 0, stochasticDepth: 0, temperature: null };

function vitOptions(k: Config): Parameters<typeof vitEncoder>[2] {
  return {
    dim: k.dim,
    heads: k.heads,
    headDim: k.dimHead ?? k.dim / k.heads,
    mlpDim: k.mlpDim,
    bcos: k.bcos,
    seed: 0,
  };
}

const BLOCKS: Readonly<Record<string, (list: LayerList, k: Config) => Wiring>> = {
  BasicBlock: (list, k) => residualBlock(list, PATH, residualOptions('basic', k)),
  Bottleneck: (list, k) => residualBlock(list, PATH, residualOptions('bottleneck', k)),
  CNBlock: (list, k) => convNeXtBlock(list, PATH, k.dim, { ...common, ...normOptions(k.norm), b: k.b }),
  DenseLayer: (list, k) => denseLayer(list, PATH, denseOptions(k)),
  DenseBlock: (list, k) => denseBlock(list, PATH, k.layers, denseOptions(k)),
  Transition: (list, k) =>
    denseTransition(list, PATH, k.outFeatures, denseOptions({ ...k, growth: 1, bnSize: 1 })),
  ViTAttention: (list, k) => vitAttention(list, PATH, vitOptions(k)),
  ViTFeedForward: (list, k) => vitFeedForward(list, PATH, vitOptions(k)),
  ViTEncoder: (list, k) => vitEncoder(list, PATH, vitOptions(k)),
  ViTConvStem: (list, k) => vitConvStem(list, PATH, k, { bcos: k.bcos, seed: 0 }),
  SimpleViT: (list, k) =>
    wired(
      simpleViTStages(list, k.bcos ? '0.' : '', {
        ...vitOptions(k),
        depth: k.depth,
        patch: k.patch,
        convStem: k.convStem === null ? null : { inChannels: k.channels, outChannels: k.convStem },
        numClasses: k.classes,
        logitBias: k.logitBias,
        temperature: null,
      }),
    ),
  BcosResNet: resnetOf,
  BcosDenseNet: (list, k) =>
    wired(
      denseNetStages(list, '', {
        ...denseOptions(k),
        blocks: k.blocks,
        width: k.init,
        numClasses: k.classes,
        logitBias: defaultLogitBias(k.classes),
        temperature: null,
      }),
    ),
  BcosConvNeXt: (list, k) =>
    wired(
      convNeXtStages(list, '', {
        ...common,
        ...normOptions(k.norm),
        stages: k.stages.map(([channels, , blocks]: number[]) => ({ channels, blocks })),
        numClasses: k.classes,
        logitBias: defaultLogitBias(k.classes),
      }),
    ),
};

function residualOptions(block: 'basic' | 'bottleneck', k: Config): Parameters<typeof residualBlock>[2] {
  return {
    ...normOptions(k.norm),
    block,
    inChannels: k.inplanes,
    planes: k.planes,
    stride: k.stride,
    groups: k.groups,
    groupWidth: k.baseWidth,
    b: k.b,
    maxOut: k.maxOut,
    stochasticDepth: k.stochasticDepth,
    seed: 0,
  };
}

function denseOptions(k: Config): Parameters<typeof denseLayer>[2] {
  return { ...common, ...normOptions(k.norm), growth: k.growth, bottleneck: k.bnSize };
}

/** The block of a golden case for inputs of these (tfjs) shapes without batch; null for a kind not built. */
export function blockOf(c: ModuleCase, shapes: readonly (readonly number[])[]): Subject | null {
  const make = BLOCKS[c.layer];
  if (make === undefined) return null;
  const list = new LayerList(true);
  const wiring = make(list, c.config);
  const inputs = shapes.map((shape) => tf.input({ shape: [...shape] }));
  // A dense layer reads several feature maps, concatenated.
  const joined =
    inputs.length === 1
      ? inputs[0]
      : (tf.layers.concatenate({ axis: -1 }).apply(inputs) as tf.SymbolicTensor);
  const model = tf.model({ inputs, outputs: wiring(joined) });
  const isWhole = list.layers.some((layer) => layer instanceof GlobalAvgPool2d) || c.layer === 'SimpleViT';
  return {
    layers: list.layers,
    prefix: isWhole ? '' : `${PATH}.`,
    apply: (xs, args) => model.apply(xs, { ...args }) as tf.Tensor,
  };
}
