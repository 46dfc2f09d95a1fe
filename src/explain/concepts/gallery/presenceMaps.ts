import * as tf from '@tensorflow/tfjs';
import { toUnitRange } from '../../../data/evalTransform.js';
import { compile } from '../../../engine/compile.js';
import { encodeConcepts, mapConcepts } from '../../conceptProgram.js';
import { networkPart } from '../../networkPart.js';
import { runPart } from '../../parts.js';
import { matchSae, type Sae, type TappedModel } from '../../sae.js';

/** Tap at which the image has its six channels: pixels are attributed there. */
const INPUT_TAP = 'input';

/** A concept in an image. */
export interface ConceptInImage {
  readonly concept: number;
  /** As the network sees it: RGB bytes [height, width, 3]. */
  readonly pixels: Uint8Array;
}

/** Where a concept's presence in an image comes from. */
export interface PresenceMap {
  /** Sum of the concept's activations. */
  readonly presence: number;
  /** x * d presence / d x summed over the channels: [height * width]; with the constants it sums to the presence. */
  readonly map: Float32Array;
  /** d presence / d x: [height * width * 6]. */
  readonly gradient: Float32Array;
  /** Terms of the network's constants below the tap. */
  readonly constants: Float32Array;
}

type Outputs = {
  readonly presence: tf.Tensor1D;
  readonly map: tf.Tensor3D;
  readonly gradient: tf.Tensor4D;
  readonly constants: tf.Tensor2D;
};

/** images [N, H, W, 3] and one concept each, int32 [N, 1]. */
function mapFunction(model: TappedModel, sae: Sae) {
  const encode = networkPart(model.segment(null, INPUT_TAP));
  const lower = networkPart(model.segment(INPUT_TAP, sae.tap));
  const run = (images: tf.Tensor4D, ids: tf.Tensor2D): Outputs =>
    tf.tidy(() => {
      const x = runPart(encode, images) as tf.Tensor4D;
      const code = encodeConcepts(runPart(lower, x), sae);
      const isChosen = tf.cast(tf.equal(code.indices, tf.expandDims(ids, 2)), 'float32');
      const { maps, gradients, constantTerms } = mapConcepts(lower, sae, x, code, ids);
      return {
        presence: tf.sum(tf.mul(code.values, isChosen), [1, 2]) as tf.Tensor1D,
        map: tf.squeeze(maps, [1]) as tf.Tensor3D,
        gradient: tf.squeeze(gradients, [1]) as tf.Tensor4D,
        constants: tf.squeeze(constantTerms, [1]) as tf.Tensor2D,
      };
    });
  return { run, constants: lower.constants };
}

/** Pixel maps of the presence of single concepts, compiled. Holds graphs: dispose it. */
export class PresenceMaps {
  /** Names of the network's constants below the tap. */
  readonly constants: readonly string[];
  private readonly step;

  /** The network and the autoencoder stay the caller's. Throws FactError E_SAE_MISMATCH. */
  constructor(
    model: TappedModel,
    sae: Sae,
    private readonly options: { readonly imageSize: readonly [number, number]; readonly batchSize: number },
  ) {
    matchSae(model, sae);
    const { run, constants } = mapFunction(model, sae);
    this.constants = constants;
    this.step = compile(run, {
      name: `where concepts at ${sae.tap} are`,
      bake: true,
      independentRows: true,
    });
  }

  /** Maps of any number of pairs, in their order; computed `batchSize` at a time, the last call filled up. */
  async run(pairs: readonly ConceptInImage[]): Promise<PresenceMap[]> {
    const { batchSize } = this.options;
    const found: PresenceMap[] = [];
    for (let start = 0; start < pairs.length; start += batchSize)
      found.push(...(await this.call(pairs.slice(start, start + batchSize))));
    return found;
  }

  private async call(pairs: readonly ConceptInImage[]): Promise<PresenceMap[]> {
    const { batchSize, imageSize } = this.options;
    const [height, width] = imageSize;
    const values = new Float32Array(batchSize * height * width * 3);
    const ids = new Int32Array(batchSize);
    for (let i = 0; i < batchSize; i++) {
      const { pixels, concept } = pairs[Math.min(i, pairs.length - 1)];
      toUnitRange(pixels, values, i * height * width * 3);
      ids[i] = concept;
    }
    const inputs = [
      tf.tensor4d(values, [batchSize, height, width, 3]),
      tf.tensor2d(ids, [batchSize, 1], 'int32'),
    ] as const;
    let outputs: Outputs;
    try {
      outputs = await this.step(...inputs);
    } finally {
      tf.dispose([...inputs]);
    }
    try {
      const [presence, map, gradient, constants] = (await Promise.all(
        [outputs.presence, outputs.map, outputs.gradient, outputs.constants].map((t) => t.data()),
      )) as Float32Array[];
      const row = (array: Float32Array, i: number): Float32Array =>
        array.slice((i * array.length) / batchSize, ((i + 1) * array.length) / batchSize);
      return pairs.map((_, i) => ({
        presence: presence[i],
        map: row(map, i),
        gradient: row(gradient, i),
        constants: row(constants, i),
      }));
    } finally {
      tf.dispose(outputs);
    }
  }

  dispose(): void {
    this.step.dispose();
  }
}
