import { entriesOf, IMAGENET, type ModelEntry } from '../modelEntry.js';
import { defaultLogitBias, type FamilyOptions } from '../options.js';
import { simpleViT, vitStride } from '../simpleViT.js';

type VitOptions = FamilyOptions<'vit'>;

/** Width, depth, heads and inner width of the published sizes; depth of ViT_C is one less. */
const SIZES = {
  ti: { width: 192, depth: 12, heads: 3, mlpDim: 768 },
  s: { width: 384, depth: 12, heads: 6, mlpDim: 1536 },
  b: { width: 768, depth: 12, heads: 12, mlpDim: 3072 },
  l: { width: 1024, depth: 14, heads: 16, mlpDim: 4096 },
} as const;

const LARGE_STEM = [64, 128, 128, 256, 256, 512];

/** Channels of the convolutions of ViT_C's stem. */
const STEMS: Readonly<Record<keyof typeof SIZES, readonly number[]>> = {
  ti: [24, 48, 96, 192],
  s: [48, 96, 192, 384],
  b: LARGE_STEM,
  l: LARGE_STEM,
};

/** The vision transformers of B-cos-v2 of one kind: simple ViTs and ViT_C in four sizes each. */
function entriesOfKind(bcos: boolean): ModelEntry[] {
  const entry = entriesOf({
    family: 'vit',
    bcos,
    build: (o, seed, initialise) => simpleViT(bcos, o, seed, initialise),
    multipleOf: (o) => vitStride(o, bcos),
  });
  const ends = { numClasses: 1000, logitBias: bcos ? defaultLogitBias(1000) : null, temperature: null };
  const common = { ...ends, headDim: 64 };
  const [prefix, kind] = bcos ? ['', 'B-cos'] : ['standard_', 'Standard'];
  const sizes = Object.keys(SIZES) as (keyof typeof SIZES)[];
  const simple = sizes.map((size) => {
    const options: VitOptions = { ...common, ...SIZES[size], patch: 16, convStem: null };
    return entry(`${prefix}simple_vit_${size}_patch16_224`, `${kind} simple ViT for ImageNet`, options);
  });
  const convolutional = sizes.map((size) => {
    const { depth, ...rest } = SIZES[size];
    const options: VitOptions = {
      ...common,
      ...rest,
      depth: depth - 1,
      patch: 1,
      convStem: [...STEMS[size]],
    };
    return entry(`${prefix}vitc_${size}_patch1_14`, `${kind} ViT_C for ImageNet`, options);
  });
  const [, small] = simple;
  const general = entry(
    `${prefix}simple_vit`,
    `${kind} simple ViT or ViT_C of any size`,
    small.defaults,
    IMAGENET,
    true,
  );
  return [general, ...simple, ...convolutional];
}

/** The vision transformers of B-cos-v2, B-cos and standard. */
export function vitEntries(): ModelEntry[] {
  return [...entriesOfKind(true), ...entriesOfKind(false)];
}
