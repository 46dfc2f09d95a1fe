import { dinov2 } from '../dinov2.js';
import { entriesOf, IMAGENET, type ModelEntry } from '../modelEntry.js';
import type { FamilyOptions } from '../options.js';
import { standardDenseNet } from '../standardDenseNet.js';
import { standardResNet } from '../standardResNet.js';

const RESNET: FamilyOptions<'standardResnet'> = {
  numClasses: 1000,
  logitBias: null,
  temperature: null,
  width: 64,
  blocks: [2, 2, 2, 2],
  block: 'basic',
};

const DENSENET: FamilyOptions<'standardDensenet'> = {
  numClasses: 1000,
  logitBias: null,
  temperature: null,
  width: 64,
  blocks: [6, 12, 24, 16],
  growth: 32,
  bottleneck: 4,
};

/** ViT-S/14, pre-trained at 518 pixels: positions of 37 x 37 patches. Its output is its class token. */
const DINOV2: FamilyOptions<'dinov2'> = {
  numClasses: 384,
  logitBias: null,
  temperature: null,
  width: 384,
  depth: 12,
  heads: 6,
  mlpDim: 1536,
  patch: 14,
  grid: 37,
};

/** Standard networks that B-cos-v2 compares with or takes features of. */
export function standardEntries(): ModelEntry[] {
  const entry = entriesOf({ family: 'standardResnet', bcos: false, build: standardResNet });
  const of = (depth: number, options: Partial<FamilyOptions<'standardResnet'>>): ModelEntry =>
    entry(`torchvision_resnet${depth}`, `Standard ResNet-${depth} for ImageNet, torchvision's names`, {
      ...RESNET,
      ...options,
    });
  const denseEntry = entriesOf({ family: 'standardDensenet', bcos: false, build: standardDenseNet });
  const dense = (depth: number, options: Partial<FamilyOptions<'standardDensenet'>>): ModelEntry =>
    denseEntry(
      `torchvision_densenet${depth}`,
      `Standard DenseNet-${depth} for ImageNet, torchvision's names`,
      {
        ...DENSENET,
        ...options,
      },
    );
  const dinov2Entry = entriesOf({ family: 'dinov2', bcos: false, build: dinov2, multipleOf: (o) => o.patch });
  return [
    entry('torchvision_resnet', 'Standard ResNet of any width and depth', RESNET, IMAGENET, true),
    of(18, {}),
    of(34, { blocks: [3, 4, 6, 3] }),
    of(50, { block: 'bottleneck', blocks: [3, 4, 6, 3] }),
    denseEntry('torchvision_densenet', 'Standard DenseNet of any width and depth', DENSENET, IMAGENET, true),
    dense(121, {}),
    dense(161, { width: 96, growth: 48, blocks: [6, 12, 36, 24] }),
    dense(169, { blocks: [6, 12, 32, 32] }),
    dense(201, { blocks: [6, 12, 48, 32] }),
    dinov2Entry('dinov2', 'DINOv2 ViT of any size: features, no classes', DINOV2, IMAGENET, true),
    dinov2Entry('dinov2_vits14', 'DINOv2 ViT-S/14: features, no classes', DINOV2),
  ];
}
