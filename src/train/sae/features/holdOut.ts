import { Random } from '../../../core/random.js';
import type { ImageSource } from '../../../data/imageSource.js';

/** Seed of the draw where none is given: the reference's. */
export const HOLD_OUT_SEED = 42;
/** Of a class with few pictures no more than this share is held out. */
const LARGEST_SHARE = 0.1;
const HOLD_OUT_STREAM = 0x40d;

/** A data set in two parts, both in rising order. */
export interface HeldOut {
  readonly kept: Uint32Array;
  readonly heldOut: Uint32Array;
}

/**
 * Sets pictures of each class apart, drawn without replacement: `perClass` of them, at most a tenth of the class.
 * Depends on the labels and the seed alone; 0 holds none out.
 */
export function holdOut(
  source: Pick<ImageSource, 'size' | 'label' | 'classNames'>,
  perClass: number,
  seed = HOLD_OUT_SEED,
): HeldOut {
  const classes: number[][] = source.classNames.map(() => []);
  for (let sample = 0; sample < source.size; sample++) classes[source.label(sample)].push(sample);
  const isHeld = new Uint8Array(source.size);
  classes.forEach((samples, label) => {
    const count = Math.min(perClass, Math.floor(samples.length * LARGEST_SHARE));
    if (count === 0) return;
    const order = new Random(seed, HOLD_OUT_STREAM, label).permutation(samples.length);
    for (const i of order.subarray(0, count)) isHeld[samples[i]] = 1;
  });
  const numbers = Uint32Array.from({ length: source.size }, (_, i) => i);
  return {
    kept: numbers.filter((sample) => isHeld[sample] === 0),
    heldOut: numbers.filter((sample) => isHeld[sample] === 1),
  };
}
