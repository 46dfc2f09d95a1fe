import * as tf from '@tensorflow/tfjs';
import { Random } from '../../core/random.js';
import { decodeImage } from '../../data/decode.js';
import { evalTransform } from '../../data/evalTransform.js';
import { readImageBytes } from '../../data/imageTable.js';
import type { BcosModel } from '../../models/bcosModel.js';

/** How far two results are apart. */
export interface Difference {
  /** Stage of the network, or output of the file. */
  readonly stage: string;
  readonly values: number;
  /** Largest absolute difference of a value. */
  readonly max: number;
  /** ||a - b|| / ||a||; 0 where both are 0. */
  readonly relative: number;
}

/** The differences of all stages on one input. */
export interface InputParity {
  /** `random, seed 1`, or the file of the photograph. */
  readonly input: string;
  readonly stages: readonly Difference[];
}

/** A picture that networks are compared on: [1, height, width, 3] in [0, 1]. */
export interface ParityInput {
  readonly name: string;
  readonly image: tf.Tensor4D;
}

const SEED = 1;

/** Differences of two results of the same shape, in float64. */
export function differenceOf(
  stage: string,
  expected: ArrayLike<number>,
  actual: ArrayLike<number>,
): Difference {
  let gap = 0;
  let norm = 0;
  let max = expected.length === actual.length ? 0 : Number.POSITIVE_INFINITY;
  for (let i = 0; i < expected.length; i++) {
    const error = Object.is(expected[i], actual[i]) ? 0 : Math.abs(expected[i] - actual[i]);
    gap += error * error;
    norm += expected[i] * expected[i];
    if (!(error <= max)) max = error;
  }
  const relative = gap === 0 && max === 0 ? 0 : norm > 0 ? Math.sqrt(gap / norm) : Number.POSITIVE_INFINITY;
  return { stage, values: expected.length, max, relative };
}

/** The difference of logits without the network's constant bias, which would hide how far they are apart. */
export function scoreDifference(
  model: BcosModel,
  stage: string,
  expected: ArrayLike<number>,
  actual: ArrayLike<number>,
): Difference {
  const bias = model.spec.logitBias ?? 0;
  const scores = (logits: ArrayLike<number>): Float64Array =>
    Float64Array.from(logits, (value) => value - bias);
  return differenceOf(stage, scores(expected), scores(actual));
}

/**
 * The pictures for a comparison: uniform noise from a fixed seed, and a photograph where one is named. The caller
 * disposes them. Throws the errors of reading a picture.
 * @param size height and width of the noise; default those of the network's crop
 */
export async function parityInputs(
  model: BcosModel,
  photo: string | null,
  size: readonly [number, number] = model.spec.preprocessing.crop,
): Promise<ParityInput[]> {
  const [height, width] = size;
  const random = new Random(SEED);
  const noise = Float32Array.from({ length: height * width * 3 }, () => random.next());
  const inputs = [{ name: `random, seed ${SEED}`, image: tf.tensor4d(noise, [1, height, width, 3]) }];
  if (photo === null) return inputs;
  const picture = await decodeImage(readImageBytes(photo), photo);
  const bytes = evalTransform(picture, { ...model.spec.preprocessing, crop: [height, width] });
  const pixels = Float32Array.from(bytes, (value) => value / 255);
  inputs.push({ name: photo, image: tf.tensor4d(pixels, [1, height, width, 3]) });
  return inputs;
}

/** The output of every stage of two networks of one architecture, compared on each input. */
export async function compareNetworks(
  expected: BcosModel,
  actual: BcosModel,
  inputs: readonly ParityInput[],
): Promise<InputParity[]> {
  const results: InputParity[] = [];
  const names = expected.stageNames;
  for (const { name, image } of inputs) {
    const stages: Difference[] = [];
    let [left, right]: tf.Tensor[] = [image.clone(), image.clone()];
    for (let i = 0; i < names.length; i++) {
      const from = i === 0 ? null : names[i - 1];
      const to = i === names.length - 1 ? null : names[i];
      const next = [expected, actual].map((model, side) =>
        tf.tidy(
          () => model.segment(from, to).apply(side === 0 ? left : right, { training: false }) as tf.Tensor,
        ),
      );
      tf.dispose([left, right]);
      [left, right] = next;
      const [a, b] = [await left.data(), await right.data()];
      const [x, y] = [a as Float32Array, b as Float32Array];
      stages.push(to === null ? scoreDifference(expected, names[i], x, y) : differenceOf(names[i], x, y));
    }
    tf.dispose([left, right]);
    results.push({ input: name, stages });
  }
  return results;
}
