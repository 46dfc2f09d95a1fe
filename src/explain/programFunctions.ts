/*
 * The two tensor functions of one network and its autoencoders, pure and engine-independent: `scores`, and `explain`,
 * which does all of an explanation in one go, so that compiled it is one graph with one forward pass:
 *
 *     scores -> target (the asked class, or the highest score; less the second class where that is another one)
 *            -> contributions of all concepts -> the J concepts to show -> their pixel maps and traces
 *
 * The choices that a person would make from the scores are made by tensor operations, each image on its own.
 */
import * as tf from '@tensorflow/tfjs';
import type { BcosModel } from '../models/bcosModel.js';
import { INPUT_TAP } from '../models/ends.js';
import { KEPT_FOR_A_SIDE } from './chooseShown.js';
import {
  attributeConcepts,
  attributePixels,
  contributeToTarget,
  countFullPositions,
  mapConcepts,
  reconstructFeatures,
  type SaeTensors,
  traceConcepts,
} from './conceptProgram.js';
import { networkPart } from './networkPart.js';
import { type NetworkPart, runPart } from './parts.js';
import type { Sae } from './sae.js';

/** Scores before the bias: of the network alone, and with the autoencoder (equal without one): [N, classes]. */
export type ScoreTensors = { readonly alone: tf.Tensor2D; readonly spliced: tf.Tensor2D };

/** What `explain` gives for pixels, with or without autoencoder. N images of H x W. */
export type PixelTensors = {
  readonly alone: tf.Tensor2D;
  readonly spliced: tf.Tensor2D;
  /** [N, H, W, 6] and [N, H, W] */
  readonly gradient: tf.Tensor4D;
  readonly map: tf.Tensor3D;
  /** [N, constants below the tap] */
  readonly lowerConstants: tf.Tensor2D;
};

/** What an autoencoder of K concepts at P positions adds to that; J concepts are shown. */
export type ConceptTensors = {
  /** [N, K]; `versus`: contributions to the second class, zero where there is none. */
  readonly contributions: tf.Tensor2D;
  readonly versus: tf.Tensor2D;
  readonly presence: tf.Tensor2D;
  /** ||F - F^|| and ||F||: [N, P] */
  readonly errors: tf.Tensor2D;
  readonly lengths: tf.Tensor2D;
  readonly upperConstants: tf.Tensor2D;
  /** Numbers of the shown concepts, largest absolute contribution first: int32 [N, J]. */
  readonly shown: tf.Tensor2D;
  /** [N, J, H, W] and [N, J, constants] */
  readonly maps: tf.Tensor4D;
  readonly mapConstants: tf.Tensor3D;
};

/** What an earlier autoencoder of K' concepts adds: [N, J, K'] and [N, K]. */
export type TraceTensors = { readonly traces: tf.Tensor3D; readonly latePresence: tf.Tensor2D };

export type ExplainTensors = PixelTensors & Partial<ConceptTensors> & Partial<TraceTensors>;

export interface ProgramFunctions {
  /** Names of the network's constants below and above the tap (all below without an autoencoder). */
  readonly lowerConstants: readonly string[];
  readonly upperConstants: readonly string[];
  /** images [N, H, W, 3] */
  readonly scores: (images: tf.Tensor4D) => ScoreTensors;
  /**
   * images [N, H, W, 3]; `wanted` and `versus` [N, classes]: one-hot rows, zero rows where nothing is asked. The target
   * is `wanted` (or the highest score) less `versus`, unless both are the same class.
   */
  readonly explain: (images: tf.Tensor4D, wanted: tf.Tensor2D, versus: tf.Tensor2D) => ExplainTensors;
}

/** The target of each image and the second class that is subtracted in it: [N, classes] each. */
export function chooseTargets(
  scores: tf.Tensor2D,
  wanted: tf.Tensor2D,
  versus: tf.Tensor2D,
): { target: tf.Tensor2D; against: tf.Tensor2D } {
  return tf.tidy(() => {
    const classes = scores.shape[1];
    const isAsked = tf.sum(wanted, 1, true);
    const best = tf.cast(tf.oneHot(tf.argMax(scores, 1) as tf.Tensor1D, classes), 'float32');
    const main = tf.add(wanted, tf.mul(best, tf.sub(1, isAsked)));
    const differs = tf.sub(1, tf.sum(tf.mul(main, versus), 1, true));
    const against = tf.mul(versus, differs) as tf.Tensor2D;
    return { target: tf.sub(main, against) as tf.Tensor2D, against };
  });
}

/** 1 at the concepts [N, J] of each image, 0 elsewhere: [N, K]. */
function maskOf(ids: tf.Tensor2D, kept: tf.Tensor2D, concepts: number): tf.Tensor2D {
  const hot = tf.cast(tf.oneHot(ids, concepts), 'float32') as tf.Tensor3D;
  return tf.sum(tf.mul(hot, tf.expandDims(kept, 2)), 1) as tf.Tensor2D;
}

/**
 * Concepts to show: those with the largest absolute contribution, falling, ties by number. Where `isDifference` ([N, 1],
 * 1 or 0) a quarter of the places is kept for either sign. @returns int32 [N, min(count, K)]
 */
export function chooseConceptIds(
  contributions: tf.Tensor2D,
  isDifference: tf.Tensor2D,
  count: number,
): tf.Tensor2D {
  return tf.tidy(() => {
    const [batch, concepts] = contributions.shape;
    const places = Math.min(count, concepts);
    const kept = Math.floor(places * KEPT_FOR_A_SIDE);
    const size = tf.abs(contributions);
    if (kept === 0) return tf.topk(size, places).indices as tf.Tensor2D;
    const sides = [1, -1].map((sign) => {
      const { values, indices } = tf.topk(tf.mul(contributions, sign), kept);
      return maskOf(indices as tf.Tensor2D, tf.step(values) as tf.Tensor2D, concepts);
    });
    const isKept = tf.mul(tf.add(sides[0], sides[1]), isDifference);
    // Kept ones come before all others: nothing is larger than the largest size.
    const lift = tf.mul(2, tf.max(size, 1, true));
    const chosen = tf.topk(tf.add(size, tf.mul(isKept, lift)), places).indices as tf.Tensor2D;
    const isChosen = maskOf(chosen, tf.ones([batch, places]), concepts);
    return tf.topk(tf.where(tf.greater(isChosen, 0), size, tf.fill(size.shape, -1)), places)
      .indices as tf.Tensor2D;
  });
}

/** The tensors of an autoencoder. */
export function saeTensors(sae: Sae): SaeTensors {
  return { encoder: sae.encoder, decoder: sae.decoder, k: sae.k, threshold: sae.threshold };
}

/**
 * The functions of a network, the autoencoder that is spliced in (null: none) and an earlier one for traces (null: none).
 * @param top number of concepts shown one by one
 */
export function programFunctions(
  model: Pick<BcosModel, 'segment'>,
  sae: Sae | null,
  early: Sae | null,
  top: number,
): ProgramFunctions {
  const segment = (from: string | null, to: string | null): NetworkPart =>
    networkPart(model.segment(from, to));
  const encode = segment(null, INPUT_TAP);
  const encoded = (images: tf.Tensor4D): tf.Tensor4D => runPart(encode, images) as tf.Tensor4D;
  if (sae === null) return pixelFunctions(segment(INPUT_TAP, null), encoded);
  const lower = segment(INPUT_TAP, sae.tap);
  const upper = segment(sae.tap, null);
  const tensors = saeTensors(sae);
  const scoresOf = (x: tf.Tensor4D) => {
    const { features, reconstruction, ...code } = reconstructFeatures(lower, tensors, x);
    return {
      alone: runPart(upper, features) as tf.Tensor2D,
      spliced: runPart(upper, reconstruction) as tf.Tensor2D,
      reconstruction,
      code,
    };
  };
  const traces =
    early === null
      ? null
      : {
          parts: { lower: segment(INPUT_TAP, early.tap), middle: segment(early.tap, sae.tap) },
          saes: { early: saeTensors(early), late: tensors },
        };
  return {
    lowerConstants: lower.constants,
    upperConstants: upper.constants,
    scores: (images) =>
      tf.tidy(() => {
        const { alone, spliced } = scoresOf(encoded(images));
        return { alone, spliced };
      }),
    explain: (images, wanted, versus) =>
      tf.tidy(() => {
        const x = encoded(images);
        const { alone, spliced, reconstruction, code } = scoresOf(x);
        const { target, against } = chooseTargets(spliced, wanted, versus);
        const a = attributeConcepts(lower, upper, tensors, x, target);
        const shown = chooseConceptIds(a.contributions, tf.sum(against, 1, true), top);
        const { maps, constantTerms } = mapConcepts(lower, tensors, x, a, shown);
        const traced = traces === null ? null : traceConcepts(traces.parts, traces.saes, x, shown);
        return {
          alone,
          spliced: a.scores,
          gradient: a.gradient,
          map: a.map,
          lowerConstants: a.lowerConstants,
          contributions: a.contributions,
          versus: contributeToTarget(upper, tensors, code, reconstruction, against),
          presence: a.presence,
          errors: a.errors,
          lengths: a.lengths,
          upperConstants: a.upperConstants,
          shown,
          maps,
          mapConstants: constantTerms,
          ...(sae.threshold > 0 ? { fullPositions: countFullPositions(a.values) } : {}),
          ...(traced === null ? {} : { traces: traced.traces, latePresence: traced.latePresence }),
        };
      }),
  };
}

function pixelFunctions(whole: NetworkPart, encoded: (images: tf.Tensor4D) => tf.Tensor4D): ProgramFunctions {
  return {
    lowerConstants: whole.constants,
    upperConstants: [],
    scores: (images) =>
      tf.tidy(() => {
        const scores = runPart(whole, encoded(images)) as tf.Tensor2D;
        return { alone: scores, spliced: scores.clone() };
      }),
    explain: (images, wanted, versus) =>
      tf.tidy(() => {
        const x = encoded(images);
        const scores = runPart(whole, x) as tf.Tensor2D;
        const { target } = chooseTargets(scores, wanted, versus);
        const { gradient, map, lowerConstants } = attributePixels(whole, x, target);
        return { alone: scores, spliced: scores.clone(), gradient, map, lowerConstants };
      }),
  };
}
