/*
 * The tensor program behind an exported file: the whole explanation of an image in one pure function, so that all its
 * parts share one forward pass. `graph.ts` adds to the traced graph what tensor programs cannot say: sums in
 * float64, any number of concepts, and blocks that run only where they are asked for.
 */
import * as tf from '@tensorflow/tfjs';
import type { TensorTree } from '../../engine/tensorTree.js';
import { INPUT_TAP } from '../../models/ends.js';
import {
  attributeConcepts,
  attributePixels,
  mapConcepts,
  reconstructFeatures,
  type SaeTensors,
  traceConcepts,
} from '../conceptProgram.js';
import { networkPart } from '../networkPart.js';
import { type NetworkPart, runPart } from '../parts.js';
import type { Sae, TappedModel } from '../sae.js';

/** What is exported: the network and what is spliced in. */
export interface ExportSource {
  readonly model: TappedModel;
  /** Autoencoder whose concepts are explained; null: pixels only. */
  readonly sae: Sae | null;
  /** Autoencoder at an earlier tap, for traces. */
  readonly early: Sae | null;
}

/** Arguments of the traced function, in order. */
export type ExportArguments = readonly [image: tf.Tensor4D, target: tf.Tensor2D, column: tf.Tensor1D];

/** A program to trace, and the names of the network's constants in the columns of the bias terms. */
export interface ExportProgram {
  readonly run: (...args: ExportArguments) => { readonly [name: string]: TensorTree };
  readonly lowerConstants: readonly string[];
  readonly upperConstants: readonly string[];
}

function tensorsOf(sae: Sae): SaeTensors {
  return { encoder: sae.encoder, decoder: sae.decoder, k: sae.k, threshold: sae.threshold };
}

function toChannelsFirst<T extends tf.Tensor>(x: T): T {
  return tf.transpose(x, [0, 3, 1, 2]) as T;
}

function encoder(source: ExportSource): (image: tf.Tensor4D) => tf.Tensor4D {
  const encode = networkPart(source.model.segment(null, INPUT_TAP));
  return (image) => runPart(encode, tf.transpose(image, [0, 2, 3, 1])) as tf.Tensor4D;
}

/** The given target, or for an image whose weights are all 0 the class with the highest score. */
function targetOf(weights: tf.Tensor2D, scores: tf.Tensor2D): tf.Tensor2D {
  const best = tf.cast(tf.oneHot(tf.argMax(scores, 1) as tf.Tensor1D, scores.shape[1]), 'float32');
  const isGiven = tf.any(tf.notEqual(weights, 0), 1, true);
  return tf.add(weights, tf.mul(best, tf.sub(1, tf.cast(isGiven, 'float32')))) as tf.Tensor2D;
}

function biasOf({ model }: ExportSource): number {
  return model.spec.logitBias ?? 0;
}

/** The target's share of the logit bias, then what the constants add: [N, 1 + constants]. */
function biasTerms(
  source: ExportSource,
  target: tf.Tensor2D,
  constants: readonly string[],
  terms: tf.Tensor2D,
): tf.Tensor2D {
  const bias = tf.mul(tf.sum(target, 1, true), biasOf(source)) as tf.Tensor2D;
  return constants.length === 0 ? bias : tf.concat([bias, terms], 1);
}

function answers(source: ExportSource, scores: tf.Tensor2D) {
  return { logits: tf.add(scores, biasOf(source)), predicted: tf.cast(tf.argMax(scores, 1), 'int32') };
}

/** Explanation with the concepts of one autoencoder, and traces where there is an earlier one. */
function conceptProgram(source: ExportSource, sae: Sae): ExportProgram {
  const { model, early } = source;
  const segment = (from: string | null, to: string | null): NetworkPart =>
    networkPart(model.segment(from, to));
  const encode = encoder(source);
  const [lower, upper] = [segment(INPUT_TAP, sae.tap), segment(sae.tap, null)];
  const tensors = tensorsOf(sae);
  const traceParts = early && {
    parts: { lower: segment(INPUT_TAP, early.tap), middle: segment(early.tap, sae.tap) },
    saes: { early: tensorsOf(early), late: tensors },
  };
  const run = (...[image, weights, column]: ExportArguments) => {
    const x = encode(image);
    const { features, reconstruction } = reconstructFeatures(lower, tensors, x);
    const target = targetOf(weights, runPart(upper, reconstruction) as tf.Tensor2D);
    const a = attributeConcepts(lower, upper, tensors, x, target);
    const ids = tf.expandDims(column, 1) as tf.Tensor2D;
    const mapped = mapConcepts(lower, tensors, x, a, ids);
    const traced = traceParts && traceConcepts(traceParts.parts, traceParts.saes, x, ids);
    return {
      ...answers(source, a.scores),
      scores: a.scores,
      target,
      logits_alone: tf.add(runPart(upper, features), biasOf(source)),
      activation_values: a.values,
      activation_concepts: a.indices,
      presence: a.presence,
      feature_error: a.errors,
      feature_norm: a.lengths,
      contributions: a.contributions,
      bias_terms: biasTerms(source, target, upper.constants, a.upperConstants),
      class_map: a.map,
      class_gradient: toChannelsFirst(a.gradient),
      concept_maps: tf.squeeze(mapped.maps, [1]),
      ...(lower.constants.length === 0
        ? {}
        : {
            class_map_bias_terms: a.lowerConstants,
            concept_map_bias_terms: tf.squeeze(mapped.constantTerms, [1]),
          }),
      ...(traced === null
        ? {}
        : {
            traces: tf.squeeze(traced.traces, [1]),
            early_presence: traced.earlyPresence,
            trace_presence: traced.latePresence,
          }),
    };
  };
  return { run, lowerConstants: lower.constants, upperConstants: upper.constants };
}

/** Explanation of a network without autoencoder: pixels only. */
function pixelProgram(source: ExportSource): ExportProgram {
  const encode = encoder(source);
  const whole = networkPart(source.model.segment(INPUT_TAP, null));
  const run = (...[image, weights]: ExportArguments) => {
    const x = encode(image);
    const target = targetOf(weights, runPart(whole, x) as tf.Tensor2D);
    const a = attributePixels(whole, x, target);
    return {
      ...answers(source, a.scores),
      scores: a.scores,
      target,
      class_map: a.map,
      class_gradient: toChannelsFirst(a.gradient),
      bias_terms: biasTerms(source, target, [], a.lowerConstants),
      ...(whole.constants.length === 0 ? {} : { class_map_bias_terms: a.lowerConstants }),
    };
  };
  return { run, lowerConstants: whole.constants, upperConstants: [] };
}

/** The explanation of a network as one program: with concepts where there is an autoencoder. */
export function explanationProgram(source: ExportSource): ExportProgram {
  return source.sae === null ? pixelProgram(source) : conceptProgram(source, source.sae);
}

/** Logits alone, or features at taps: [N, C, h, w], or [N, tokens, C] of a transformer. */
export function plainProgram(
  source: ExportSource,
  taps: readonly string[],
  withAnswers = false,
): (image: tf.Tensor4D) => { readonly [name: string]: TensorTree } {
  const encode = encoder(source);
  const names = [INPUT_TAP, ...taps];
  const parts = taps.map((tap, i) => networkPart(source.model.segment(names[i], tap)));
  const last = networkPart(source.model.segment(names[names.length - 1], null));
  return (image) => {
    let x: tf.Tensor = encode(image);
    if (taps.length === 0) return answers(source, runPart(last, x) as tf.Tensor2D);
    const found: Record<string, tf.Tensor> = {};
    taps.forEach((tap, i) => {
      x = runPart(parts[i], x);
      found[`features_${tap}`] = x.rank === 4 ? toChannelsFirst(x) : x;
    });
    return withAnswers ? { ...found, ...answers(source, runPart(last, x) as tf.Tensor2D) } : found;
  };
}
