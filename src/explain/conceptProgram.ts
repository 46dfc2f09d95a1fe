/*
 * Concept explanation as pure tensor functions, for any engine, eager or compiled (FaCT, arXiv 2510.25512).
 *
 *     F  = lower(x)              u = topk(relu(E F))          F^ = D u          scores = upper(F^)
 *     G  = d <t, scores> / d F^  in explanation mode           t: any linear combination of the classes, per image
 *     w_pj = <D_j, G_p>          what one unit of concept j at position p is worth to the target
 *     contribution_j = sum_p u_pj w_pj        presence_j = sum_p u_pj
 *     class map      = x * lower^T(sum_j w_pj E_j over the active j)
 *     map of j       = x * lower^T(E_j where j is active)      sums to presence_j
 *
 * Sparse throughout: k of the K concepts a position. Only the encoder's output is [positions, K].
 */
import * as tf from '@tensorflow/tfjs';
import { encodeSparse } from '../layers/topKSae.js';
import { type NetworkPart, pullBack, runPart } from './parts.js';

/** The tensors of an autoencoder. */
export interface SaeTensors {
  /** [K, C] */
  readonly encoder: tf.Tensor2D;
  /** [C, K] */
  readonly decoder: tf.Tensor2D;
  /** Most activations of a position. */
  readonly k: number;
  /** Of these, those above it count (a constant of the program); nothing or 0: all positive ones. */
  readonly threshold?: number;
}

/** Sparse code of features, positions flattened: values and int32 indices [N, P, k]. */
export type ConceptCode = {
  readonly values: tf.Tensor3D;
  readonly indices: tf.Tensor3D;
};

/** Features [N, ..., C] as [N, P, C]. */
function flatten(features: tf.Tensor): tf.Tensor3D {
  return tf.reshape(features, [features.shape[0], -1, features.shape[features.shape.length - 1]]);
}

/** Sparse code of features [N, ..., C]. Caller disposes. */
export function encodeConcepts(features: tf.Tensor, sae: SaeTensors): ConceptCode {
  const { values, indices } = encodeSparse(flatten(features), sae.encoder, sae.k, sae.threshold);
  return { values: values as tf.Tensor3D, indices: indices as tf.Tensor3D };
}

/**
 * Positions of each image whose places are all taken: [N], float32. Under a threshold (BatchTopK) they may have lost
 * smaller activations; without one that is the normal case.
 */
export function countFullPositions(values: tf.Tensor3D): tf.Tensor1D {
  const [batch, positions, k] = values.shape;
  return tf.tidy(() => tf.sum(tf.step(tf.slice(values, [0, 0, k - 1], [batch, positions, 1])), [1, 2]));
}

/** Rows of a table [K, C] that a code selects: [N*P, k, C]. */
export function rowsOf(table: tf.Tensor2D, indices: tf.Tensor3D): tf.Tensor3D {
  const [batch, positions, k] = indices.shape;
  const rows = tf.gather(table, tf.reshape(indices, [-1]) as tf.Tensor1D);
  return tf.reshape(rows, [batch * positions, k, table.shape[1]]);
}

/** Sum over k of weights [N, P, k] times rows [N*P, k, C]: [N, P, C]. */
export function combineRows(weights: tf.Tensor3D, rows: tf.Tensor3D): tf.Tensor3D {
  const [batch, positions, k] = weights.shape;
  const mixed = tf.matMul(tf.reshape(weights, [batch * positions, 1, k]), rows);
  return tf.reshape(mixed, [batch, positions, rows.shape[2]]);
}

/** <row, g_p> for each row of a position: rows [N*P, k, C], g [N, P, C] -> [N, P, k]. */
function projectRows(rows: tf.Tensor3D, g: tf.Tensor3D): tf.Tensor3D {
  const [batch, positions, channels] = g.shape;
  const products = tf.matMul(rows, tf.reshape(g, [batch * positions, channels, 1]));
  return tf.reshape(products, [batch, positions, rows.shape[1]]);
}

/** Sum over positions by concept: values, indices [N, P, k] -> [N, depth]. */
export function sumByConcept(values: tf.Tensor3D, indices: tf.Tensor3D, depth: number): tf.Tensor2D {
  return tf.tidy(() => {
    const batch = values.shape[0];
    const offsets = tf.reshape(tf.mul(tf.range(0, batch, 1, 'int32'), tf.scalar(depth, 'int32')), [
      batch,
      1,
      1,
    ]);
    const segments = tf.reshape(tf.add(indices, offsets), [-1]) as tf.Tensor1D;
    const sums = tf.unsortedSegmentSum(tf.reshape(values, [-1]), segments, batch * depth);
    return tf.reshape(sums, [batch, depth]);
  });
}

/** Autoencoder applied at a tap: code, gathered decoder rows, reconstruction in the features' shape. */
export function splice(features: tf.Tensor, sae: SaeTensors) {
  const code = encodeConcepts(features, sae);
  const decoderRows = rowsOf(tf.transpose(sae.decoder) as tf.Tensor2D, code.indices);
  const reconstruction = combineRows(code.values, decoderRows);
  return { code, decoderRows, reconstruction: tf.reshape(reconstruction, features.shape) };
}

/** Contributions of a code whose reconstruction has the gradient g, the weights behind them, and the pullback to F. */
export function attribute(code: ConceptCode, decoderRows: tf.Tensor3D, g: tf.Tensor, sae: SaeTensors) {
  const active = tf.step(code.values);
  const weights = tf.mul(projectRows(decoderRows, flatten(g)), active) as tf.Tensor3D;
  const perPosition = tf.mul(code.values, weights) as tf.Tensor3D;
  const gradient = combineRows(weights, rowsOf(sae.encoder, code.indices));
  return {
    weights,
    contributions: sumByConcept(perPosition, code.indices, sae.encoder.shape[0]),
    gradient: tf.reshape(gradient, g.shape),
  };
}

/** image * gradient summed over the last axis. */
export function pixelMap(image: tf.Tensor, gradient: tf.Tensor): tf.Tensor {
  return tf.sum(tf.mul(image, gradient), -1);
}

/** Scores of a target: one forward and one backward pass through the spliced network. N images, h x w or T positions. */
export type ConceptAttribution = {
  /** Logits before the bias is added, of the spliced network: [N, classes]. */
  readonly scores: tf.Tensor2D;
  /** Activations and concept numbers, k a position: [N, P, k]. */
  readonly values: tf.Tensor3D;
  readonly indices: tf.Tensor3D;
  /** Worth of one unit of each of them to the target: [N, P, k]. */
  readonly weights: tf.Tensor3D;
  /** [N, K] */
  readonly contributions: tf.Tensor2D;
  readonly presence: tf.Tensor2D;
  /** ||F - F^|| and ||F|| at each position: [N, P]. */
  readonly errors: tf.Tensor2D;
  readonly lengths: tf.Tensor2D;
  /** Gradient of the target with respect to the encoded image, [N, H, W, 6], and its product with it, [N, H, W]. */
  readonly gradient: tf.Tensor4D;
  readonly map: tf.Tensor3D;
  /** Terms of the constants below and above the tap: [N, constants]. */
  readonly lowerConstants: tf.Tensor2D;
  readonly upperConstants: tf.Tensor2D;
};

/**
 * Attributes a target to concepts and to pixels.
 * @param x encoded images [N, H, W, 6] @param target [N, classes]. Caller disposes the results.
 */
export function attributeConcepts(
  lower: NetworkPart,
  upper: NetworkPart,
  sae: SaeTensors,
  x: tf.Tensor4D,
  target: tf.Tensor2D,
): ConceptAttribution {
  return tf.tidy(() => {
    const features = runPart(lower, x);
    const { code, decoderRows, reconstruction } = splice(features, sae);
    const above = pullBack(upper, reconstruction, target);
    const shares = attribute(code, decoderRows, above.gradient, sae);
    const below = pullBack(lower, x, shares.gradient);
    const lengthOf = (f: tf.Tensor): tf.Tensor2D => tf.sqrt(tf.sum(tf.square(flatten(f)), 2)) as tf.Tensor2D;
    return {
      scores: above.value as tf.Tensor2D,
      values: code.values,
      indices: code.indices,
      weights: shares.weights,
      contributions: shares.contributions,
      presence: sumByConcept(code.values, code.indices, sae.encoder.shape[0]),
      errors: lengthOf(tf.sub(features, reconstruction)),
      lengths: lengthOf(features),
      gradient: below.gradient as tf.Tensor4D,
      map: pixelMap(x, below.gradient) as tf.Tensor3D,
      lowerConstants: below.constantTerms,
      upperConstants: above.constantTerms,
    };
  });
}

/** Features, reconstruction and code at a tap, for analysis. Caller disposes. */
export function reconstructFeatures(
  lower: NetworkPart,
  sae: SaeTensors,
  x: tf.Tensor4D,
): { features: tf.Tensor; reconstruction: tf.Tensor; values: tf.Tensor3D; indices: tf.Tensor3D } {
  return tf.tidy(() => {
    const features = runPart(lower, x);
    const { code, reconstruction } = splice(features, sae);
    return { features, reconstruction, ...code };
  });
}

/**
 * Worth of one unit of each selected activation to a target [N, classes]: [N, P, k], 0 where nothing is active; and the
 * terms of the part's constants. Caller disposes both.
 */
export function weighCode(
  upper: NetworkPart,
  sae: SaeTensors,
  code: ConceptCode,
  reconstruction: tf.Tensor,
  target: tf.Tensor2D,
): { worth: tf.Tensor3D; constantTerms: tf.Tensor2D } {
  return tf.tidy(() => {
    const rows = rowsOf(tf.transpose(sae.decoder) as tf.Tensor2D, code.indices);
    const { gradient, constantTerms } = pullBack(upper, reconstruction, target);
    const worth = tf.mul(projectRows(rows, flatten(gradient)), tf.step(code.values)) as tf.Tensor3D;
    return { worth, constantTerms };
  });
}

/** Contributions to a target [N, classes] of a code and its reconstruction: [N, K]. Caller disposes. */
export function contributeToTarget(...of: Parameters<typeof weighCode>): tf.Tensor2D {
  return tf.tidy(() => {
    const [, sae, { values, indices }] = of;
    return sumByConcept(tf.mul(values, weighCode(...of).worth), indices, sae.encoder.shape[0]);
  });
}

/** Attribution without autoencoder: the whole network in one part. Results as in `ConceptAttribution`. */
export function attributePixels(
  network: NetworkPart,
  x: tf.Tensor4D,
  target: tf.Tensor2D,
): Pick<ConceptAttribution, 'scores' | 'gradient' | 'map' | 'lowerConstants'> {
  return tf.tidy(() => {
    const { value, gradient, constantTerms } = pullBack(network, x, target);
    return {
      scores: value as tf.Tensor2D,
      gradient: gradient as tf.Tensor4D,
      map: pixelMap(x, gradient) as tf.Tensor3D,
      lowerConstants: constantTerms,
    };
  });
}

/** The baseline whose concepts are the channels at a tap: contribution = sum over positions of feature * gradient. */
export function attributeChannels(
  lower: NetworkPart,
  upper: NetworkPart,
  x: tf.Tensor4D,
  target: tf.Tensor2D,
): { scores: tf.Tensor2D; contributions: tf.Tensor2D; presence: tf.Tensor2D } {
  return tf.tidy(() => {
    const features = runPart(lower, x);
    const { value, gradient } = pullBack(upper, features, target);
    return {
      scores: value as tf.Tensor2D,
      contributions: tf.sum(flatten(tf.mul(features, gradient)), 1) as tf.Tensor2D,
      presence: tf.sum(flatten(features), 1) as tf.Tensor2D,
    };
  });
}

/** Seed at the tap for one concept an image: weight * E_c where c is active. `ids` int32 [N]; result [N, P, C]. */
export function conceptSeed(
  code: ConceptCode,
  weights: tf.Tensor3D | null,
  ids: tf.Tensor1D,
  encoder: tf.Tensor2D,
): tf.Tensor {
  const batch = ids.shape[0];
  const chosen = tf.mul(
    tf.cast(tf.equal(code.indices, tf.reshape(ids, [batch, 1, 1])), 'float32'),
    tf.step(code.values),
  );
  const mask = tf.sum(weights === null ? chosen : tf.mul(chosen, weights), 2, true);
  return tf.mul(mask, tf.expandDims(tf.gather(encoder, ids), 1));
}

function columns(ids: tf.Tensor2D): tf.Tensor1D[] {
  return tf.unstack(ids, 1) as tf.Tensor1D[];
}

/** Pixel maps of J concepts an image. */
export type ConceptMaps = {
  /** Gradient of each concept's presence with respect to the encoded image: [N, J, H, W, 6]. */
  readonly gradients: tf.Tensor5D;
  /** [N, J, H, W]; sums to the presence (less the constants' terms). */
  readonly maps: tf.Tensor4D;
  /** [N, J, constants] */
  readonly constantTerms: tf.Tensor3D;
};

/**
 * Pixel maps of chosen concepts: the presence of each or, with `weights` of `attributeConcepts`, its contribution to
 * the target. One backward pass a concept; compiled, all share one forward pass.
 * @param ids int32 [N, J] concept numbers. Caller disposes.
 */
export function mapConcepts(
  lower: NetworkPart,
  sae: SaeTensors,
  x: tf.Tensor4D,
  code: ConceptCode,
  ids: tf.Tensor2D,
  weights: tf.Tensor3D | null = null,
): ConceptMaps {
  return tf.tidy(() => {
    const flatLower: NetworkPart = {
      ...lower,
      run: (image, constants) => flatten(lower.run(image, constants)),
    };
    const pulled = columns(ids).map((column) =>
      pullBack(flatLower, x, conceptSeed(code, weights, column, sae.encoder)),
    );
    return {
      gradients: tf.stack(
        pulled.map((p) => p.gradient),
        1,
      ) as tf.Tensor5D,
      maps: tf.stack(
        pulled.map((p) => pixelMap(x, p.gradient)),
        1,
      ) as tf.Tensor4D,
      constantTerms: tf.stack(
        pulled.map((p) => p.constantTerms),
        1,
      ) as tf.Tensor3D,
    };
  });
}

/** Traces between two taps, both with their autoencoder spliced in. */
export type ConceptTraces = {
  readonly early: ConceptCode;
  readonly late: ConceptCode;
  readonly earlyPresence: tf.Tensor2D;
  readonly latePresence: tf.Tensor2D;
  /** Contribution of each early concept to the presence of each chosen late one: [N, J, early K]. */
  readonly traces: tf.Tensor3D;
};

/** Contributions to a target with two autoencoders spliced in; each row of both sums to the target's score. */
export type TwoLevelContributions = {
  readonly scores: tf.Tensor2D;
  /** [N, early K] */
  readonly early: tf.Tensor2D;
  /** [N, late K] */
  readonly late: tf.Tensor2D;
};

interface TwoSaes {
  readonly early: SaeTensors;
  readonly late: SaeTensors;
}

/** The network up to the late tap with both autoencoders, and the share of each early concept in a seed there. */
function spliceTwo(lower: NetworkPart, middle: NetworkPart, saes: TwoSaes, x: tf.Tensor4D) {
  const early = splice(runPart(lower, x), saes.early);
  const features = runPart(middle, early.reconstruction);
  const late = splice(features, saes.late);
  const earlyShare = (seed: tf.Tensor): tf.Tensor2D => {
    const { gradient } = pullBack(middle, early.reconstruction, tf.reshape(seed, features.shape));
    return attribute(early.code, early.decoderRows, gradient, saes.early).contributions;
  };
  return { early, late, earlyShare };
}

/**
 * Concept-to-concept traces through `lower` (to the early tap) and `middle` (early to late tap).
 * @param ids int32 [N, J] late concepts. Caller disposes.
 */
export function traceConcepts(
  parts: { readonly lower: NetworkPart; readonly middle: NetworkPart },
  saes: TwoSaes,
  x: tf.Tensor4D,
  ids: tf.Tensor2D,
): ConceptTraces {
  return tf.tidy(() => {
    const { early, late, earlyShare } = spliceTwo(parts.lower, parts.middle, saes, x);
    const presence = (code: ConceptCode, sae: SaeTensors): tf.Tensor2D =>
      sumByConcept(code.values, code.indices, sae.encoder.shape[0]);
    return {
      early: early.code,
      late: late.code,
      earlyPresence: presence(early.code, saes.early),
      latePresence: presence(late.code, saes.late),
      traces: tf.stack(
        columns(ids).map((column) => earlyShare(conceptSeed(late.code, null, column, saes.late.encoder))),
        1,
      ) as tf.Tensor3D,
    };
  });
}

/** Contributions of early and of late concepts to a target [N, classes]. Caller disposes. */
export function contributeTwoLevels(
  parts: { readonly lower: NetworkPart; readonly middle: NetworkPart; readonly upper: NetworkPart },
  saes: TwoSaes,
  x: tf.Tensor4D,
  target: tf.Tensor2D,
): TwoLevelContributions {
  return tf.tidy(() => {
    const { late, earlyShare } = spliceTwo(parts.lower, parts.middle, saes, x);
    const above = pullBack(parts.upper, late.reconstruction, target);
    const shares = attribute(late.code, late.decoderRows, above.gradient, saes.late);
    return {
      scores: above.value as tf.Tensor2D,
      early: earlyShare(shares.gradient),
      late: shares.contributions,
    };
  });
}
