/** Weights of one output position: first input index and the weights from there. */
interface Taps {
  readonly start: number;
  readonly weights: Float64Array;
}

/** Antialiased bilinear taps along one axis, half-pixel centres, renormalised at the borders. */
function tapsOf(from: number, to: number): Taps[] {
  const scale = from / to;
  const support = Math.max(1, scale);
  return Array.from({ length: to }, (_, i) => {
    const centre = (i + 0.5) * scale;
    const start = Math.max(0, Math.floor(centre - support + 0.5));
    const end = Math.min(from, Math.floor(centre + support + 0.5));
    const weights = Float64Array.from({ length: end - start }, (_, j) =>
      Math.max(0, 1 - Math.abs((start + j - centre + 0.5) / support)),
    );
    const sum = weights.reduce((s, w) => s + w, 0);
    return { start, weights: weights.map((w) => w / sum) };
  });
}

/**
 * Resizes a map [height, width] with antialiased bilinear interpolation (half-pixel centres): enlarging is plain
 * bilinear with clamped borders, reducing a triangle-weighted mean. Float64; sizes are (height, width).
 */
export function resizeMap(
  map: ArrayLike<number>,
  from: readonly [number, number],
  to: readonly [number, number],
): Float64Array {
  const [height, width] = from;
  const [outHeight, outWidth] = to;
  const columns = tapsOf(width, outWidth);
  const rows = tapsOf(height, outHeight);
  const narrow = new Float64Array(height * outWidth);
  for (let y = 0; y < height; y++) {
    columns.forEach(({ start, weights }, x) => {
      let sum = 0;
      for (let j = 0; j < weights.length; j++) sum += weights[j] * map[y * width + start + j];
      narrow[y * outWidth + x] = sum;
    });
  }
  const out = new Float64Array(outHeight * outWidth);
  rows.forEach(({ start, weights }, y) => {
    for (let x = 0; x < outWidth; x++) {
      let sum = 0;
      for (let j = 0; j < weights.length; j++) sum += weights[j] * narrow[(start + j) * outWidth + x];
      out[y * outWidth + x] = sum;
    }
  });
  return out;
}
