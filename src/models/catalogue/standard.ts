import { entriesOf, IMAGENET, type ModelEntry } from '../modelEntry.js';
import type { FamilyOptions } from '../options.js';
import { standardResNet } from '../standardResNet.js';

const RESNET: FamilyOptions<'standardResnet'> = {
  numClasses: 1000,
  logitBias: null,
  temperature: null,
  width: 64,
  blocks: [2, 2, 2, 2],
  block: 'basic',
};

/** Standard networks that B-cos-v2 compares with or takes features of. */
export function standardEntries(): ModelEntry[] {
  const entry = entriesOf({ family: 'standardResnet', bcos: false, build: standardResNet });
  const of = (depth: number, options: Partial<FamilyOptions<'standardResnet'>>): ModelEntry =>
    entry(`torchvision_resnet${depth}`, `Standard ResNet-${depth} for ImageNet, torchvision's names`, {
      ...RESNET,
      ...options,
    });
  return [
    entry('torchvision_resnet', 'Standard ResNet of any width and depth', RESNET, IMAGENET, true),
    of(18, {}),
    of(34, { blocks: [3, 4, 6, 3] }),
    of(50, { block: 'bottleneck', blocks: [3, 4, 6, 3] }),
  ];
}
