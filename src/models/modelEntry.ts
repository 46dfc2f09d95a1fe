import type { Architecture } from './architecture.js';
import { FAMILY_OPTIONS, type Family, type FamilyOptions, type ResolvedOptions } from './options.js';
import { PUBLISHED, type Published } from './published.js';
import type { ModelSpec, Preprocessing } from './spec.js';

/** One network of the registry. */
export interface EntryOf<F extends Family> {
  readonly name: string;
  readonly family: F;
  /** B-cos: exact explanations, six input channels. Others: three normalised channels. */
  readonly bcos: boolean;
  readonly kind: ModelSpec['kind'];
  /** Not a network of its own but a family to be shaped by options. */
  readonly general: boolean;
  readonly description: string;
  readonly defaults: FamilyOptions<F>;
  readonly inputSize: readonly [number, number];
  readonly preprocessing: Preprocessing;
  /** Facts of the published weights; null: none are. */
  readonly published: Published | null;
  /** Input heights and widths must be multiples of it. */
  readonly multipleOf: (options: ResolvedOptions) => number;
  /** Stages and layers. Throws a ZodError where the options are not the family's. */
  readonly build: (options: ResolvedOptions, seed: number, initialise: boolean) => Architecture;
}

export type ModelEntry = { readonly [F in Family]: EntryOf<F> }[Family];

/** Input size, and to what the shorter side is resized before the crop. */
export interface InputSize {
  readonly inputSize: readonly [number, number];
  readonly resize: number;
}

export const IMAGENET: InputSize = { inputSize: [224, 224], resize: 256 };
export const CIFAR: InputSize = { inputSize: [32, 32], resize: 32 };

export interface FamilyMaker<F extends Family> {
  readonly family: F;
  readonly bcos: boolean;
  readonly build: (options: FamilyOptions<F>, seed: number, initialise: boolean) => Architecture;
  readonly multipleOf?: (options: FamilyOptions<F>) => number;
}

/** A maker of entries of one family. */
export function entriesOf<F extends Family>(maker: FamilyMaker<F>) {
  const typed = (options: ResolvedOptions): FamilyOptions<F> =>
    FAMILY_OPTIONS[maker.family].parse(options) as FamilyOptions<F>;
  return (
    name: string,
    description: string,
    defaults: FamilyOptions<F>,
    { inputSize, resize }: InputSize = IMAGENET,
    general = false,
  ): EntryOf<F> => ({
    name,
    family: maker.family,
    bcos: maker.bcos,
    kind: maker.bcos ? 'bcos' : maker.family === 'dinov2' ? 'features' : 'standard',
    general,
    description,
    defaults,
    inputSize,
    preprocessing: { resize, crop: [...inputSize] },
    published: PUBLISHED[name] ?? null,
    multipleOf: (options) => maker.multipleOf?.(typed(options)) ?? 1,
    build: (options, seed, initialise) => maker.build(typed(options), seed, initialise),
  });
}
