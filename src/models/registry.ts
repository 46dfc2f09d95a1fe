import { FactError } from '../core/errors.js';
import { nearestName } from '../core/nearest.js';
import type { Architecture } from './architecture.js';
import { defaultLogitBias, type NormName, type ResolvedOptions } from './options.js';
import { resnet } from './resnet.js';
import type { Preprocessing } from './spec.js';

/** One network of the registry. */
export interface ModelEntry {
  readonly name: string;
  readonly family: 'resnet';
  readonly description: string;
  readonly defaults: ResolvedOptions;
  readonly inputSize: readonly [number, number];
  readonly preprocessing: Preprocessing;
  readonly build: (options: ResolvedOptions, seed: number, initialise: boolean) => Architecture;
}

const IMAGENET = { inputSize: [224, 224], resize: 256 } as const;
const CIFAR = { inputSize: [32, 32], resize: 32 } as const;

const BASE: ResolvedOptions = {
  numClasses: 1000,
  width: 64,
  blocks: [2, 2, 2, 2],
  block: 'basic',
  stem: 'imagenet',
  groups: 1,
  groupWidth: 64,
  b: 2,
  maxOut: 1,
  norm: 'bnu',
  normParameters: 'linear',
  normEpsilon: 1e-5,
  logitBias: defaultLogitBias(1000),
  temperature: null,
  stochasticDepth: 0,
};

function entry(
  name: string,
  description: string,
  options: Partial<ResolvedOptions>,
  input: { readonly inputSize: readonly [number, number]; readonly resize: number },
): ModelEntry {
  const defaults = { ...BASE, ...options };
  return {
    name,
    family: 'resnet',
    description,
    defaults: { ...defaults, logitBias: defaultLogitBias(defaults.numClasses) },
    inputSize: input.inputSize,
    preprocessing: { resize: input.resize, crop: [...input.inputSize] },
    build: resnet,
  };
}

function imagenetEntries(): ModelEntry[] {
  const bottleneck = { block: 'bottleneck' } as const;
  const deep = { ...bottleneck, blocks: [3, 8, 36, 3] };
  const fifty = { ...bottleneck, blocks: [3, 4, 6, 3] };
  const of = (name: string, options: Partial<ResolvedOptions>): ModelEntry =>
    entry(name, `B-cos ${name} for ImageNet`, options, IMAGENET);
  return [
    entry('resnet', 'B-cos ResNet of any width, depth and stem', {}, IMAGENET),
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

const ABLATION_NORMS: readonly NormName[] = [
  ...(['an', 'anu', 'bn', 'bnu', 'gn', 'gnu'] as const),
  ...(['in', 'inu', 'ln', 'lnu', 'pn', 'pnu'] as const),
];

/** The CIFAR-10 networks of the reference's norm experiments: NAME and NAME-nomaxout, with and without a norm. */
function cifarEntries(): ModelEntry[] {
  const entries: ModelEntry[] = [];
  const add = (depth: number, suffix: string, options: Partial<ResolvedOptions>): void => {
    const perStage = (depth - 2) / 6;
    const shape = {
      numClasses: 10,
      width: 16,
      blocks: [perStage, perStage, perStage],
      stem: 'cifar',
    } as const;
    const name = `cifar10_resnet_${depth}${suffix}`;
    const all = { ...shape, blocks: [...shape.blocks], ...options };
    entries.push(entry(name, `B-cos ResNet-${depth} for CIFAR-10`, all, CIFAR));
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

function index(entries: readonly ModelEntry[]): ReadonlyMap<string, ModelEntry> {
  const map = new Map<string, ModelEntry>();
  for (const item of entries) {
    if (map.has(item.name)) throw new Error(`the registry holds two networks named ${item.name}`);
    map.set(item.name, item);
  }
  return map;
}

const ENTRIES = index([...imagenetEntries(), ...cifarEntries()]);

/** Every network that can be made by name, in a stable order. */
export function listModels(): readonly ModelEntry[] {
  return [...ENTRIES.values()];
}

/** The entry of that name. Throws FactError E_MODEL_UNKNOWN that names the nearest known one. */
export function modelEntry(arch: string): ModelEntry {
  const found = ENTRIES.get(arch);
  if (found !== undefined) return found;
  const nearest = nearestName(arch, [...ENTRIES.keys()]);
  throw new FactError({
    code: 'E_MODEL_UNKNOWN',
    message: `there is no architecture "${arch}"${nearest === undefined ? '' : `; the nearest is "${nearest}"`}`,
    remedy: `Known: ${[...ENTRIES.keys()].slice(0, 12).join(', ')}, ... (listModels() gives all).`,
    exitCode: 2,
  });
}
