import type { EntryOf } from '../models/modelEntry.js';
import type { ResolvedOptions } from '../models/options.js';
import { listModels } from '../models/registry.js';
import type { NamedTensor } from './dtypes.js';
import { isAveragePrefix } from './stateCopies.js';

/** What names and shapes say about a B-cos ResNet. Norms without running statistics look alike, stems of 3x3 too. */
export interface ResNetTraits {
  readonly numClasses: number;
  readonly width: number;
  readonly blocks: readonly number[];
  readonly block: 'basic' | 'bottleneck';
  readonly stemKernel: number;
  readonly groups: number;
  readonly groupWidth: number;
  readonly maxOut: number;
  /** Parameters and buffers of the first norm: weight, bias, running_mean, ... sorted. */
  readonly norm: string;
}

/** An architecture that fits a checkpoint. */
export interface Recognised {
  readonly arch: string;
  readonly options: Partial<ResolvedOptions>;
  /** Other names of the registry whose networks have the same names and shapes. */
  readonly alike: readonly string[];
}

const STEM = 'conv1.linear.weight';

/** Prefixes under which a B-cos ResNet begins: those of plain weights first. */
function resNetPrefixes(tensors: readonly NamedTensor[]): string[] {
  return tensors
    .filter(
      ({ name, shape }) =>
        (name === STEM || name.endsWith(`.${STEM}`)) && shape.length === 4 && shape[1] === 6,
    )
    .map(({ name }) => name.slice(0, name.length - STEM.length))
    .sort((a, b) => Number(isAveragePrefix(a)) - Number(isAveragePrefix(b)) || a.length - b.length);
}

/** Traits of the B-cos ResNet under a prefix, or null where the names are not those of one. */
export function resNetTraits(tensors: readonly NamedTensor[], prefix: string): ResNetTraits | null {
  const shapes = new Map<string, readonly number[]>();
  for (const { name, shape } of tensors)
    if (name.startsWith(prefix)) shapes.set(name.slice(prefix.length), shape);
  const stem = shapes.get(STEM);
  const first = shapes.get('layer1.0.conv1.linear.weight');
  const second = shapes.get('layer1.0.conv2.linear.weight');
  const fc = shapes.get('fc.linear.weight');
  if (stem?.length !== 4 || first?.length !== 4 || second?.length !== 4 || fc?.length !== 4) return null;
  if ([stem, first, second, fc].some((shape) => shape.includes(0))) return null;
  const width = first[1];
  const maxOut = stem[0] / width;
  if (!Number.isInteger(maxOut) || maxOut < 1 || fc[0] % maxOut !== 0) return null;
  const isBottleneck = shapes.has('layer1.0.conv3.linear.weight');
  const inner = second[0] / maxOut;
  const groups = isBottleneck ? inner / second[1] : 1;
  // Every block is looked at, so that a small file cannot ask for a large network.
  const blocks: number[] = [];
  const hasBlock = (stage: number, block: number): boolean => {
    const shape = shapes.get(`layer${stage + 1}.${block}.conv1.linear.weight`);
    const outChannels = (isBottleneck ? inner : width) * 2 ** stage * maxOut;
    return shape?.length === 4 && !shape.includes(0) && shape[0] === outChannels;
  };
  while (hasBlock(blocks.length, 0)) {
    let count = 1;
    while (hasBlock(blocks.length, count)) count++;
    blocks.push(count);
  }
  if (blocks.length === 0) return null;
  const norm = [...shapes.keys()].filter((name) => name.startsWith('bn1.')).map((name) => name.slice(4));
  return {
    numClasses: fc[0] / maxOut,
    width,
    blocks,
    block: isBottleneck ? 'bottleneck' : 'basic',
    stemKernel: stem[2],
    groups,
    groupWidth: isBottleneck ? ((inner / groups) * 64) / width : 64,
    maxOut,
    norm: norm.sort().join(' '),
  };
}

/** Traits of a network of the registry, at its default options. */
function traitsOf({ defaults: o }: EntryOf<'resnet'>): ResNetTraits {
  const parameters = { affine: ['weight', 'bias'], linear: ['weight'], unaffine: [] }[o.normParameters];
  const hasStatistics = ['bn', 'bnu', 'an', 'anu'].includes(o.norm);
  const statistics = hasStatistics ? ['running_mean', 'running_var', 'num_batches_tracked'] : [];
  return {
    numClasses: o.numClasses,
    width: o.width,
    blocks: o.blocks,
    block: o.block,
    stemKernel: o.stem === 'imagenet' ? 7 : 3,
    groups: o.groups,
    groupWidth: o.groupWidth,
    maxOut: o.maxOut,
    norm: o.norm === 'identity' ? '' : [...parameters, ...statistics].sort().join(' '),
  };
}

/** Equal but for the number of classes; counters may be missing from the file. */
function isAlike(found: ResNetTraits, known: ResNetTraits): boolean {
  const norm = (traits: ResNetTraits): string => traits.norm.replace('num_batches_tracked ', '');
  return (
    found.width === known.width &&
    String(found.blocks) === String(known.blocks) &&
    found.block === known.block &&
    found.stemKernel === known.stemKernel &&
    found.groups === known.groups &&
    found.groupWidth === known.groupWidth &&
    found.maxOut === known.maxOut &&
    norm(found) === norm(known)
  );
}

/**
 * The architecture that a checkpoint's names and shapes belong to: the first of the registry that fits, preferring the
 * one with its number of classes and the uncentred batch norm of the published networks; else the general `resnet` with
 * options read from the shapes; else null.
 */
export function recognise(tensors: readonly NamedTensor[]): Recognised | null {
  for (const prefix of resNetPrefixes(tensors)) {
    const traits = resNetTraits(tensors, prefix);
    if (traits === null) continue;
    const known = listModels()
      .filter((entry): entry is EntryOf<'resnet'> => entry.family === 'resnet' && !entry.general)
      .filter((entry) => isAlike(traits, traitsOf(entry)));
    if (known.length > 0) {
      const rank = (entry: EntryOf<'resnet'>): number =>
        2 * Number(entry.defaults.numClasses !== traits.numClasses) +
        Number(entry.defaults.norm !== 'bnu' && entry.defaults.norm !== 'identity');
      const [best, ...others] = [...known].sort((a, b) => rank(a) - rank(b));
      const options = best.defaults.numClasses === traits.numClasses ? {} : { numClasses: traits.numClasses };
      return { arch: best.name, options, alike: others.map((entry) => entry.name) };
    }
    const general = generalOptions(traits);
    if (general !== null) return { arch: 'resnet', options: general, alike: [] };
  }
  return null;
}

/** Options of the general `resnet` for these traits: batch norm where there are running statistics, a 3x3 stem is CIFAR's. */
function generalOptions(traits: ResNetTraits): Partial<ResolvedOptions> | null {
  const has = (name: string): boolean => traits.norm.split(' ').includes(name);
  if (traits.norm !== '' && !has('running_var')) return null;
  if (traits.stemKernel !== 7 && traits.stemKernel !== 3) return null;
  if (
    ![traits.groups, traits.groupWidth, traits.width].every((value) => Number.isInteger(value) && value > 0)
  )
    return null;
  return {
    numClasses: traits.numClasses,
    width: traits.width,
    blocks: [...traits.blocks],
    block: traits.block,
    stem: traits.stemKernel === 7 ? 'imagenet' : 'cifar',
    groups: traits.groups,
    groupWidth: traits.groupWidth,
    maxOut: traits.maxOut,
    norm: traits.norm === '' ? 'identity' : 'bnu',
    normParameters: has('bias') ? 'affine' : has('weight') ? 'linear' : 'unaffine',
  };
}
