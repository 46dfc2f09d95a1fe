import { FactError } from '../../../core/errors.js';
import { sha256 } from '../../../core/hash.js';
import { type Progress, silentProgress } from '../../../core/progress.js';
import type { BatchLoader } from '../../../data/batchLoader.js';
import { ConceptPass } from '../../../explain/concepts/pass.js';
import type { Sae, TappedModel } from '../../../explain/sae.js';
import type { ConceptUse } from './conceptUse.js';
import type { Measured, SaeEvaluation } from './evaluationSchema.js';
import type { EvaluationState } from './evaluationState.js';
import { SaeStatistics } from './statistics.js';

export interface SaeEvaluationOptions {
  /** [height, width] and batch size of the loader; a shorter last batch is filled up, the fill is not counted. */
  readonly imageSize: readonly [number, number];
  readonly batchSize: number;
  /** Autoencoders at the same tap: how often their concepts are active is counted too. */
  readonly beside?: readonly Sae[];
  /** Pictures of which the spatial size in pixels is taken, evenly spaced over the data set; 0 = none. Default 100. */
  readonly pixelImages?: number;
  /** Concepts of each of them, those that contribute most. Default 5. */
  readonly pixelConcepts?: number;
  /** Goes on from there. */
  readonly resume?: EvaluationState | null;
  /** Told the state from time to time, and when the work is stopped or done. */
  readonly save?: (state: EvaluationState) => void;
  /** Time between two of them. Default: 30 s. */
  readonly saveEveryMs?: number;
  readonly progress?: Progress;
  readonly signal?: AbortSignal;
}

/** What was measured on a data set. */
export interface MeasuredSae {
  readonly measured: Measured;
  readonly data: Pick<SaeEvaluation['data'], 'images' | 'classes' | 'positions' | 'broken'>;
  /** How the concepts of the autoencoder, and of each one beside, are used. */
  readonly use: ConceptUse;
  readonly otherUses: readonly ConceptUse[];
}

export const PIXEL_IMAGES = 100;
export const PIXEL_CONCEPTS = 5;
/** Time between two states, so that writing them costs little beside the work. */
const SAVE_INTERVAL_MS = 30_000;

/** SHA-256 over the weights of an autoencoder, its k and its threshold. */
export async function hashSae(sae: Sae): Promise<string> {
  const hashes: string[] = [];
  for (const tensor of [sae.encoder, sae.decoder]) {
    const values = (await tensor.data()) as Float32Array;
    hashes.push(sha256(new Uint8Array(values.buffer, values.byteOffset, values.byteLength)));
  }
  return sha256([...hashes, sae.k, sae.threshold].join('\n'));
}

/**
 * Runs the loader's images through the network with and without the autoencoder at its tap, and measures what splicing
 * it in does. Memory: bounded by concepts and classes, whatever the number of images.
 * Throws FactError E_SAE_MISMATCH, E_EXPLAIN_STANDARD, E_NO_CLASSES, E_NOT_FINITE, E_DATA_EMPTY (no picture could be
 * read), the loader's errors, and the reason of an aborted signal.
 */
export async function evaluateSae(
  model: TappedModel,
  sae: Sae,
  loader: BatchLoader,
  options: SaeEvaluationOptions,
): Promise<MeasuredSae> {
  const { imageSize, batchSize, beside = [], progress = silentProgress, signal, resume = null } = options;
  const pass = new ConceptPass(model, sae, { imageSize, batchSize, beside });
  const statistics = new SaeStatistics(model, sae, {
    imageSize,
    size: loader.size,
    pixelImages: options.pixelImages ?? PIXEL_IMAGES,
    pixelConcepts: options.pixelConcepts ?? PIXEL_CONCEPTS,
    beside,
  });
  const pixelsAnImage = imageSize[0] * imageSize[1] * 3;
  let batches = resume?.batches ?? 0;
  const broken = (): EvaluationState['broken'] => {
    const met = [...(resume?.broken ?? []), ...loader.broken];
    return [...new Map(met.map((image) => [image.sample, image])).values()].sort(
      (a, b) => a.sample - b.sample,
    );
  };
  const save = (): void => options.save?.({ batches, broken: broken(), sums: statistics.save() });
  try {
    if (resume !== null) statistics.restore(resume.sums);
    let lastSave = Date.now();
    for await (const batch of loader.epoch(0, batches)) {
      if (signal?.aborted) {
        save();
        throw signal.reason;
      }
      for (const [i, image] of (await pass.run(batch)).entries())
        await statistics.add(image, batch.images.subarray(i * pixelsAnImage, (i + 1) * pixelsAnImage));
      batches = batch.index + 1;
      progress.update(statistics.images);
      if (Date.now() - lastSave < (options.saveEveryMs ?? SAVE_INTERVAL_MS)) continue;
      save();
      lastSave = Date.now();
    }
    if (statistics.images === 0) throw nothingRead(broken());
    batches = loader.batchesPerEpoch;
    save();
    const measured = statistics.result();
    return {
      measured,
      data: {
        images: statistics.images,
        classes: statistics.labels.images.filter((count) => count > 0).length,
        positions: measured.spatial.positions.positions,
        broken: broken().map(({ name, code, message }) => ({ name, code, message })),
      },
      use: statistics.use,
      otherUses: statistics.otherUses,
    };
  } finally {
    pass.dispose();
    statistics.dispose();
  }
}

function nothingRead(broken: EvaluationState['broken']): FactError {
  return new FactError({
    code: 'E_DATA_EMPTY',
    message: `none of the ${broken.length} pictures could be read; the first: ${broken[0]?.message ?? 'none'}`,
    remedy: 'Check the data set: fetch it again or remove the damaged files.',
  });
}
