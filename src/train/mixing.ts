import { Random } from '../core/random.js';

/** Keys the random stream of mixing, so that it coincides with no other. */
const MIXING_STREAM = 0x317;

export interface MixingOptions {
  /** Parameters of the symmetric Beta distributions; 0 = off. */
  readonly mixup: number;
  readonly cutmix: number;
}

/** A box of an image: columns [left, right), rows [top, bottom). */
export interface Box {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

/** One-hot rows [labels, classes]. */
export function oneHot(labels: ArrayLike<number>, classes: number): Float32Array {
  const result = new Float32Array(labels.length * classes);
  for (let i = 0; i < labels.length; i++) result[i * classes + labels[i]] = 1;
  return result;
}

/** Weighs each row of a batch with the row before it (the last before the first), in place: `lambda x_i + (1 - lambda) x_{i-1}`. */
export function mixRows(rows: Float32Array, count: number, lambda: number): void {
  const size = rows.length / count;
  const previous = rows.slice((count - 1) * size);
  const current = new Float32Array(size);
  for (let i = 0; i < count; i++) {
    const row = rows.subarray(i * size, (i + 1) * size);
    current.set(row);
    for (let j = 0; j < size; j++) row[j] = lambda * row[j] + (1 - lambda) * previous[j];
    previous.set(current);
  }
}

/**
 * The box of cutmix (Yun et al., 2019) around a centre: half sides `int(0.5 sqrt(1 - lambda) side)`, clipped to the
 * image; `lambda` is recomputed as one minus the box's share of the area.
 */
export function cutmixBox(
  size: readonly [height: number, width: number],
  centre: readonly [row: number, column: number],
  lambda: number,
): { box: Box; lambda: number } {
  const [height, width] = size;
  const ratio = 0.5 * Math.sqrt(1 - lambda);
  const halfWidth = Math.floor(ratio * width);
  const halfHeight = Math.floor(ratio * height);
  const box = {
    left: Math.max(0, centre[1] - halfWidth),
    top: Math.max(0, centre[0] - halfHeight),
    right: Math.min(width, centre[1] + halfWidth),
    bottom: Math.min(height, centre[0] + halfHeight),
  };
  return { box, lambda: 1 - ((box.right - box.left) * (box.bottom - box.top)) / (width * height) };
}

/** Replaces a box of each image [count, H, W, C] by that of the image before it, in place. */
export function pasteBox(
  images: Float32Array,
  shape: readonly [number, number, number, number],
  box: Box,
): void {
  const [count, height, width, channels] = shape;
  const original = images.slice();
  const from = box.left * channels;
  const length = (box.right - box.left) * channels;
  for (let n = 0; n < count; n++) {
    const source = ((n + count - 1) % count) * height * width * channels;
    const target = n * height * width * channels;
    for (let y = box.top; y < box.bottom; y++) {
      const row = y * width * channels + from;
      images.set(original.subarray(source + row, source + row + length), target + row);
    }
  }
}

/** Gamma variate of shape `a` and scale 1 (Marsaglia and Tsang, 2000). */
function gamma(a: number, random: Random): number {
  if (a < 1) return gamma(a + 1, random) * (1 - random.next()) ** (1 / a);
  const d = a - 1 / 3;
  const c = 1 / Math.sqrt(9 * d);
  for (;;) {
    const x = random.normal();
    const v = (1 + c * x) ** 3;
    if (v <= 0) continue;
    if (Math.log(1 - random.next()) < 0.5 * x * x + d - d * v + d * Math.log(v)) return d * v;
  }
}

function beta(a: number, random: Random): number {
  const x = gamma(a, random);
  return x / (x + gamma(a, random));
}

/**
 * Applies mixup or cutmix (one of the two, with equal probability, where both are on) to a batch and its targets, in
 * place. Random numbers depend on (seed, epoch, batch) only. Mixing commutes with adding the inverse channels, so the
 * images still have three.
 */
export function mixBatch(
  images: Float32Array,
  shape: readonly [number, number, number, number],
  targets: Float32Array,
  options: MixingOptions,
  key: readonly [seed: number, epoch: number, batch: number],
): void {
  if (options.mixup === 0 && options.cutmix === 0) return;
  const random = new Random(MIXING_STREAM, ...key);
  const useMixup = options.cutmix === 0 || (options.mixup > 0 && random.next() < 0.5);
  if (useMixup) {
    const lambda = beta(options.mixup, random);
    mixRows(images, shape[0], lambda);
    mixRows(targets, shape[0], lambda);
    return;
  }
  const sampled = beta(options.cutmix, random);
  const column = random.integer(shape[2]);
  const row = random.integer(shape[1]);
  const { box, lambda } = cutmixBox([shape[1], shape[2]], [row, column], sampled);
  pasteBox(images, shape, box);
  mixRows(targets, shape[0], lambda);
}
