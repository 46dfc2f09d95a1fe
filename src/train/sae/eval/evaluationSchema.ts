/** Schema of evaluation.json, version 1; docs/sae-evaluation.md explains each field. Percentages are 0 to 100. */
import { z } from 'zod';
import { count, modelSchema, skippedSchema } from '../../../explain/report/sharedSchema.js';

export const EVALUATION_FORMAT = 'fact-sae-evaluation';
export const EVALUATION_VERSION = 1;

const number = z.number();
const percent = number.min(0).max(100 + 1e-6);
const share = number.min(-1e-6).max(1 + 1e-6);

const spreadSchema = z.strictObject({ mean: number, deviation: number.nullable() });
const quantileSchema = z.strictObject({ q05: number, q25: number, median: number, q75: number, q95: number });
const histogramSchema = z.strictObject({ edges: z.array(number), counts: z.array(count) });

/** One number a concept, in the order of the concepts. */
const column = z.array(number);
const sparseColumn = z.array(number.nullable());

const matchSchema = z.strictObject({
  /** Concepts of either side that took part, and pairs (the smaller of both). */
  concepts: count,
  otherConcepts: count,
  pairs: count,
  mean: number,
  quantiles: quantileSchema,
  above90Percent: percent,
  above70Percent: percent,
  /** Mean of each concept's largest cosine, several may share a partner. */
  nearestMean: number,
  /** `exact`, or `bounded`: the best possible mean is at most `gap` higher. */
  method: z.enum(['exact', 'bounded']),
  gap: number.min(0),
  random: z.strictObject({ mean: number, median: number, above70Percent: percent }),
});

const overlapSchema = z.strictObject({
  /** Dimensions of the headline number: as many as hold 90 % of this autoencoder's energy. */
  dimensions: count,
  overlap: share,
  random: share,
  /** The same at several numbers of dimensions. */
  curve: z.array(z.strictObject({ dimensions: count, overlap: share, random: share })),
});

const stabilitySchema = z.strictObject({
  path: z.string(),
  hash: z.string(),
  latents: count,
  k: count,
  all: matchSchema,
  /** Only concepts that are active somewhere in the data, of both sides; null where fewer than one is. */
  alive: matchSchema.nullable(),
  /** Spans of the concepts with the most energy, and principal subspaces weighted by energy. */
  mostUsed: overlapSchema.nullable(),
  principal: overlapSchema.nullable(),
  /** Cosines of the pairs among the concepts compared (alive, else all), largest first; at most 400 of them, evenly spaced. */
  sortedCosines: z.array(number),
  sortedRandomCosines: z.array(number),
});

export const saeEvaluationSchema = z.strictObject({
  format: z.literal(EVALUATION_FORMAT),
  version: z.literal(EVALUATION_VERSION),
  packageVersion: z.string(),
  engine: z.string(),
  model: modelSchema,
  autoencoder: z.strictObject({
    path: z.string(),
    hash: z.string(),
    architecture: z.string(),
    tap: z.string(),
    channels: count,
    latents: count,
    k: count,
  }),
  data: z.strictObject({
    path: z.string(),
    split: z.string().nullable(),
    images: count,
    /** Classes with at least one image that was read. */
    classes: count,
    positions: count,
    broken: z.array(skippedSchema),
  }),
  accuracy: z.strictObject({
    top1Percent: percent,
    top5Percent: percent,
    splicedTop1Percent: percent,
    splicedTop5Percent: percent,
    agreementPercent: percent,
  }),
  reconstruction: z.strictObject({
    varianceExplained: number.max(1).nullable(),
    l2ErrorMean: number,
    l2ErrorDeviation: number.nullable(),
    featureLengthMean: number,
    relativeErrorMean: number.nullable(),
  }),
  sparsity: z.strictObject({
    l0: spreadSchema,
    imageL0: spreadSchema,
    /** Positions with k active concepts. */
    fullPositionsPercent: percent,
  }),
  activity: z.strictObject({
    dead: count,
    deadPercent: percent,
    tooActive: z.array(count),
    /** log10 of the share of positions at which a concept is active; dead concepts are not in it. */
    log10Density: histogramSchema,
  }),
  contributions: z.strictObject({
    conceptsTo80: number.nullable(),
    conceptsTo80Quantiles: quantileSchema.nullable(),
    conceptsTo80AllImages: number,
    imagesWithoutPositive: count,
    alive: count,
    alivePercent: percent,
    alwaysAlive: z.array(count),
    alwaysAliveSharePercent: percent,
    /** Place n: the n + 1 largest concepts. Ends where every image has reached 100 %. */
    coverage: z.strictObject({ mean: z.array(percent), deviation: z.array(number).nullable() }),
    /** Place n: images that need n concepts. */
    conceptsTo80Images: z.array(count),
  }),
  labels: z.strictObject({
    /** Over the concepts that are present in some image; null where none is. */
    entropyMean: number.nullable(),
    entropyQuantiles: quantileSchema.nullable(),
    effectiveClassesMean: number.nullable(),
    effectiveClassesQuantiles: quantileSchema.nullable(),
    largestEntropy: number,
  }),
  spatial: z.strictObject({
    positions: z.strictObject({
      /** Mean over concepts of their mean number of positions. */
      mean: number.nullable(),
      meanPercent: percent.nullable(),
      quantiles: quantileSchema.nullable(),
      positions: count,
    }),
    pixels: z
      .strictObject({
        images: count,
        conceptsPerImage: count,
        pairs: count,
        meanPixels: number,
        deviationPixels: number.nullable(),
        meanPercent: percent,
        imagePixels: count,
      })
      .nullable(),
  }),
  concepts: z.strictObject({
    activePositions: column,
    activeImages: column,
    contributingImages: column,
    meanSharePercent: column,
    entropy: sparseColumn,
    effectiveClasses: sparseColumn,
    topClass: sparseColumn,
    topClassShare: sparseColumn,
    meanPositions: sparseColumn,
    meanPixels: sparseColumn,
    /** Mean over the other autoencoders of the matched cosine; null without any, or where not compared. */
    matchedCosine: sparseColumn,
  }),
  stability: z.array(stabilitySchema),
});

export type SaeEvaluation = z.infer<typeof saeEvaluationSchema>;
export type SaeStability = z.infer<typeof stabilitySchema>;
export type DecoderMatch = z.infer<typeof matchSchema>;
export type SubspaceOverlap = z.infer<typeof overlapSchema>;
export type Measured = Omit<
  SaeEvaluation,
  'format' | 'version' | 'packageVersion' | 'engine' | 'model' | 'autoencoder' | 'stability' | 'data'
>;
