import * as tf from '@tensorflow/tfjs';
import { argMax } from '../../core/argMax.js';
import { FactError } from '../../core/errors.js';
import { Random } from '../../core/random.js';
import type { BcosModel } from '../../models/bcosModel.js';

/** Largest norm-wise relative difference of logits that rounding explains: E_PARITY above it. */
export const BCOSIFY_TOLERANCE = 1e-5;

/** Pictures of random colours: coarse squares, so that no filter sees noise alone. */
function randomPictures(count: number, height: number, width: number, seed: number): tf.Tensor4D {
  return tf.tidy(() => {
    const random = new Random(seed);
    const side = 8;
    const coarse = Float32Array.from({ length: count * side * side * 3 }, () => random.next());
    return tf.image.resizeBilinear(tf.tensor4d(coarse, [count, side, side, 3]), [height, width]);
  });
}

/** What the logits of both networks say about random pictures. */
export interface LogitComparison {
  readonly pictures: number;
  /** max over pictures of ||twin - standard|| / ||standard||, logit biases included. */
  readonly relativeError: number;
  readonly sameTopClass: number;
}

async function logitsOf(model: BcosModel, images: tf.Tensor): Promise<Float32Array> {
  const logits = model.network.apply(images) as tf.Tensor;
  const values = (await logits.data()) as Float32Array;
  logits.dispose();
  return values;
}

/** Compares a B-cosified network with the standard one it came from, on the current engine, by their logits. */
export async function compareLogits(
  standard: BcosModel,
  twin: BcosModel,
  pictures = 2,
  seed = 1,
): Promise<LogitComparison> {
  const [height, width] = standard.spec.inputSize;
  const classes = standard.spec.options.numClasses;
  let relativeError = 0;
  let sameTopClass = 0;
  for (let i = 0; i < pictures; i++) {
    const images = randomPictures(1, height, width, seed + i);
    try {
      const wanted = await logitsOf(standard, images);
      const found = await logitsOf(twin, images);
      let difference = 0;
      let size = 0;
      for (let j = 0; j < classes; j++) {
        difference += (found[j] - wanted[j]) ** 2;
        size += wanted[j] ** 2;
      }
      relativeError = Math.max(relativeError, Math.sqrt(difference / size));
      if (argMax(found) === argMax(wanted)) sameTopClass++;
    } finally {
      images.dispose();
    }
  }
  return { pictures, relativeError, sameTopClass };
}

/** Throws FactError E_PARITY where two networks that should be equal are not. */
export function checkEqualLogits({ relativeError, pictures }: LogitComparison, source: string): void {
  if (relativeError <= BCOSIFY_TOLERANCE) return;
  throw new FactError({
    code: 'E_PARITY',
    message: `${source}: the B-cosified network's logits differ from the standard network's by ${relativeError.toExponential(1)} (norm-wise, ${pictures} random pictures), ${BCOSIFY_TOLERANCE} is allowed`,
    remedy:
      'Nothing was written. Report this with the checkpoint: the conversion should not change the function.',
  });
}
