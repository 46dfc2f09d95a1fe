/*
 * What of a picture a concept is: the pixels that carry most of the positive part of its presence, cut out, the rest of
 * the picture pale and blurred around them.
 */
import { resizeBilinear } from '../../../data/resize.js';
import type { PixelMap } from '../../explanation.js';
import { type Picture, smoothedMap } from '../../picture/canvas.js';
import { boxMean } from '../../picture/gradientPicture.js';
import { resizeMap } from '../../picture/resizeMap.js';

/** Part of the positive attribution that a cut-out holds (the reference's measure of a concept's spatial size). */
export const CUT_SHARE = 0.8;

/** A rectangle in parts of the picture's width and height. */
export interface CutBox {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

/** Free space around the pixels, in parts of the picture's shorter side, and the smallest side of a cut-out. */
const MARGIN = 0.06;
const SMALLEST = 0.4;
/** A cut-out that would be nearly the whole picture is the whole. */
const NEARLY_ALL = 0.9;
/** Of the pixels' weight this part may lie outside on each of the four sides: single far pixels do not widen a box. */
const OUTSIDE = 0.02;

/** How pale the rest is: 0 as it is, 1 white; and how grey. */
const PALE = 0.62;
const GREY = 0.75;
/** Softness of the edge: light falls from 1 to 0 between these multiples of the threshold. */
const EDGE_OUTER = 0.55;
const EDGE_INNER = 1.05;

/**
 * The fewest pixels whose positive values reach a share of all positive values.
 * @returns their number, and the smallest value among them; both 0 where nothing is positive
 */
export function pixelsOfShare(
  values: ArrayLike<number>,
  share = CUT_SHARE,
): { count: number; least: number } {
  const positive = Float64Array.from(values).filter((v) => v > 0);
  positive.sort().reverse();
  const wanted = share * positive.reduce((sum, v) => sum + v, 0);
  let sum = 0;
  for (let i = 0; i < positive.length; i++) {
    sum += positive[i];
    if (sum >= wanted) return { count: i + 1, least: positive[i] };
  }
  return { count: positive.length, least: positive[positive.length - 1] ?? 0 };
}

/** First and last index between which all but `OUTSIDE` on either end of the weight lies. */
function extent(weights: Float64Array): [number, number] {
  const total = weights.reduce((sum, v) => sum + v, 0);
  let first = 0;
  for (let sum = weights[0]; sum <= OUTSIDE * total && first < weights.length - 1; sum += weights[first])
    first++;
  let last = weights.length - 1;
  for (let sum = weights[last]; sum <= OUTSIDE * total && last > first; sum += weights[last]) last--;
  return [first, last];
}

/** A stretch of at least `side` pixels around [first, last], moved into [0, size]. */
function stretch(first: number, last: number, side: number, size: number): [number, number] {
  const length = Math.min(size, Math.max(side, last + 1 - first));
  const start = Math.min(size - length, Math.max(0, (first + last + 1 - length) / 2));
  return [start, length];
}

/**
 * A square (where the picture allows one) around the pixels that carry `CUT_SHARE` of a map's positive values, smoothed
 * as they are drawn; the whole picture where nothing is positive.
 */
export function cutBox(map: PixelMap): CutBox {
  const { height, width } = map;
  const smooth = smoothedMap(map);
  const { least, count } = pixelsOfShare(smooth);
  if (count === 0) return { left: 0, top: 0, width: 1, height: 1 };
  const rows = new Float64Array(height);
  const columns = new Float64Array(width);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const value = smooth[y * width + x];
      if (value < least) continue;
      rows[y] += value;
      columns[x] += value;
    }
  const [firstRow, lastRow] = extent(rows);
  const [firstColumn, lastColumn] = extent(columns);
  const shorter = Math.min(height, width);
  const wanted = Math.max(lastRow + 1 - firstRow, lastColumn + 1 - firstColumn) + 2 * MARGIN * shorter;
  const side = wanted > NEARLY_ALL * shorter ? shorter : Math.max(SMALLEST * shorter, wanted);
  const [left, boxWidth] = stretch(firstColumn, lastColumn, side, width);
  const [top, boxHeight] = stretch(firstRow, lastRow, side, height);
  return { left: left / width, top: top / height, width: boxWidth / width, height: boxHeight / height };
}

/** How much of the light falls on each pixel of a picture: 1 on what the cut-out is about, 0 on the rest. */
function lightOf(map: PixelMap, width: number, height: number): Float64Array {
  const smooth = smoothedMap(map);
  const { least, count } = pixelsOfShare(smooth);
  const large = resizeMap(smooth, [map.height, map.width], [height, width]);
  if (count === 0) return large.fill(0);
  return large.map((v) => {
    const t = Math.min(1, Math.max(0, (v / least - EDGE_OUTER) / (EDGE_INNER - EDGE_OUTER)));
    return t * t * (3 - 2 * t);
  });
}

/**
 * A photograph with everything but a concept's pixels pale, greyish and blurred. (`boxMean` counts zeros outside the
 * picture; divided by the mean of ones, its borders are means of what is there.)
 */
export function highlight(photo: Picture, map: PixelMap): Picture {
  const { width, height } = photo;
  const light = lightOf(map, width, height);
  const blur = 2 * Math.round(width / 40) + 1;
  const data = new Uint8Array(photo.data.length);
  const weights = boxMean(new Float64Array(width * height).fill(1), height, width, blur);
  const blurred = (channel: Float64Array): Float64Array => {
    const mean = boxMean(channel, height, width, blur);
    for (let i = 0; i < mean.length; i++) mean[i] /= weights[i];
    return mean;
  };
  const soft = [0, 1, 2].map((c) => {
    const channel = new Float64Array(width * height);
    for (let i = 0; i < channel.length; i++) channel[i] = photo.data[i * 3 + c];
    return blurred(blurred(channel));
  });
  for (let i = 0; i < light.length; i++) {
    const luminance = 0.299 * soft[0][i] + 0.587 * soft[1][i] + 0.114 * soft[2][i];
    for (let c = 0; c < 3; c++) {
      const grey = soft[c][i] + (luminance - soft[c][i]) * GREY;
      const pale = grey + (255 - grey) * PALE;
      data[i * 3 + c] = Math.round(pale + (photo.data[i * 3 + c] - pale) * light[i]);
    }
  }
  return { width, height, data };
}

/** A part of a picture, enlarged or reduced to `side` pixels on its longer side. */
export function cropTo(picture: Picture, box: CutBox, side: number): Picture {
  const left = Math.min(picture.width - 1, Math.round(box.left * picture.width));
  const top = Math.min(picture.height - 1, Math.round(box.top * picture.height));
  const width = Math.max(1, Math.min(picture.width - left, Math.round(box.width * picture.width)));
  const height = Math.max(1, Math.min(picture.height - top, Math.round(box.height * picture.height)));
  const scale = side / Math.max(width, height);
  return resizeBilinear(
    picture,
    Math.max(1, Math.round(width * scale)),
    Math.max(1, Math.round(height * scale)),
    { left, top, width, height },
  );
}
