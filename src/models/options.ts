import { z } from 'zod';

/** Norms by the short names of the reference's experiments; `identity`: none. */
export const NORM_NAMES = [
  'identity',
  'bnu',
  'anu',
  'gnu',
  'inu',
  'lnu',
  'pnu',
  'bn',
  'an',
  'gn',
  'in',
  'ln',
  'pn',
] as const;
export type NormName = (typeof NORM_NAMES)[number];

const count = z.number().int().min(1);
const counts = z.array(count).min(1);

/** Every option there is; an architecture knows those of its family. */
const FIELDS = {
  numClasses: count,
  /** Channels of the first stage (ResNet, DenseNet, ConvNeXt), or of a token. */
  width: count,
  /** Blocks of each stage; ViTs: `depth`. */
  blocks: counts.max(6),
  block: z.enum(['basic', 'bottleneck']),
  /** imagenet: 7x7 stride 2, average pool 3x3 stride 2. cifar: 3x3. small: 3x3 stride 2, average pool 3x3 stride 2. */
  stem: z.enum(['imagenet', 'cifar', 'small']),
  /** Groups of the bottleneck's 3x3 convolution (ResNeXt), and its width a group at a stage width of 64. */
  groups: count,
  groupWidth: count,
  /** Features that a layer of a DenseNet appends, and the inner channels of that layer as a multiple of them. */
  growth: count,
  bottleneck: count,
  /** Channels of the convolutions of a VGG before each pool, and of its two inner classifier layers. */
  stages: z.array(counts.max(8)).min(1).max(6),
  hidden: count,
  /** Encoders of a ViT, heads of each, channels of a head, channels inside the feed-forward part. */
  depth: count,
  heads: count,
  headDim: count,
  mlpDim: count,
  /** Side of a patch in pixels, or in places of the stem's map. */
  patch: count,
  /** Patches along a side of the image that learned positions are stored for. */
  grid: count,
  /** Output channels of the convolutions before the patches (ViT_C); null: none. */
  convStem: counts.max(12).nullable(),
  b: z.number().min(1),
  maxOut: count,
  /** Biases of a B-cosified network, and its pool behind the stem. */
  bias: z.boolean(),
  pool: z.enum(['max', 'avg']),
  norm: z.enum(NORM_NAMES),
  /** affine: weight and bias; linear: weight only; unaffine: neither. */
  normParameters: z.enum(['affine', 'linear', 'unaffine']),
  normEpsilon: z.number().min(0),
  /** Added to every score; null: none. Default of B-cos networks -ln(classes - 1), 0 for one class. */
  logitBias: z.number().nullable(),
  temperature: z.number().nullable(),
  /** Probability of dropping the last block when training; rises linearly from 0 at the first. */
  stochasticDepth: z.number().min(0).max(1),
} as const;

const { numClasses, logitBias, temperature, b, maxOut, norm, normParameters, normEpsilon } = FIELDS;
const ENDS = { numClasses, logitBias, temperature };
const BCOS_CONVOLUTIONAL = { ...ENDS, b, maxOut, norm, normParameters, normEpsilon };
const { width, blocks, block, stochasticDepth } = FIELDS;

const DENSE = { width, blocks, growth: FIELDS.growth, bottleneck: FIELDS.bottleneck };
const VIT = {
  width,
  depth: FIELDS.depth,
  heads: FIELDS.heads,
  headDim: FIELDS.headDim,
  mlpDim: FIELDS.mlpDim,
  patch: FIELDS.patch,
  convStem: FIELDS.convStem,
};
/** First value of each layer's B; biases; pool. */
const BCOSIFIED = { b, bias: FIELDS.bias, pool: FIELDS.pool };

/** Options of each family: all of them, with no default. */
export const FAMILY_OPTIONS = {
  resnet: z.strictObject({
    ...BCOS_CONVOLUTIONAL,
    width,
    blocks,
    block,
    stem: FIELDS.stem,
    groups: FIELDS.groups,
    groupWidth: FIELDS.groupWidth,
    stochasticDepth,
  }),
  densenet: z.strictObject({ ...BCOS_CONVOLUTIONAL, ...DENSE }),
  vgg: z.strictObject({ ...BCOS_CONVOLUTIONAL, stages: FIELDS.stages, hidden: FIELDS.hidden }),
  convnext: z.strictObject({ ...BCOS_CONVOLUTIONAL, width, blocks, stochasticDepth }),
  vit: z.strictObject({ ...ENDS, ...VIT }),
  standardResnet: z.strictObject({ ...ENDS, width, blocks, block }),
  standardDensenet: z.strictObject({ ...ENDS, ...DENSE }),
  bcosifiedResnet: z.strictObject({ ...ENDS, ...BCOSIFIED, width, blocks, block }),
  bcosifiedDensenet: z.strictObject({ ...ENDS, ...BCOSIFIED, ...DENSE }),
  bcosifiedVit: z.strictObject({ ...ENDS, b, bias: FIELDS.bias, ...VIT }),
  dinov2: z.strictObject({
    ...ENDS,
    width,
    depth: FIELDS.depth,
    heads: FIELDS.heads,
    mlpDim: FIELDS.mlpDim,
    patch: FIELDS.patch,
    grid: FIELDS.grid,
  }),
} as const;

export type Family = keyof typeof FAMILY_OPTIONS;
/** A family's complete options. */
export type FamilyOptions<F extends Family> = z.infer<(typeof FAMILY_OPTIONS)[F]>;

/** Options as a file holds them: those of every network, and any of the families' own. Plain JSON. */
export const modelOptionsSchema = z.strictObject(FIELDS).partial().required({
  numClasses: true,
  logitBias: true,
  temperature: true,
});

/** A network's complete options, of whatever family. */
export type ResolvedOptions = z.infer<typeof modelOptionsSchema>;
/** What a caller may give: any part of the options. */
export type ModelOptions = Partial<ResolvedOptions>;

/** Logit bias that makes a fresh network's sigmoid answer 1/classes: -ln(classes - 1); 0 where that is not defined. */
export function defaultLogitBias(numClasses: number): number {
  return numClasses > 1 ? -Math.log(numClasses - 1) : 0;
}
