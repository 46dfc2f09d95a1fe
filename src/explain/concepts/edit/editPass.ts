/** The functions of editProgram.ts compiled for one network and one autoencoder, and their results read into arrays. */
import * as tf from '@tensorflow/tfjs';
import { compile } from '../../../engine/compile.js';
import type { BcosModel } from '../../../models/bcosModel.js';
import { requireClasses, requireExplainable } from '../../modelKind.js';
import { networkPart } from '../../networkPart.js';
import { runPart } from '../../parts.js';
import { saeTensors } from '../../programFunctions.js';
import { matchSae, type Sae } from '../../sae.js';
import type { GraphImages } from '../graph/graphPass.js';
import { attributeEdit, type EditedNetwork, scoreEdit } from './editProgram.js';

const INPUT_TAP = 'input';

/** Scores before the bias of one image: see `EditScores`. */
export interface ImageEditScores {
  readonly alone: Float32Array;
  readonly before: Float32Array;
  readonly after: Float32Array;
}

/** See `EditAttribution`. */
export interface ImageEditAttribution {
  readonly before: number;
  readonly held: number;
  readonly contributions: Float32Array;
  readonly constants: Float32Array;
}

export interface EditPassOptions {
  /** [height, width] of the images. */
  readonly imageSize: readonly [number, number];
  /** Images a call; fewer are filled up, and the fill is left out of the results. */
  readonly batchSize: number;
  /** false runs the same functions operation by operation; default: what `startEngine` set. */
  readonly compile?: boolean;
}

/** A target as weights of classes: +1 and, for a difference, -1. */
export interface EditTarget {
  readonly for: number;
  readonly versus: number | null;
}

/** Edits of codes over batches of images. Owns its compiled programs, not the network nor the autoencoder. */
export class EditPass {
  readonly latents: number;
  readonly tap: string;
  /** Names of the constants above the tap. */
  readonly constants: readonly string[];
  readonly imageSize: readonly [number, number];
  readonly batchSize: number;
  private readonly classes: number;
  private readonly scoring;
  private readonly attributing;

  /** Throws FactError E_SAE_MISMATCH, E_EXPLAIN_STANDARD, E_NO_CLASSES. */
  constructor(model: BcosModel, sae: Sae, options: EditPassOptions) {
    requireClasses(model.spec);
    requireExplainable(model.spec);
    matchSae(model, sae);
    const segment = (from: string | null, to: string | null) => networkPart(model.segment(from, to));
    const network: EditedNetwork = {
      lower: segment(INPUT_TAP, sae.tap),
      upper: segment(sae.tap, null),
      sae: saeTensors(sae),
    };
    const encodePart = segment(null, INPUT_TAP);
    const encode = (images: tf.Tensor4D) => runPart(encodePart, images) as tf.Tensor4D;
    this.latents = sae.latents;
    this.tap = sae.tap;
    this.constants = network.upper.constants;
    this.imageSize = options.imageSize;
    this.batchSize = options.batchSize;
    this.classes = model.spec.options.numClasses;
    const settings = (name: string) => ({
      name,
      bake: true,
      independentRows: true,
      ...(options.compile === undefined ? {} : { enabled: options.compile }),
    });
    this.scoring = compile(
      (images: tf.Tensor4D, factors: tf.Tensor2D) =>
        tf.tidy(() => scoreEdit(network, encode(images), factors)),
      settings('edit, scores'),
    );
    this.attributing = compile(
      (images: tf.Tensor4D, factors: tf.Tensor2D, target: tf.Tensor2D) =>
        tf.tidy(() => attributeEdit(network, encode(images), factors, target)),
      settings('edit, contributions'),
    );
  }

  private tensorOf({ values }: GraphImages): tf.Tensor4D {
    const [height, width] = this.imageSize;
    const filled = new Float32Array(this.batchSize * height * width * 3);
    filled.set(values);
    return tf.tensor4d(filled, [this.batchSize, height, width, 3]);
  }

  private factorsOf(factors: Float32Array): tf.Tensor2D {
    const values = new Float32Array(this.batchSize * this.latents);
    for (let i = 0; i < this.batchSize; i++) values.set(factors, i * this.latents);
    return tf.tensor2d(values, [this.batchSize, this.latents]);
  }

  /** Scores of each image before and after an edit. @param factors one a concept */
  async scores(images: GraphImages, factors: Float32Array): Promise<ImageEditScores[]> {
    const inputs = [this.tensorOf(images), this.factorsOf(factors)] as const;
    const result = await this.scoring(...inputs);
    const tensors = [result.alone, result.before, result.after];
    const [alone, before, after] = (await Promise.all(tensors.map((t) => t.data()))) as Float32Array[];
    tf.dispose([...inputs, ...tensors]);
    const row = (values: Float32Array, i: number) => values.slice(i * this.classes, (i + 1) * this.classes);
    return Array.from({ length: images.count }, (_, i) => ({
      alone: row(alone, i),
      before: row(before, i),
      after: row(after, i),
    }));
  }

  /** What the edit does to a target of each image with the factors held. @param targets one an image */
  async attribute(
    images: GraphImages,
    factors: Float32Array,
    targets: readonly EditTarget[],
  ): Promise<ImageEditAttribution[]> {
    const wanted = new Float32Array(this.batchSize * this.classes);
    targets.forEach((target, i) => {
      wanted[i * this.classes + target.for] += 1;
      if (target.versus !== null) wanted[i * this.classes + target.versus] -= 1;
    });
    const inputs = [
      this.tensorOf(images),
      this.factorsOf(factors),
      tf.tensor2d(wanted, [this.batchSize, this.classes]),
    ] as const;
    const result = await this.attributing(...inputs);
    const tensors = [result.before, result.held, result.contributions, result.constants];
    const arrays = (await Promise.all(tensors.map((t) => t.data()))) as Float32Array[];
    const [before, held, contributions, constants] = arrays;
    tf.dispose([...inputs, ...tensors]);
    const stored = constants.length / this.batchSize;
    return Array.from({ length: images.count }, (_, i) => ({
      before: before[i],
      held: held[i],
      contributions: contributions.slice(i * this.latents, (i + 1) * this.latents),
      // A part without constants has a column of zeros.
      constants: constants.slice(i * stored, i * stored + this.constants.length),
    }));
  }

  /** Frees the programs. */
  dispose(): void {
    this.scoring.dispose();
    this.attributing.dispose();
  }
}
