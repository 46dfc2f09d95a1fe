/*
 * The cross-layer concept graph as pure tensor functions: a chain of taps, earliest first, each with its autoencoder
 * spliced in, and all sums along it. For level l with code u, features F = part_l(below), reconstruction D u:
 *
 *     w          worth of one unit of an active concept to the target, pulled back from above
 *     to the target     c_j       = sum_p u_pj w_pj                sum over j = target - constants above
 *     made of, in logits  c_ij    = share of concept i below in   sum_p w_pj <E_j, F_p>   (w held)     sum over i = c_j
 *     made of, in presence p_ij   = share of concept i below in   sum_p     <E_j, F_p>                 sum over i = presence_j
 *
 * Below the earliest level stand the pixels. Concepts that are not chosen are one more row, computed by its own pullback
 * and never as what is missing; so are the constants of each part (parts.ts).
 */
import * as tf from '@tensorflow/tfjs';
import {
  attribute,
  combineRows,
  conceptSeed,
  pixelMap,
  rowsOf,
  type SaeTensors,
  splice,
  sumByConcept,
} from '../../conceptProgram.js';
import { type NetworkPart, pullBack, runPart } from '../../parts.js';
import { chooseTargets } from '../../programFunctions.js';

/** A tap with its autoencoder. */
export interface ChainLevel {
  /** The network from the level below (or from the encoded image) to this tap. */
  readonly part: NetworkPart;
  readonly sae: SaeTensors;
}

export interface ConceptChain {
  /** Earliest first; at least one. */
  readonly levels: readonly ChainLevel[];
  /** The network from the latest tap to the scores. */
  readonly top: NetworkPart;
}

/** What a target is made of at every level. N images. */
export type ChainWeights = {
  /** Scores before the bias of the network with all autoencoders, and without any: [N, classes]. */
  readonly scores: tf.Tensor2D;
  readonly alone: tf.Tensor2D;
  /** The target that was used: [N, classes]. */
  readonly target: tf.Tensor2D;
  /** For each level, earliest first: [N, K] each. */
  readonly contributions: tf.Tensor2D[];
  readonly presences: tf.Tensor2D[];
  /** Pixels' contributions to the target: [N, H, W]. */
  readonly map: tf.Tensor3D;
  /** Terms of the constants of each part in the target, the part above the latest tap last: [N, constants]. */
  readonly constants: tf.Tensor2D[];
};

/** What the chosen concepts of one level are made of. J concepts are chosen. */
export type LevelTraces = {
  /** Level below: [N, J + 1, K] in logits, the last row of all concepts that are not chosen; [N, J, K] in presence. Pixels: [.., H, W]. */
  readonly logits: tf.Tensor;
  readonly presence: tf.Tensor;
  /** Terms of the part's constants: [N, J + 1, constants], [N, J, constants]. */
  readonly logitConstants: tf.Tensor3D;
  readonly presenceConstants: tf.Tensor3D;
  /** Contributions of all concepts of the level to the target, and their presences: [N, K]. */
  readonly contributions: tf.Tensor2D;
  readonly presences: tf.Tensor2D;
};

type Spliced = ReturnType<typeof splice>;

interface Run {
  /** Input of the part of each level: the encoded image, then reconstructions. */
  readonly inputs: readonly tf.Tensor[];
  readonly features: readonly tf.Tensor[];
  readonly spliced: readonly Spliced[];
}

/** Forward pass of the chain up to the latest reconstruction. */
function runChain(chain: ConceptChain, x: tf.Tensor4D): Run {
  const inputs: tf.Tensor[] = [];
  const features: tf.Tensor[] = [];
  const spliced: Spliced[] = [];
  let below: tf.Tensor = x;
  for (const { part, sae } of chain.levels) {
    inputs.push(below);
    const found = runPart(part, below);
    const made = splice(found, sae);
    features.push(found);
    spliced.push(made);
    below = made.reconstruction;
  }
  return { inputs, features, spliced };
}

function presencesOf(chain: ConceptChain, run: Run): tf.Tensor2D[] {
  return run.spliced.map(({ code }, l) =>
    sumByConcept(code.values, code.indices, chain.levels[l].sae.encoder.shape[0]),
  );
}

/** Worth of the codes of all levels to a target, and the pullback to the input, latest level first. */
function pullChain(chain: ConceptChain, run: Run, target: tf.Tensor2D) {
  const last = chain.levels.length - 1;
  const above = pullBack(chain.top, run.spliced[last].reconstruction, target);
  const weights: tf.Tensor3D[] = [];
  const contributions: tf.Tensor2D[] = [];
  const constants: tf.Tensor2D[] = [above.constantTerms];
  let gradient = above.gradient;
  for (let l = last; l >= 0; l--) {
    const { part, sae } = chain.levels[l];
    const { code, decoderRows } = run.spliced[l];
    const shares = attribute(code, decoderRows, gradient, sae);
    const below = pullBack(part, run.inputs[l], shares.gradient);
    weights.unshift(shares.weights);
    contributions.unshift(shares.contributions);
    constants.unshift(below.constantTerms);
    gradient = below.gradient;
  }
  return { scores: above.value as tf.Tensor2D, weights, contributions, constants, gradient };
}

/**
 * The first pass: what the target is made of at every level. A zero row of `wanted` asks for the highest score.
 * @param x encoded images [N, H, W, 6] @param wanted one-hot or zero rows [N, classes]. Caller disposes.
 */
export function weighChain(chain: ConceptChain, x: tf.Tensor4D, wanted: tf.Tensor2D): ChainWeights {
  return tf.tidy(() => {
    const run = runChain(chain, x);
    const last = run.spliced[run.spliced.length - 1];
    const scores = runPart(chain.top, last.reconstruction) as tf.Tensor2D;
    const { target } = chooseTargets(scores, wanted, tf.zerosLike(wanted));
    const pulled = pullChain(chain, run, target);
    return {
      scores,
      alone: runPart(
        chain.top,
        chain.levels.reduce<tf.Tensor>((below, { part }) => runPart(part, below), x),
      ) as tf.Tensor2D,
      target,
      contributions: pulled.contributions,
      presences: presencesOf(chain, run),
      map: pixelMap(x, pulled.gradient) as tf.Tensor3D,
      constants: pulled.constants,
    };
  });
}

/** Weights of the concepts that are not among `ids` [N, J], zero at those that are: [N, P, k]. */
function unchosen(indices: tf.Tensor3D, weights: tf.Tensor3D, ids: tf.Tensor2D): tf.Tensor3D {
  const [batch, chosen] = ids.shape;
  const isChosen = tf.equal(tf.expandDims(indices, 3), tf.reshape(ids, [batch, 1, 1, chosen]));
  return tf.mul(weights, tf.sub(1, tf.cast(tf.any(isChosen, 3), 'float32')));
}

/** Seeds at the features of a level: one a chosen concept, in logits and in presence, and one of all others in logits. */
function seedsOf(made: Spliced, weights: tf.Tensor3D, ids: tf.Tensor2D, sae: SaeTensors) {
  const { code } = made;
  const columns = tf.unstack(ids, 1) as tf.Tensor1D[];
  const others = combineRows(unchosen(code.indices, weights, ids), rowsOf(sae.encoder, code.indices));
  return {
    logits: [...columns.map((column) => conceptSeed(code, weights, column, sae.encoder)), others],
    presence: columns.map((column) => conceptSeed(code, null, column, sae.encoder)),
  };
}

/**
 * The second pass: what chosen concepts of every level are made of, one entry a level, earliest first (that of the
 * earliest level in pixels). `target` as the first pass gave it. @param ids int32 [N, J] for each level. Caller disposes.
 */
export function traceChain(
  chain: ConceptChain,
  x: tf.Tensor4D,
  target: tf.Tensor2D,
  ids: readonly tf.Tensor2D[],
): LevelTraces[] {
  return tf.tidy(() => {
    const run = runChain(chain, x);
    const { weights, contributions } = pullChain(chain, run, target);
    const presences = presencesOf(chain, run);
    return chain.levels.map(({ part, sae }, l) => {
      const seeds = seedsOf(run.spliced[l], weights[l], ids[l], sae);
      const madeOf = (seed: tf.Tensor) => {
        const { gradient, constantTerms } = pullBack(
          part,
          run.inputs[l],
          tf.reshape(seed, run.features[l].shape),
        );
        if (l === 0) return { terms: pixelMap(x, gradient), constantTerms };
        const below = run.spliced[l - 1];
        const { contributions } = attribute(below.code, below.decoderRows, gradient, chain.levels[l - 1].sae);
        return { terms: contributions as tf.Tensor, constantTerms };
      };
      const logits = seeds.logits.map(madeOf);
      const presence = seeds.presence.map(madeOf);
      const stacked = (rows: tf.Tensor[]): tf.Tensor => tf.stack(rows, 1);
      return {
        logits: stacked(logits.map((row) => row.terms)),
        presence: stacked(presence.map((row) => row.terms)),
        logitConstants: stacked(logits.map((row) => row.constantTerms)) as tf.Tensor3D,
        presenceConstants: stacked(presence.map((row) => row.constantTerms)) as tf.Tensor3D,
        contributions: contributions[l],
        presences: presences[l],
      };
    });
  });
}

/** Where chosen concepts of every level lie in the pixels: maps of their presence, [N, J, H, W] a level. Caller disposes. */
export function mapChain(
  chain: ConceptChain,
  x: tf.Tensor4D,
  ids: readonly tf.Tensor2D[],
): readonly tf.Tensor4D[] {
  return tf.tidy(() => {
    const run = runChain(chain, x);
    const toPixels = (level: number, seed: tf.Tensor): tf.Tensor => {
      let gradient = tf.reshape(seed, run.features[level].shape);
      for (let l = level; ; l--) {
        gradient = pullBack(chain.levels[l].part, run.inputs[l], gradient).gradient;
        if (l === 0) return pixelMap(x, gradient);
        const { code, decoderRows } = run.spliced[l - 1];
        gradient = attribute(code, decoderRows, gradient, chain.levels[l - 1].sae).gradient;
      }
    };
    return chain.levels.map(({ sae }, l) => {
      const columns = tf.unstack(ids[l], 1) as tf.Tensor1D[];
      const maps = columns.map((column) =>
        toPixels(l, conceptSeed(run.spliced[l].code, null, column, sae.encoder)),
      );
      return tf.stack(maps, 1) as tf.Tensor4D;
    });
  });
}
