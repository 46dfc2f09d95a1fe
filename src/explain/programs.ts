/*
 * The tensor programs of one network and its autoencoders, compiled for the engine that runs. Each is a pure function
 * of tensors; the weights are constants of the graph.
 */
import type * as tf from '@tensorflow/tfjs';
import { type Compiled, compile } from '../engine/compile.js';
import type { BcosModel } from '../models/bcosModel.js';
import {
  attributeConcepts,
  attributePixels,
  type ConceptTraces,
  mapConcepts,
  reconstructFeatures,
  type SaeTensors,
  traceConcepts,
} from './conceptProgram.js';
import { networkPart } from './networkPart.js';
import { type NetworkPart, runPart } from './parts.js';
import type { Sae } from './sae.js';

/** Tap at which the image has its six channels: pixels are attributed there. */
const INPUT_TAP = 'input';

type Scores = { readonly alone: tf.Tensor2D; readonly spliced: tf.Tensor2D };

/** What `attribute` gives; the concept part is absent without an autoencoder. All tensors are the caller's. */
export type Attribution = {
  readonly scores: tf.Tensor2D;
  readonly gradient: tf.Tensor4D;
  readonly map: tf.Tensor3D;
  readonly lowerConstants: tf.Tensor2D;
};

export type SplicedAttribution = Attribution & {
  readonly values: tf.Tensor3D;
  readonly indices: tf.Tensor3D;
  readonly contributions: tf.Tensor2D;
  readonly presence: tf.Tensor2D;
  readonly errors: tf.Tensor2D;
  readonly lengths: tf.Tensor2D;
  readonly upperConstants: tf.Tensor2D;
};

type Maps = { readonly maps: tf.Tensor4D; readonly constantTerms: tf.Tensor3D };
type Traces = Pick<ConceptTraces, 'traces' | 'latePresence'>;

export interface Programs {
  /** Names of the network's constants below and above the tap (all below without an autoencoder). */
  readonly lowerConstants: readonly string[];
  readonly upperConstants: readonly string[];
  /** Scores before the bias of the network alone and with the autoencoder: images [N,H,W,3] -> [N, classes] twice. */
  readonly scores: Compiled<readonly [tf.Tensor4D], Scores>;
  /** Attribution of target [N, classes] to pixels alone; null with an autoencoder. */
  readonly pixels: Compiled<readonly [tf.Tensor4D, tf.Tensor2D], Attribution> | null;
  readonly spliced: SplicedPrograms | null;
  dispose(): void;
}

export interface SplicedPrograms {
  readonly concepts: Compiled<readonly [tf.Tensor4D, tf.Tensor2D], SplicedAttribution>;
  /** Pixel maps of concepts [N, J] from the activations of `concepts`. */
  readonly maps: Compiled<readonly [tf.Tensor4D, tf.Tensor3D, tf.Tensor3D, tf.Tensor2D], Maps>;
  /** What earlier concepts add to late concepts [N, J]; null without an earlier autoencoder. */
  readonly traces: Compiled<readonly [tf.Tensor4D, tf.Tensor2D], Traces> | null;
}

/** The tensors of an autoencoder. */
function saeTensors(sae: Sae): SaeTensors {
  return { encoder: sae.encoder, decoder: sae.decoder, k: sae.k };
}

/**
 * Programs for a network, the autoencoder that is spliced in (null: none) and an earlier one for traces (null: none).
 * @param compiled false runs the same functions operation by operation. Caller disposes.
 */
export function createPrograms(
  model: Pick<BcosModel, 'segment'>,
  sae: Sae | null,
  early: Sae | null,
  compiled?: boolean,
): Programs {
  const segment = (from: string | null, to: string | null): NetworkPart =>
    networkPart(model.segment(from, to));
  const options = (name: string) => ({
    name,
    bake: true,
    independentRows: true,
    ...(compiled === undefined ? {} : { enabled: compiled }),
  });
  const encode = segment(null, INPUT_TAP);
  const encoded = (images: tf.Tensor4D): tf.Tensor4D => runPart(encode, images) as tf.Tensor4D;
  const all: { dispose(): void }[] = [];
  const own = <P extends { dispose(): void }>(program: P): P => {
    all.push(program);
    return program;
  };
  const dispose = (): void => {
    for (const program of all) program.dispose();
  };
  if (sae === null) {
    const whole = segment(INPUT_TAP, null);
    const score = (images: tf.Tensor4D): Scores => {
      const scores = runPart(whole, encoded(images)) as tf.Tensor2D;
      return { alone: scores, spliced: scores.clone() };
    };
    return {
      lowerConstants: whole.constants,
      upperConstants: [],
      scores: own(compile(score, options('explain scores'))),
      pixels: own(
        compile(
          (images: tf.Tensor4D, target: tf.Tensor2D): Attribution =>
            attributePixels(whole, encoded(images), target),
          options('explain pixels'),
        ),
      ),
      spliced: null,
      dispose,
    };
  }
  const lower = segment(INPUT_TAP, sae.tap);
  const upper = segment(sae.tap, null);
  const tensors = saeTensors(sae);
  const scores = own(
    compile((images: tf.Tensor4D): Scores => {
      const { features, reconstruction } = reconstructFeatures(lower, tensors, encoded(images));
      return {
        alone: runPart(upper, features) as tf.Tensor2D,
        spliced: runPart(upper, reconstruction) as tf.Tensor2D,
      };
    }, options('explain scores')),
  );
  const concepts = own(
    compile((images: tf.Tensor4D, target: tf.Tensor2D): SplicedAttribution => {
      const { weights: _, ...attribution } = attributeConcepts(
        lower,
        upper,
        tensors,
        encoded(images),
        target,
      );
      return attribution;
    }, options('explain concepts')),
  );
  const maps = own(
    compile((images: tf.Tensor4D, values: tf.Tensor3D, indices: tf.Tensor3D, ids: tf.Tensor2D): Maps => {
      const { maps, constantTerms } = mapConcepts(lower, tensors, encoded(images), { values, indices }, ids);
      return { maps, constantTerms };
    }, options('explain concept maps')),
  );
  const traces =
    early === null
      ? null
      : own(compile(traceProgram(segment, early, sae, encoded), options('explain traces')));
  return {
    lowerConstants: lower.constants,
    upperConstants: upper.constants,
    scores,
    pixels: null,
    spliced: { concepts, maps, traces },
    dispose,
  };
}

function traceProgram(
  segment: (from: string | null, to: string | null) => NetworkPart,
  early: Sae,
  late: Sae,
  encoded: (images: tf.Tensor4D) => tf.Tensor4D,
): (images: tf.Tensor4D, ids: tf.Tensor2D) => Traces {
  const parts = { lower: segment(INPUT_TAP, early.tap), middle: segment(early.tap, late.tap) };
  const saes = { early: saeTensors(early), late: saeTensors(late) };
  return (images, ids) => {
    const { traces, latePresence } = traceConcepts(parts, saes, encoded(images), ids);
    return { traces, latePresence };
  };
}
