import { convNeXt } from '../convNeXt.js';
import { denseNet } from '../denseNet.js';
import { CIFAR, entriesOf, IMAGENET, type ModelEntry } from '../modelEntry.js';
import { defaultLogitBias, type FamilyOptions, type NormName } from '../options.js';
import { resnet } from '../resnet.js';
import { vgg } from '../vgg.js';

const BASE = {
  numClasses: 1000,
  b: 2,
  maxOut: 1,
  norm: 'bnu',
  normParameters: 'linear',
  normEpsilon: 1e-5,
  logitBias: defaultLogitBias(1000),
  temperature: null,
} as const;

const RESNET: FamilyOptions<'resnet'> = {
  ...BASE,
  width: 64,
  blocks: [2, 2, 2, 2],
  block: 'basic',
  stem: 'imagenet',
  groups: 1,
  groupWidth: 64,
  stochasticDepth: 0,
};

const resnetEntry = entriesOf({ family: 'resnet', bcos: true, build: resnet });
const denseEntry = entriesOf({ family: 'densenet', bcos: true, build: denseNet });
const vggEntry = entriesOf({ family: 'vgg', bcos: true, build: vgg });
const convNeXtEntry = entriesOf({ family: 'convnext', bcos: true, build: convNeXt });

function resNets(): ModelEntry[] {
  const bottleneck = { block: 'bottleneck' } as const;
  const deep = { ...bottleneck, blocks: [3, 8, 36, 3] };
  const fifty = { ...bottleneck, blocks: [3, 4, 6, 3] };
  const of = (name: string, options: Partial<FamilyOptions<'resnet'>>): ModelEntry =>
    resnetEntry(name, `B-cos ${name} for ImageNet`, { ...RESNET, ...options });
  return [
    resnetEntry('resnet', 'B-cos ResNet of any width, depth and stem', RESNET, IMAGENET, true),
    of('resnet18', {}),
    of('resnet34', { blocks: [3, 4, 6, 3] }),
    of('resnet50', fifty),
    of('resnet101', { ...bottleneck, blocks: [3, 4, 23, 3] }),
    of('resnet152', deep),
    of('resnext50_32x4d', { ...fifty, groups: 32, groupWidth: 4 }),
    of('resnet50_long', fifty),
    of('resnet152_long', deep),
  ];
}

function denseNets(): ModelEntry[] {
  const small = { ...BASE, width: 64, growth: 32, bottleneck: 4 };
  const d121 = { ...small, blocks: [6, 12, 24, 16] };
  const of = (name: string, options: FamilyOptions<'densenet'>): ModelEntry =>
    denseEntry(name, `B-cos ${name} for ImageNet`, options);
  return [
    denseEntry('densenet', 'B-cos DenseNet of any width and depth', d121, IMAGENET, true),
    of('densenet121', d121),
    of('densenet161', { ...BASE, width: 96, growth: 48, bottleneck: 4, blocks: [6, 12, 36, 24] }),
    of('densenet169', { ...small, blocks: [6, 12, 32, 32] }),
    of('densenet201', { ...small, blocks: [6, 12, 48, 32] }),
    of('densenet121_long', d121),
  ];
}

function vggs(): ModelEntry[] {
  const eleven = { ...BASE, stages: [[64], [128], [256, 256], [512, 512], [512, 512]], hidden: 4096 };
  return [
    vggEntry('vgg', 'B-cos VGG of any width and depth', eleven, IMAGENET, true),
    vggEntry('vgg11_bnu', 'B-cos VGG-11 for ImageNet', eleven),
  ];
}

function convNeXts(): ModelEntry[] {
  const pn = { ...BASE, norm: 'pn', normEpsilon: 1e-6 } as const;
  const tiny = { width: 96, blocks: [3, 3, 9, 3], stochasticDepth: 0.1 };
  const base = { width: 128, blocks: [3, 3, 27, 3], stochasticDepth: 0.5 };
  const of = (name: string, options: FamilyOptions<'convnext'>): ModelEntry =>
    convNeXtEntry(name, `B-cos ${name} for ImageNet`, options);
  return [
    convNeXtEntry('convnext', 'B-cos ConvNeXt of any width and depth', { ...pn, ...tiny }, IMAGENET, true),
    of('convnext_tiny', { ...pn, ...tiny }),
    of('convnext_base', { ...pn, ...base }),
    of('convnext_tiny_bnu', { ...BASE, ...tiny }),
    of('convnext_base_bnu', { ...BASE, ...base }),
  ];
}

/** B-cos networks of convolutions for ImageNet. */
export function convolutionalEntries(): ModelEntry[] {
  return [...resNets(), ...denseNets(), ...vggs(), ...convNeXts()];
}

const ABLATION_NORMS: readonly NormName[] = [
  ...(['an', 'anu', 'bn', 'bnu', 'gn', 'gnu'] as const),
  ...(['in', 'inu', 'ln', 'lnu', 'pn', 'pnu'] as const),
];

/** The CIFAR-10 networks of the reference's norm experiments: NAME and NAME-nomaxout, with and without a norm. */
export function cifarEntries(): ModelEntry[] {
  const entries: ModelEntry[] = [];
  const add = (depth: number, suffix: string, options: Partial<FamilyOptions<'resnet'>>): void => {
    const perStage = (depth - 2) / 6;
    const shape = {
      numClasses: 10,
      logitBias: defaultLogitBias(10),
      width: 16,
      blocks: [perStage, perStage, perStage],
      stem: 'cifar',
    } as const;
    const name = `cifar10_resnet_${depth}${suffix}`;
    const all = { ...RESNET, ...shape, blocks: [...shape.blocks], ...options };
    entries.push(resnetEntry(name, `B-cos ResNet-${depth} for CIFAR-10`, all, CIFAR));
  };
  for (const depth of [20, 32, 44, 56]) {
    add(depth, '', { norm: 'identity', maxOut: 2 });
    add(depth, '-nomaxout', { norm: 'identity' });
    add(depth, '_bnu-linear', { norm: 'bnu', maxOut: 2 });
    add(depth, '_bnu-linear-nomaxout', { norm: 'bnu' });
  }
  for (const norm of ABLATION_NORMS) {
    add(20, `_${norm}`, { norm, normParameters: 'affine', maxOut: 2 });
    if (norm !== 'bnu') add(20, `_${norm}-linear-nomaxout`, { norm });
    add(20, `_${norm}-unaffine-nomaxout`, { norm, normParameters: 'unaffine' });
  }
  return entries;
}
