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

/**
 * Options of a network, plain JSON. Every field has a default in the registry's entry; `resolveOptions` fills them.
 */
export const modelOptionsSchema = z.strictObject({
  numClasses: count,
  /** Channels of the first stage; each later stage doubles them. */
  width: count,
  /** Residual blocks of each stage, one to six stages. */
  blocks: z.array(count).min(1).max(6),
  block: z.enum(['basic', 'bottleneck']),
  /** imagenet: 7x7 stride 2, average pool 3x3 stride 2. cifar: 3x3. small: 3x3 stride 2, average pool 3x3 stride 2. */
  stem: z.enum(['imagenet', 'cifar', 'small']),
  /** Groups of the bottleneck's 3x3 convolution (ResNeXt), and its width a group at a stage width of 64. */
  groups: count,
  groupWidth: count,
  b: z.number().min(1),
  maxOut: count,
  norm: z.enum(NORM_NAMES),
  /** affine: weight and bias; linear: weight only; unaffine: neither. */
  normParameters: z.enum(['affine', 'linear', 'unaffine']),
  normEpsilon: z.number().min(0),
  /** Added to every score; null: none. Default -ln(classes - 1), 0 for one class. */
  logitBias: z.number().nullable(),
  temperature: z.number().nullable(),
  /** Probability of dropping the last block when training; rises linearly from 0 at the first. */
  stochasticDepth: z.number().min(0).max(1),
});

/** A network's complete options. */
export type ResolvedOptions = z.infer<typeof modelOptionsSchema>;
/** What a caller may give: any part of the options. */
export type ModelOptions = Partial<ResolvedOptions>;

/** Logit bias that makes a fresh network's sigmoid answer 1/classes: -ln(classes - 1); 0 where that is not defined. */
export function defaultLogitBias(numClasses: number): number {
  return numClasses > 1 ? -Math.log(numClasses - 1) : 0;
}
