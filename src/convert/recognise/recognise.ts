import type { ResolvedOptions } from '../../models/options.js';
import type { NamedTensor } from '../dtypes.js';
import { isAveragePrefix } from '../stateCopies.js';
import {
  digestOf,
  headOf,
  likeness,
  type NamedShape,
  type Signature,
  shapesDigest,
  sketchOf,
} from './signature.js';
import { SIGNATURES } from './signatures.js';
import type { WeightUse } from './structure.js';

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
  for (const name of shapes.keys()) {
    const [, stage, block] = /^layer(\d+)\.(\d+)\./.exec(name) ?? [];
    if (stage !== undefined && !(Number(block) < (blocks[Number(stage) - 1] ?? 0))) return null;
  }
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

/** A network whose names and shapes are nearest to those of a checkpoint. */
export interface Nearest {
  readonly arch: string;
  /** Estimated share of names and shapes that are the same, from 0 to 1. */
  readonly likeness: number;
}

/** More copies than any real file holds. */
const MAX_COPIES = 16;

/** Prefixes under which copies of some network may lie: those of plain weights first, then the shorter. */
function prefixesOf(tensors: readonly NamedTensor[]): string[] {
  const headsByFirst = new Map<string, Set<string>>();
  for (const { first, head } of SIGNATURES)
    headsByFirst.set(first, (headsByFirst.get(first) ?? new Set()).add(head));
  const names = new Set(tensors.map(({ name }) => name));
  const prefixes = new Set<string>();
  for (const name of names)
    for (const [first, heads] of headsByFirst) {
      if (name !== first && !name.endsWith(`.${first}`)) continue;
      const prefix = name.slice(0, name.length - first.length);
      if ([...heads].some((head) => names.has(prefix + head))) prefixes.add(prefix);
    }
  return [...prefixes]
    .sort((a, b) => Number(isAveragePrefix(a)) - Number(isAveragePrefix(b)) || a.length - b.length)
    .slice(0, MAX_COPIES);
}

/** Tensors below a prefix without it; those of copies further below, and what lies beside these, left out. */
function below(tensors: readonly NamedTensor[], prefix: string, prefixes: readonly string[]): NamedShape[] {
  const inner = prefixes
    .filter(
      (other) =>
        other.length > prefix.length && other.startsWith(prefix) && other.indexOf('.', prefix.length) >= 0,
    )
    .map((other) => other.slice(0, other.indexOf('.', prefix.length) + 1));

  return tensors
    .filter(({ name }) => name.startsWith(prefix) && !inner.some((other) => name.startsWith(other)))
    .map(({ name, shape }) => ({ name: name.slice(prefix.length), shape }));
}

/** The networks of a signature, those with the right number of classes first. */
function matched(archs: Signature['archs'], classes: number | undefined): Recognised {
  const rank = ([, own]: Signature['archs'][number]): number => Number(own !== classes);
  const [[arch, own], ...others] = archs.toSorted((x, y) => rank(x) - rank(y));
  const options = classes === undefined || own === classes ? {} : { numClasses: classes };
  return { arch, options, alike: others.map(([name]) => name) };
}

/** Networks of the registry with exactly these names and shapes, at any number of classes. */
function fromSignature(shapes: readonly NamedShape[]): Recognised | null {
  const digest = digestOf(shapes);
  const signature = SIGNATURES.find((known) => known.digest === digest);
  if (signature === undefined) return null;
  const rows = headOf(shapes)?.shape[0];
  const classes = rows === undefined ? undefined : rows / signature.rows;
  if (classes !== undefined && !(Number.isInteger(classes) && classes > 0)) return null;
  return matched(signature.archs, classes);
}

/**
 * The architecture that a checkpoint's names and shapes belong to: a network of the registry with exactly these names and
 * shapes, preferring the one with its number of classes and the uncentred batch norm of the published networks; else the
 * general `resnet` with options read from the shapes; else null.
 */
export function recognise(tensors: readonly NamedTensor[]): Recognised | null {
  const prefixes = prefixesOf(tensors);
  for (const prefix of prefixes) {
    // What looks like a copy further below may be a part of this network.
    const found =
      fromSignature(below(tensors, prefix, prefixes)) ?? fromSignature(below(tensors, prefix, []));
    if (found !== null) return found;
  }
  for (const prefix of resNetPrefixes(tensors)) {
    const traits = resNetTraits(tensors, prefix);
    const general = traits === null ? null : generalOptions(traits);
    if (general !== null) return { arch: 'resnet', options: general, alike: [] };
  }
  return null;
}

/**
 * The architecture that a graph's filters and matrices belong to by their shapes alone, for files that rename or fold
 * weights; null where there is none. The last of them is taken for the head.
 */
export function recogniseShapes(shapes: readonly (readonly number[])[]): Recognised | null {
  const digest = shapesDigest(shapes, shapes.length - 1);
  const known = SIGNATURES.filter((signature) => signature.shapes === digest);
  if (known.length === 0) return null;
  const classes = shapes[shapes.length - 1][0] / known[0].rows;
  return matched(
    known.flatMap(({ archs }) => archs),
    classes,
  );
}

/** The same from what a graph computes with. */
export function recogniseUses(uses: readonly WeightUse[]): Recognised | null {
  const shapes = uses.flatMap((use) => (use.kind === 'weights' ? [use.tensor.shape] : []));
  return shapes.length === 0 ? null : recogniseShapes(shapes);
}

/** The network whose names and shapes are most like those of a checkpoint; null where none shares any. */
export function nearestArchitecture(tensors: readonly NamedTensor[]): Nearest | null {
  const prefixes = prefixesOf(tensors);
  const candidates = prefixes.length > 0 ? prefixes : [''];
  let best: Nearest | null = null;
  for (const prefix of candidates) {
    const sketch = sketchOf(below(tensors, prefix, prefixes));
    for (const known of SIGNATURES) {
      const share = likeness(sketch, known.sketch);
      if (share > (best?.likeness ?? 0)) best = { arch: known.archs[0][0], likeness: share };
    }
  }
  return best;
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
