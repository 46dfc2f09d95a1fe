import { entriesOf, IMAGENET, type ModelEntry } from '../modelEntry.js';
import { defaultLogitBias, type FamilyOptions, type ResolvedOptions } from '../options.js';
import { bcosifiedViT, vitStride } from '../simpleViT.js';
import { bcosifiedDenseNet } from '../standardDenseNet.js';
import { bcosifiedResNet } from '../standardResNet.js';
import { standardEntries } from './standard.js';
import { vitEntries } from './vits.js';

/** The start that equals the standard network: B = 1, biases kept, max pooling. */
const EQUAL = { b: 1, bias: true } as const;

const resnetEntry = entriesOf({ family: 'bcosifiedResnet', bcos: true, build: bcosifiedResNet });
const denseEntry = entriesOf({ family: 'bcosifiedDensenet', bcos: true, build: bcosifiedDenseNet });
const vitEntry = entriesOf({
  family: 'bcosifiedVit',
  bcos: true,
  build: bcosifiedViT,
  // The strides of the standard network.
  multipleOf: (o) => vitStride(o, false),
});

/** Name of the B-cosified twin of a standard network. */
function twinName(name: string): string {
  return `bcosified_${name.replace(/^(torchvision|standard)_/, '')}`;
}

function twinOf({ name, family, general, defaults }: ModelEntry): ModelEntry[] {
  const own = twinName(name);
  const words = `B-cosified ${name}`;
  const options = { ...defaults, logitBias: defaultLogitBias(defaults.numClasses) } as ResolvedOptions;
  switch (family) {
    case 'standardResnet': {
      const all = { ...options, ...EQUAL, pool: 'max' } as FamilyOptions<'bcosifiedResnet'>;
      return [resnetEntry(own, words, all, IMAGENET, general)];
    }
    case 'standardDensenet': {
      const all = { ...options, ...EQUAL, pool: 'max' } as FamilyOptions<'bcosifiedDensenet'>;
      return [denseEntry(own, words, all, IMAGENET, general)];
    }
    case 'vit': {
      const all = { ...options, ...EQUAL } as FamilyOptions<'bcosifiedVit'>;
      return [vitEntry(own, words, all, IMAGENET, general)];
    }
    default:
      return [];
  }
}

/** The B-cosified twin of every standard network that has one: `bcosified_NAME`. */
export function bcosifiedEntries(): ModelEntry[] {
  return [...standardEntries(), ...vitEntries()].filter((entry) => !entry.bcos).flatMap(twinOf);
}
