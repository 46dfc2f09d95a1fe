/*
 * An explanation: plain data, typed arrays and numbers, no live tensors. Reports and pictures are functions of it, so
 * every front end shows the same numbers.
 *
 * Signs: a positive contribution speaks for the target, a negative one against it. Shares have two denominators, which
 * a report names: `share` = contribution / sum over all concepts of |contribution| (the absolute shares of all concepts
 * add up to 1); `positiveShare` = max(contribution, 0) / sum of the positive contributions, FaCT's figure.
 */
import type { DecodedImage } from '../data/decode.js';
import type { Ledger } from './ledger.js';

/** A picture to explain. */
export interface ExplainImage {
  /** How it is named to people: a path. */
  readonly name: string;
  /** As the network sees it: RGB bytes [height, width, 3]. */
  readonly pixels: Uint8Array;
  readonly height: number;
  readonly width: number;
  /** The decoded original, for pictures; null where there is none. */
  readonly original: DecodedImage | null;
  /** Number of its true class where that is known. */
  readonly trueClass: number | null;
}

/** A class with what the network gave it; `probabilityOf` says what the probability is. */
export interface ClassScore {
  readonly index: number;
  readonly name: string;
  readonly logit: number;
  readonly probability: number;
}

/** What is explained: the logit of a class, or the difference of two. */
export interface Target {
  readonly for: ClassScore;
  /** The class that `for` is compared with; null: the logit of one class. */
  readonly versus: ClassScore | null;
  /** Score before the bias: what concepts and pixels add up to. */
  readonly score: number;
  /** Logit bias of the target: 0 for a difference, where it cancels. */
  readonly bias: number;
  /** Why this target: the network's answer, the user's choice, or a wrong answer against the true class. */
  readonly reason: 'predicted' | 'asked' | 'misclassified';
}

/** A map over the pixels of the image as the network saw it. */
export interface PixelMap {
  readonly height: number;
  readonly width: number;
  /** Contribution of each pixel, row by row. */
  readonly values: Float32Array;
}

/** What an earlier concept adds to a later one. */
export interface Trace {
  readonly concept: number;
  readonly contribution: number;
  /** contribution / sum over all early concepts of |contribution|. */
  readonly share: number;
}

export interface ConceptShare {
  readonly concept: number;
  /** Sum of its activations over the image. */
  readonly presence: number;
  readonly contribution: number;
  readonly share: number;
  readonly positiveShare: number;
  /** For a difference of classes: its contribution to each of the two. */
  readonly contributionFor: number | null;
  readonly contributionVersus: number | null;
  /** Contribution of each pixel to its presence. */
  readonly map: PixelMap | null;
  /** Earlier concepts that it is made of, largest first; empty without an earlier autoencoder. */
  readonly madeOf: readonly Trace[];
}

/** The concepts that are not listed one by one. */
export interface OtherConcepts {
  readonly count: number;
  readonly contribution: number;
  readonly share: number;
}

export interface Explanation {
  readonly image: ExplainImage;
  /** Answer of the network with the autoencoder in it (the one explained), and of the network alone. */
  readonly predicted: ClassScore;
  readonly predictedAlone: ClassScore;
  readonly trueClass: ClassScore | null;
  /** The five highest logits, falling. */
  readonly ranking: readonly ClassScore[];
  readonly logits: Float32Array;
  readonly target: Target;
  /** Tap of the autoencoder; null: explained without concepts. */
  readonly tap: string | null;
  /** Largest first, by |contribution|. */
  readonly concepts: readonly ConceptShare[];
  readonly others: OtherConcepts;
  readonly positiveSum: number;
  readonly negativeSum: number;
  /** Pixels' contributions to the target, and the gradient [height, width, 6] behind them (for the coloured picture). */
  readonly map: PixelMap;
  readonly gradient: Float32Array;
  /** 1 - ||F - F^||^2 / ||F||^2 over the image: how much of the features the concepts keep. Null without them. */
  readonly featuresKept: number | null;
  /**
   * Positions at which all places of the code are taken although an autoencoder of architecture batchtopk has a
   * threshold: smaller activations above it may be missing there. Null where the code has no threshold or none is known.
   */
  readonly fullPositions: number | null;
  readonly ledgers: readonly Ledger[];
}

/** 1 / (1 + exp(-logit)). */
export function sigmoid(logit: number): number {
  return 1 / (1 + Math.exp(-logit));
}
