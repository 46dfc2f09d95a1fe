/*
 * A counterfactual edit as pure tensor functions: every activation u_pc of the code is multiplied by a factor s_c.
 *
 *     before = upper(D u)        after = upper(D (s u))         the network's dynamic factors as each input makes them
 *     held   = <G, D (s u)> + constants,  G = d <t, before> / d (D u) in explanation mode: the factors of `before` held
 *
 * With the factors held the network is linear in the code, so exactly
 *
 *     held = <t, before> + sum_c (s_c - 1) contribution_c                                    contribution_c = sum_p u_pc <D_c, G_p>
 *
 * `held` is computed from the edited reconstruction, the right side from the contributions: two ways to one number.
 */
import * as tf from '@tensorflow/tfjs';
import { attribute, type ConceptCode, combineRows, type SaeTensors, splice } from '../../conceptProgram.js';
import { type NetworkPart, pullBack, runPart } from '../../parts.js';

/** Scores before the bias, [N, classes] each: network alone, with the autoencoder, with the edited code. */
export type EditScores = {
  readonly alone: tf.Tensor2D;
  readonly before: tf.Tensor2D;
  readonly after: tf.Tensor2D;
};

/** An edit seen from one target an image. */
export type EditAttribution = {
  /** The target's score before the edit, and after it with the factors held: [N]. */
  readonly before: tf.Tensor1D;
  readonly held: tf.Tensor1D;
  /** Contributions to the target before the edit: [N, K]. */
  readonly contributions: tf.Tensor2D;
  /** Terms of the constants above the tap: [N, constants]. */
  readonly constants: tf.Tensor2D;
};

/** The network cut at the tap of an autoencoder. */
export interface EditedNetwork {
  readonly lower: NetworkPart;
  readonly upper: NetworkPart;
  readonly sae: SaeTensors;
}

/** Factor of each selected activation: factors [N, K] at indices [N, P, k]. */
function factorsOf(code: ConceptCode, factors: tf.Tensor2D): tf.Tensor3D {
  const [batch, concepts] = factors.shape;
  const offsets = tf.reshape(tf.mul(tf.range(0, batch, 1, 'int32'), tf.scalar(concepts, 'int32')), [
    batch,
    1,
    1,
  ]);
  const places = tf.reshape(tf.add(code.indices, offsets), [-1]) as tf.Tensor1D;
  return tf.reshape(tf.gather(tf.reshape(factors, [-1]), places), code.indices.shape);
}

/** Features, their splice, and the reconstruction of the edited code. */
function runEdited({ lower, sae }: EditedNetwork, x: tf.Tensor4D, factors: tf.Tensor2D) {
  const features = runPart(lower, x);
  const made = splice(features, sae);
  const values = tf.mul(made.code.values, factorsOf(made.code, factors)) as tf.Tensor3D;
  const edited = tf.reshape(combineRows(values, made.decoderRows), features.shape);
  return { features, made, edited };
}

/** Scores before and after an edit. @param x encoded images @param factors [N, K]. Caller disposes. */
export function scoreEdit(network: EditedNetwork, x: tf.Tensor4D, factors: tf.Tensor2D): EditScores {
  return tf.tidy(() => {
    const { features, made, edited } = runEdited(network, x, factors);
    const score = (at: tf.Tensor) => runPart(network.upper, at) as tf.Tensor2D;
    return { alone: score(features), before: score(made.reconstruction), after: score(edited) };
  });
}

/**
 * What an edit does to a target with the dynamic factors held, and what the exact sum says of it.
 * @param x encoded images @param factors [N, K] @param target [N, classes]: any combination of classes. Caller disposes.
 */
export function attributeEdit(
  network: EditedNetwork,
  x: tf.Tensor4D,
  factors: tf.Tensor2D,
  target: tf.Tensor2D,
): EditAttribution {
  return tf.tidy(() => {
    const { made, edited } = runEdited(network, x, factors);
    const above = pullBack(network.upper, made.reconstruction, target);
    const { contributions } = attribute(made.code, made.decoderRows, above.gradient, network.sae);
    const axes = edited.shape.slice(1).map((_, i) => i + 1);
    return {
      before: tf.sum(tf.mul(above.value, target), 1) as tf.Tensor1D,
      held: tf.add(
        tf.sum(tf.mul(above.gradient, edited), axes),
        tf.sum(above.constantTerms, 1),
      ) as tf.Tensor1D,
      contributions,
      constants: above.constantTerms,
    };
  });
}
