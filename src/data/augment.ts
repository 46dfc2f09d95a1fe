import { FactError, type Random } from '../core/index.js';
import type { DecodedImage } from './decode.js';
import { copyWindow, evalTransform, roundHalfEven } from './evalTransform.js';
import { type Box, resizeBilinear, resizeShorterSide } from './resize.js';

/**
 * What happens to a picture between decoding and the batch. All but `evaluation` draw random numbers, in a fixed order.
 * `resize` scales the shorter side first; left out it is the larger side of the image size (no change for pictures
 * that have it already), null means no scaling.
 */
export type Augmentation =
  /** Scale, centre crop. */
  | { readonly kind: 'evaluation'; readonly resize?: number | null }
  /** Scale, pad with black, crop at a random place; mirror half of the pictures (the CIFAR recipe: padding 4). */
  | {
      readonly kind: 'padCrop';
      readonly padding: number;
      readonly flip: boolean;
      readonly resize?: number | null;
    }
  /** A random box of the picture scaled to the image size; mirror half of the pictures (the ImageNet recipe). */
  | {
      readonly kind: 'resizedCrop';
      readonly flip: boolean;
      /** Share of the area, default [0.08, 1]. */
      readonly scale?: readonly [number, number];
      /** Width / height, default [3/4, 4/3]. */
      readonly ratio?: readonly [number, number];
    };

const CROP_ATTEMPTS = 10;

/** Random box as torchvision's `RandomResizedCrop.get_params` draws it, with the centre crop as its fallback. */
export function randomBox(
  width: number,
  height: number,
  scale: readonly [number, number],
  ratio: readonly [number, number],
  random: Random,
): Box {
  for (let attempt = 0; attempt < CROP_ATTEMPTS; attempt++) {
    const area = width * height * random.uniform(scale[0], scale[1]);
    const aspect = Math.exp(random.uniform(Math.log(ratio[0]), Math.log(ratio[1])));
    const w = roundHalfEven(Math.sqrt(area * aspect));
    const h = roundHalfEven(Math.sqrt(area / aspect));
    if (w > 0 && w <= width && h > 0 && h <= height) {
      const top = random.integer(height - h + 1);
      return { top, left: random.integer(width - w + 1), width: w, height: h };
    }
  }
  let w = width;
  let h = height;
  if (width / height < ratio[0]) h = Math.max(1, roundHalfEven(width / ratio[0]));
  else if (width / height > ratio[1]) w = Math.max(1, roundHalfEven(height * ratio[1]));
  return { top: Math.floor((height - h) / 2), left: Math.floor((width - w) / 2), width: w, height: h };
}

function scaled(
  image: DecodedImage,
  size: readonly [number, number],
  resize: number | null | undefined,
): DecodedImage {
  return resize === null ? image : resizeShorterSide(image, resize ?? Math.max(...size));
}

/**
 * Applies an augmentation.
 * @param size [height, width] of the result
 * @returns RGB bytes [height, width, 3]
 */
export function augment(
  image: DecodedImage,
  size: readonly [number, number],
  augmentation: Augmentation,
  random: Random,
): Uint8Array {
  const [height, width] = size;
  switch (augmentation.kind) {
    case 'evaluation': {
      const base = scaled(image, size, augmentation.resize);
      return evalTransform(base, { resize: Math.min(base.width, base.height), crop: size });
    }
    case 'padCrop': {
      const { padding, flip } = augmentation;
      const base = scaled(image, size, augmentation.resize);
      const spareY = base.height + 2 * padding - height;
      const spareX = base.width + 2 * padding - width;
      const top = random.integer(Math.abs(spareY) + 1) * Math.sign(spareY) - padding;
      const left = random.integer(Math.abs(spareX) + 1) * Math.sign(spareX) - padding;
      return copyWindow(base, top, left, height, width, flip && random.next() < 0.5);
    }
    case 'resizedCrop': {
      const { scale = [0.08, 1], ratio = [3 / 4, 4 / 3], flip } = augmentation;
      const box = randomBox(image.width, image.height, scale, ratio, random);
      const base = resizeBilinear(image, width, height, box);
      return flip && random.next() < 0.5 ? copyWindow(base, 0, 0, height, width, true) : base.data;
    }
  }
}

/** Checks an augmentation's numbers. Throws FactError E_AUGMENTATION. */
export function checkAugmentation(augmentation: Augmentation): void {
  const fail = (what: string): never => {
    throw new FactError({
      code: 'E_AUGMENTATION',
      message: `augmentation ${augmentation.kind}: ${what}`,
      remedy: 'Correct the data section of the config.',
      exitCode: 2,
    });
  };
  const isRange = (range: readonly [number, number]): boolean =>
    range[0] > 0 && range[1] >= range[0] && Number.isFinite(range[1]);
  if (augmentation.kind === 'resizedCrop') {
    const { scale = [0.08, 1], ratio = [3 / 4, 4 / 3] } = augmentation;
    if (!isRange(scale) || scale[1] > 1) fail(`scale [${scale}] is not a range within (0, 1]`);
    if (!isRange(ratio)) fail(`ratio [${ratio}] is not a range of positive numbers`);
    return;
  }
  const { resize } = augmentation;
  if (resize !== undefined && resize !== null && !(Number.isInteger(resize) && resize > 0)) {
    fail(`resize ${resize} is not a positive whole number`);
  }
  if (
    augmentation.kind === 'padCrop' &&
    !(Number.isInteger(augmentation.padding) && augmentation.padding >= 0)
  ) {
    fail(`padding ${augmentation.padding} is not a whole number from 0`);
  }
}
