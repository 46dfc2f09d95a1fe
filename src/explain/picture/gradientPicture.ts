/**
 * Pictures of a linear map of a six-channel image (B-cos v2, `gradient_to_image`). Plain float64 arithmetic on arrays
 * in NHWC order, image and gradient [height, width, 6]; drawing never changes a number of an explanation.
 *
 *     g'    = g / (largest |g| of the pixel + 1e-12), clamped below at 0
 *     rgb_c = g'_c / (g'_c + g'_(c+3) + 1e-12)                      c = 0, 1, 2; c+3 is its inverse colour
 *     alpha = ||g|| over channels, 1e-12 where sum(image * g) < 0; box mean (zeros counted); / quantile; clipped to 1
 */

const EPSILON = 1e-12;
const CHANNELS = 6;

/** What opacity is divided by: its own quantile, nothing, or a fixed number (pictures of one scale). */
export type OpacityScale = 'quantile' | 'none' | number;

export interface GradientPictureOptions {
  /** Side of the box mean over alpha; odd, or 0 for none. Default 15. */
  readonly smooth?: number;
  /** Percentile of alpha that becomes opaque. Default 99.5. */
  readonly alphaPercentile?: number;
  /** Default `quantile`. Opacity is clipped to [0, 1] after the division. */
  readonly scale?: OpacityScale;
}

/** Percentile with linear interpolation between order statistics. NaN of no values. */
export function percentile(values: ArrayLike<number>, percent: number): number {
  if (values.length === 0) return Number.NaN;
  const sorted = new Float64Array(values).sort();
  const position = (percent / 100) * (sorted.length - 1);
  const low = Math.floor(position);
  const high = Math.min(low + 1, sorted.length - 1);
  return sorted[low] + (position - low) * (sorted[high] - sorted[low]);
}

/**
 * Mean over a `size` x `size` box around each pixel of a [height, width] map; zeros beyond the border count in the
 * divisor. Throws RangeError for an even size, which has no middle.
 */
export function boxMean(map: ArrayLike<number>, height: number, width: number, size: number): Float64Array {
  if (size % 2 !== 1) throw new RangeError(`the box needs an odd size, received ${size}`);
  const reach = (size - 1) / 2;
  const integral = new Float64Array((height + 1) * (width + 1));
  for (let y = 0; y < height; y++) {
    let row = 0;
    for (let x = 0; x < width; x++) {
      row += map[y * width + x];
      integral[(y + 1) * (width + 1) + x + 1] = integral[y * (width + 1) + x + 1] + row;
    }
  }
  const out = new Float64Array(height * width);
  for (let y = 0; y < height; y++) {
    const top = Math.max(0, y - reach) * (width + 1);
    const bottom = Math.min(height, y + reach + 1) * (width + 1);
    for (let x = 0; x < width; x++) {
      const left = Math.max(0, x - reach);
      const right = Math.min(width, x + reach + 1);
      const total =
        integral[bottom + right] - integral[top + right] - integral[bottom + left] + integral[top + left];
      out[y * width + x] = total / (size * size);
    }
  }
  return out;
}

/** Contribution of each pixel: sum over the channels of image times gradient. [height, width] of [.., channels]. */
export function contributionMap(
  image: ArrayLike<number>,
  gradient: ArrayLike<number>,
  channels: number = CHANNELS,
): Float64Array {
  const out = new Float64Array(image.length / channels);
  for (let i = 0; i < out.length; i++) {
    let sum = 0;
    for (let c = i * channels; c < (i + 1) * channels; c++) sum += image[c] * gradient[c];
    out[i] = sum;
  }
  return out;
}

/** Limit at which a contribution map is clipped when drawn: the percentile of its absolute values. */
export function contributionCutoff(map: ArrayLike<number>, percent = 99.5): number {
  const sizes = new Float64Array(map.length);
  for (let i = 0; i < sizes.length; i++) sizes[i] = Math.abs(map[i]);
  return percentile(sizes, percent);
}

/** Colours and opacity of a linear map: [height, width, 4] in [0, 1]. Formula at the head of this file. */
export function gradientToImage(
  image: ArrayLike<number>,
  gradient: ArrayLike<number>,
  height: number,
  width: number,
  options: GradientPictureOptions = {},
): Float64Array {
  const { smooth = 15, alphaPercentile = 99.5, scale = 'quantile' } = options;
  const pixels = height * width;
  const contributions = contributionMap(image, gradient);
  const out = new Float64Array(pixels * 4);
  let alpha: Float64Array = new Float64Array(pixels);
  for (let i = 0; i < pixels; i++) {
    const at = i * CHANNELS;
    let squares = 0;
    let largest = 0;
    for (let c = 0; c < CHANNELS; c++) {
      squares += gradient[at + c] ** 2;
      largest = Math.max(largest, Math.abs(gradient[at + c]));
    }
    alpha[i] = contributions[i] < 0 ? EPSILON : Math.sqrt(squares);
    const divisor = largest + EPSILON;
    for (let c = 0; c < 3; c++) {
      const colour = Math.max(0, gradient[at + c] / divisor);
      const inverse = Math.max(0, gradient[at + c + 3] / divisor);
      out[i * 4 + c] = colour / (colour + inverse + EPSILON);
    }
  }
  if (smooth > 0) alpha = boxMean(alpha, height, width, smooth);
  const full = scale === 'quantile' ? percentile(alpha, alphaPercentile) : scale === 'none' ? 1 : scale;
  for (let i = 0; i < pixels; i++) out[i * 4 + 3] = Math.min(1, Math.max(0, alpha[i] / full));
  return out;
}

/**
 * A contribution map in blue (against), white (none) and red (for), symmetric about 0, clipped at +-cutoff:
 * [height, width, 3] in [0, 1].
 */
export function contributionColours(map: ArrayLike<number>, cutoff: number): Float64Array {
  const out = new Float64Array(map.length * 3);
  for (let i = 0; i < map.length; i++) {
    const v = cutoff > 0 ? Math.min(1, Math.max(-1, map[i] / cutoff)) : 0;
    out[i * 3] = v < 0 ? 1 + v : 1;
    out[i * 3 + 1] = 1 - Math.abs(v);
    out[i * 3 + 2] = v > 0 ? 1 - v : 1;
  }
  return out;
}
