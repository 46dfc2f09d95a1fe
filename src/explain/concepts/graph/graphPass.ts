/** The functions of graphProgram.ts compiled for one network and its autoencoders, and their results read into arrays. */
import * as tf from '@tensorflow/tfjs';
import { compile, type TensorTree } from '../../../engine/compile.js';
import type { BcosModel } from '../../../models/bcosModel.js';
import { requireClasses, requireExplainable } from '../../modelKind.js';
import { networkPart } from '../../networkPart.js';
import { runPart } from '../../parts.js';
import { saeTensors } from '../../programFunctions.js';
import { matchSae, type Sae } from '../../sae.js';
import { type ConceptChain, mapChain, traceChain, weighChain } from './graphProgram.js';

/** Tap at which the image has its six channels. */
const INPUT_TAP = 'input';

/** What a target is made of in one image: see `ChainWeights`. */
export interface ImageWeights {
  readonly scores: Float32Array;
  readonly alone: Float32Array;
  /** Number of the target's class. */
  readonly target: number;
  readonly contributions: readonly Float32Array[];
  readonly presences: readonly Float32Array[];
  /** [height * width] */
  readonly map: Float32Array;
  readonly constants: readonly Float32Array[];
}

/** What the chosen concepts of one level are made of in one image: see `LevelTraces`. Rows one after the other. */
export interface ImageTraces {
  readonly logits: Float32Array;
  readonly presence: Float32Array;
  readonly logitConstants: Float32Array;
  readonly presenceConstants: Float32Array;
  /** Of all concepts of the level. */
  readonly contributions: Float32Array;
  readonly presences: Float32Array;
}

export interface GraphPassOptions {
  /** [height, width] of the images. */
  readonly imageSize: readonly [number, number];
  /** Images a call; fewer are filled up, and the fill is left out of the results. */
  readonly batchSize: number;
  /** false runs the same functions operation by operation; default: what `startEngine` set. */
  readonly compile?: boolean;
}

/** A level of the chain, for people. */
export interface LevelInfo {
  readonly tap: string;
  readonly latents: number;
  readonly k: number;
}

/** Images of one call: [count, height, width, 3] in [0, 1]. */
export interface GraphImages {
  readonly values: Float32Array;
  readonly count: number;
}

function rowOf<T extends Float32Array | Int32Array>(values: T, index: number, count: number): T {
  const length = values.length / count;
  return values.slice(index * length, (index + 1) * length) as T;
}

/** All tensors of a list as arrays. */
function arraysOf(tensors: readonly tf.Tensor[]): Promise<Float32Array[]> {
  return Promise.all(tensors.map((tensor) => tensor.data() as Promise<Float32Array>));
}

/**
 * The passes of a concept graph over batches of images: `weigh`, then `trace` and `map` for chosen concepts. Owns its
 * compiled programs, not the network nor the autoencoders.
 */
export class GraphPass {
  /** Earliest tap first. */
  readonly levels: readonly LevelInfo[];
  /** Names of the constants of each part: up to each level, then above the latest. */
  readonly constants: readonly (readonly string[])[];
  readonly imageSize: readonly [number, number];
  readonly batchSize: number;
  private readonly classes: number;
  private readonly encode: (images: tf.Tensor4D) => tf.Tensor4D;
  private readonly chain: ConceptChain;
  private readonly weighing;
  private readonly tracing;
  private readonly mapping;

  /**
   * @param saes one or more, at different taps, in any order
   * Throws FactError E_SAE_MISMATCH, E_EXPLAIN_STANDARD, E_NO_CLASSES.
   */
  constructor(model: BcosModel, saes: readonly Sae[], options: GraphPassOptions) {
    requireClasses(model.spec);
    requireExplainable(model.spec);
    for (const sae of saes) matchSae(model, sae);
    const depth = (sae: Sae): number => model.stageNames.indexOf(sae.tap);
    const sorted = [...saes].sort((a, b) => depth(a) - depth(b));
    const segment = (from: string | null, to: string | null) => networkPart(model.segment(from, to));
    this.chain = {
      levels: sorted.map((sae, l) => ({
        part: segment(l === 0 ? INPUT_TAP : sorted[l - 1].tap, sae.tap),
        sae: saeTensors(sae),
      })),
      top: segment(sorted[sorted.length - 1].tap, null),
    };
    this.levels = sorted.map(({ tap, latents, k }) => ({ tap, latents, k }));
    this.constants = [...this.chain.levels.map(({ part }) => part), this.chain.top].map(
      (part) => part.constants,
    );
    this.imageSize = options.imageSize;
    this.batchSize = options.batchSize;
    this.classes = model.spec.options.numClasses;
    const encode = segment(null, INPUT_TAP);
    this.encode = (images) => runPart(encode, images) as tf.Tensor4D;
    const settings = (name: string) => ({
      name,
      bake: true,
      independentRows: true,
      ...(options.compile === undefined ? {} : { enabled: options.compile }),
    });
    this.weighing = compile(
      (images: tf.Tensor4D, wanted: tf.Tensor2D) =>
        tf.tidy(() => weighChain(this.chain, this.encode(images), wanted)),
      settings('concept graph, contributions'),
    );
    this.tracing = compile(
      (images: tf.Tensor4D, target: tf.Tensor2D, ...ids: tf.Tensor2D[]) =>
        tf.tidy(() => traceChain(this.chain, this.encode(images), target, ids)),
      settings('concept graph, traces'),
    );
    this.mapping = compile(
      (images: tf.Tensor4D, ...ids: tf.Tensor2D[]): TensorTree =>
        tf.tidy(() => [...mapChain(this.chain, this.encode(images), ids)]),
      settings('concept graph, maps'),
    );
  }

  /** The images filled up to the batch size. */
  private tensorOf({ values }: GraphImages): tf.Tensor4D {
    const [height, width] = this.imageSize;
    const filled = new Float32Array(this.batchSize * height * width * 3);
    filled.set(values);
    return tf.tensor4d(filled, [this.batchSize, height, width, 3]);
  }

  /** One-hot rows of the batch; null: zeros. */
  private targetOf(target: number | null): tf.Tensor2D {
    const values = new Float32Array(this.batchSize * this.classes);
    if (target !== null) for (let i = 0; i < this.batchSize; i++) values[i * this.classes + target] = 1;
    return tf.tensor2d(values, [this.batchSize, this.classes]);
  }

  private idsOf(ids: readonly (readonly number[])[]): tf.Tensor2D[] {
    return ids.map((row) => {
      const values = new Int32Array(this.batchSize * row.length);
      for (let i = 0; i < this.batchSize; i++) values.set(row, i * row.length);
      return tf.tensor2d(values, [this.batchSize, row.length], 'int32');
    });
  }

  /** What a class (null: the one with the highest score, image by image) is made of at every level. */
  async weigh(images: GraphImages, target: number | null): Promise<ImageWeights[]> {
    const inputs = [this.tensorOf(images), this.targetOf(target)] as const;
    const result = await this.weighing(...inputs);
    const read = async (tensors: readonly tf.Tensor[]) => arraysOf(tensors);
    const [scores, alone, targets, map] = await read([
      result.scores,
      result.alone,
      result.target,
      result.map,
    ]);
    const contributions = await read(result.contributions);
    const presences = await read(result.presences);
    const constants = await read(result.constants);
    tf.dispose([inputs[0], inputs[1], result]);
    return Array.from({ length: images.count }, (_, i) => {
      const row = (values: Float32Array): Float32Array => rowOf(values, i, this.batchSize);
      return {
        scores: row(scores),
        alone: row(alone),
        target: row(targets).indexOf(1),
        contributions: contributions.map(row),
        presences: presences.map(row),
        map: row(map),
        // A part without constants has a column of zeros.
        constants: constants.map((values, p) => row(values).slice(0, this.constants[p].length)),
      };
    });
  }

  /** What chosen concepts (numbers for each level, earliest first) are made of, for one target; levels earliest first. */
  async trace(
    images: GraphImages,
    target: number,
    ids: readonly (readonly number[])[],
  ): Promise<ImageTraces[][]> {
    const inputs = [this.tensorOf(images), this.targetOf(target), ...this.idsOf(ids)] as const;
    const result = await this.tracing(...inputs);
    const levels = await Promise.all(
      result.map((t) =>
        arraysOf([t.logits, t.presence, t.logitConstants, t.presenceConstants, t.contributions, t.presences]),
      ),
    );
    tf.dispose([...inputs, ...result.flatMap((level) => Object.values(level) as tf.Tensor[])]);
    return Array.from({ length: images.count }, (_, i) =>
      levels.map(([logits, presence, logitConstants, presenceConstants, contributions, presences]) => {
        const row = (values: Float32Array): Float32Array => rowOf(values, i, this.batchSize);
        return {
          logits: row(logits),
          presence: row(presence),
          logitConstants: row(logitConstants),
          presenceConstants: row(presenceConstants),
          contributions: row(contributions),
          presences: row(presences),
        };
      }),
    );
  }

  /** Maps of the presence of chosen concepts, [J, height, width] for each level, of each image. */
  async map(images: GraphImages, ids: readonly (readonly number[])[]): Promise<Float32Array[][]> {
    const inputs = [this.tensorOf(images), ...this.idsOf(ids)] as const;
    const result = (await this.mapping(...inputs)) as tf.Tensor[];
    const levels = await arraysOf(result);
    tf.dispose([...inputs, ...result]);
    return Array.from({ length: images.count }, (_, i) =>
      levels.map((values) => rowOf(values, i, this.batchSize)),
    );
  }

  /** Frees the programs. */
  dispose(): void {
    this.weighing.dispose();
    this.tracing.dispose();
    this.mapping.dispose();
  }
}
