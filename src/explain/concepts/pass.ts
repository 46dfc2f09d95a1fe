/*
 * A network with its autoencoder over a data set, image by image: what every statistic and every gallery of concepts is
 * made of. One compiled program a batch:
 *
 *     F = lower(x)   u = topk(relu(E F))   F^ = D u   scores alone = upper(F), spliced = upper(F^)
 *     target = the class that the spliced network predicts
 *     worth of one unit of u_pj = <D_j, d target / d F^_p>,  contribution of j = sum over p of u_pj x worth
 *
 * Sums by concept are made here in float64, from the few active pairs.
 */
import * as tf from '@tensorflow/tfjs';
import { argMax } from '../../core/argMax.js';
import { FactError } from '../../core/errors.js';
import type { Batch } from '../../data/batchLoader.js';
import { compile } from '../../engine/compile.js';
import { decodeSparse } from '../../layers/topKSae.js';
import { encodeConcepts, weighCode } from '../conceptProgram.js';
import { requireClasses, requireExplainable } from '../modelKind.js';
import { networkPart } from '../networkPart.js';
import { runPart } from '../parts.js';
import { matchSae, type Sae, type TappedModel } from '../sae.js';

/** Mean of rows [P, C], and the sum over rows and channels of their squared distance from it. */
export interface RowMoments {
  /** [C] */
  readonly mean: Float32Array;
  readonly spread: number;
}

/** Code of an image by another autoencoder at the same tap. */
export interface PassCode {
  /** [positions * width]; zeros where fewer are active. */
  readonly values: Float32Array;
  readonly indices: Int32Array;
}

/** One image of a pass. Arrays may be views of the whole batch's: copy what is to be kept. */
export interface PassImage extends PassCode {
  /** Number within the data set. */
  readonly sample: number;
  readonly key: string;
  readonly label: number;
  /** Scores before the bias: of the network alone, and with the autoencoder spliced in: [classes]. */
  readonly logits: Float32Array;
  readonly spliced: Float32Array;
  /** The class that the spliced network predicts. */
  readonly predicted: number;
  /** Worth of one unit of each value to the predicted class's score: [positions * width]. */
  readonly worth: Float32Array;
  /** Sum of a concept's activations over the positions: [latents]. */
  readonly presence: Float32Array;
  /** Contributions to the predicted class: [latents]. */
  readonly contributions: Float32Array;
  /** What the constants above the tap add to its score; [0] where there are none. All sum to `spliced[predicted]`. */
  readonly constants: Float32Array;
  /** ||F_p - F^_p|| and ||F_p||: [positions]. */
  readonly errors: Float32Array;
  readonly lengths: Float32Array;
  /** Over the positions: of the features, and of what the reconstruction misses. */
  readonly features: RowMoments;
  readonly residual: RowMoments;
  /** Codes by the autoencoders `beside`, in their order. */
  readonly beside: readonly PassCode[];
}

export interface PassOptions {
  /** [height, width] of the images. */
  readonly imageSize: readonly [number, number];
  /** Images a batch; shorter batches are filled up, so that one graph serves all. */
  readonly batchSize: number;
  /** Autoencoders at the same tap whose codes are wanted too; they are not spliced in. */
  readonly beside?: readonly Sae[];
}

type CodeTensors = { readonly values: tf.Tensor3D; readonly indices: tf.Tensor3D };

type Outputs = CodeTensors & {
  readonly logits: tf.Tensor2D;
  readonly spliced: tf.Tensor2D;
  readonly worth: tf.Tensor3D;
  readonly constants: tf.Tensor2D;
  readonly errors: tf.Tensor2D;
  readonly lengths: tf.Tensor2D;
  readonly featureMean: tf.Tensor2D;
  readonly featureSpread: tf.Tensor1D;
  readonly residualMean: tf.Tensor2D;
  readonly residualSpread: tf.Tensor1D;
  readonly beside: CodeTensors[];
};

/** Rows [N, ..., C] as [N, P, C]. */
function rowsOf(features: tf.Tensor): tf.Tensor3D {
  return tf.reshape(features, [features.shape[0], -1, features.shape[features.rank - 1]]) as tf.Tensor3D;
}

/** Means over the rows of each image, [N, C], and squared distances from them, [N]. */
function momentsOf(rows: tf.Tensor3D): { mean: tf.Tensor2D; spread: tf.Tensor1D } {
  const mean = tf.mean(rows, 1, true);
  return {
    mean: tf.squeeze(mean, [1]) as tf.Tensor2D,
    spread: tf.sum(tf.square(tf.sub(rows, mean)), [1, 2]) as tf.Tensor1D,
  };
}

function lengthsOf(rows: tf.Tensor3D): tf.Tensor2D {
  return tf.sqrt(tf.sum(tf.square(rows), 2)) as tf.Tensor2D;
}

/** The whole pass as a pure function of images [N, H, W, 3]. */
function passFunction(model: TappedModel, sae: Sae, beside: readonly Sae[]) {
  const lower = networkPart(model.segment(null, sae.tap));
  const upper = networkPart(model.segment(sae.tap, null));
  return (images: tf.Tensor4D): Outputs =>
    tf.tidy(() => {
      const features = runPart(lower, images);
      const code = encodeConcepts(features, sae);
      const decoderRows = tf.transpose(sae.decoder) as tf.Tensor2D;
      const reconstruction = tf.reshape(decodeSparse(code, decoderRows), features.shape);
      const spliced = runPart(upper, reconstruction) as tf.Tensor2D;
      const predicted = tf.oneHot(tf.argMax(spliced, 1) as tf.Tensor1D, spliced.shape[1]);
      const target = tf.cast(predicted, 'float32') as tf.Tensor2D;
      const { worth, constantTerms } = weighCode(upper, sae, code, reconstruction, target);
      const rows = rowsOf(features);
      const missed = tf.sub(rows, rowsOf(reconstruction)) as tf.Tensor3D;
      const [ofFeatures, ofResidual] = [momentsOf(rows), momentsOf(missed)];
      return {
        logits: runPart(upper, features) as tf.Tensor2D,
        spliced,
        values: code.values,
        indices: code.indices,
        worth,
        constants: constantTerms,
        errors: lengthsOf(missed),
        lengths: lengthsOf(rows),
        featureMean: ofFeatures.mean,
        featureSpread: ofFeatures.spread,
        residualMean: ofResidual.mean,
        residualSpread: ofResidual.spread,
        beside: beside.map((other) => {
          const { values, indices } = encodeConcepts(features, other);
          return { values, indices };
        }),
      };
    });
}

/** The network with its autoencoder over batches of images. Holds compiled graphs: dispose it. */
export class ConceptPass {
  private readonly step;
  private readonly beside: readonly Sae[];

  /**
   * The network and the autoencoders stay the caller's.
   * Throws FactError E_SAE_MISMATCH, E_EXPLAIN_STANDARD, E_NO_CLASSES.
   */
  constructor(
    model: TappedModel,
    private readonly sae: Sae,
    private readonly options: PassOptions,
  ) {
    requireClasses(model.spec);
    requireExplainable(model.spec);
    this.beside = options.beside ?? [];
    matchSae(model, sae);
    for (const other of this.beside) matchBeside(model, sae, other);
    this.step = compile(passFunction(model, sae, this.beside), {
      name: `concepts at ${sae.tap}`,
      bake: true,
      independentRows: true,
    });
  }

  /**
   * The images of a batch (at most `batchSize`), in its order. Throws FactError E_NOT_FINITE where the network or the
   * autoencoder gives numbers that are none.
   */
  async run(batch: Batch): Promise<PassImage[]> {
    const { batchSize, imageSize } = this.options;
    const pixels = new Float32Array(batchSize * imageSize[0] * imageSize[1] * 3);
    pixels.set(batch.images);
    const input = tf.tensor4d(pixels, [batchSize, ...imageSize, 3]);
    let outputs: Outputs;
    try {
      outputs = await this.step(input);
    } finally {
      input.dispose();
    }
    const { beside, indices, ...floats } = outputs;
    try {
      const names = Object.keys(floats) as (keyof typeof floats)[];
      const arrays = await Promise.all(names.map((name) => floats[name].data()));
      const of = Object.fromEntries(names.map((name, i) => [name, arrays[i]])) as Record<
        keyof typeof floats,
        Float32Array
      >;
      const ids = (await indices.data()) as Int32Array;
      const others = await Promise.all(
        beside.map(async (code) => ({
          values: (await code.values.data()) as Float32Array,
          indices: (await code.indices.data()) as Int32Array,
        })),
      );
      return Array.from({ length: batch.size }, (_, i) => {
        const part = <A extends Float32Array | Int32Array>(array: A): A =>
          array.subarray((i * array.length) / batchSize, ((i + 1) * array.length) / batchSize) as A;
        return this.image(
          batch,
          i,
          (name) => part(of[name]),
          part(ids),
          others.map((code) => ({
            values: part(code.values),
            indices: part(code.indices),
          })),
        );
      });
    } finally {
      tf.dispose(outputs);
    }
  }

  private image(
    batch: Batch,
    i: number,
    part: (name: Exclude<keyof Outputs, 'beside' | 'indices'>) => Float32Array,
    indices: Int32Array,
    beside: readonly PassCode[],
  ): PassImage {
    const { latents } = this.sae;
    const [values, worth, spliced, logits] = [part('values'), part('worth'), part('spliced'), part('logits')];
    requireFinite(batch.keys[i], {
      scores: logits,
      'scores with the autoencoder': spliced,
      activations: values,
    });
    const presence = new Float64Array(latents);
    const contributions = new Float64Array(latents);
    for (let j = 0; j < values.length; j++) {
      if (values[j] === 0) continue;
      presence[indices[j]] += values[j];
      contributions[indices[j]] += values[j] * worth[j];
    }
    return {
      sample: batch.samples[i],
      key: batch.keys[i],
      label: batch.labels[i],
      logits,
      spliced,
      predicted: argMax(spliced),
      values,
      indices,
      worth,
      presence: new Float32Array(presence),
      contributions: new Float32Array(contributions),
      constants: part('constants'),
      errors: part('errors'),
      lengths: part('lengths'),
      features: { mean: part('featureMean'), spread: part('featureSpread')[0] },
      residual: { mean: part('residualMean'), spread: part('residualSpread')[0] },
      beside,
    };
  }

  dispose(): void {
    this.step.dispose();
  }
}

function matchBeside(model: TappedModel, sae: Sae, other: Sae): void {
  matchSae(model, other);
  if (other.tap === sae.tap) return;
  throw new FactError({
    code: 'E_SAE_MISMATCH',
    message: `an autoencoder to compare with belongs at tap ${other.tap}, the one that is measured at ${sae.tap}`,
    remedy: 'Compare autoencoders of one tap.',
  });
}

function requireFinite(key: string, named: Readonly<Record<string, Float32Array>>): void {
  for (const [name, values] of Object.entries(named)) {
    const bad = values.findIndex((v) => !Number.isFinite(v));
    if (bad < 0) continue;
    throw new FactError({
      code: 'E_NOT_FINITE',
      message: `${key}: ${name} hold ${values[bad]} at ${bad}`,
      remedy: 'The weights of the network or of the autoencoder are damaged; use another checkpoint.',
    });
  }
}
