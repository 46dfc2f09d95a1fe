/** Small RGB pictures on plain arrays: what the report's PNG files and the page are composed of. */
import { centerOffset } from '../../data/evalTransform.js';
import { resizeBilinear, shorterSideSize } from '../../data/resize.js';
import type { Preprocessing } from '../../models/spec.js';
import type { ExplainImage, PixelMap } from '../explanation.js';
import {
  boxMean,
  contributionColours,
  contributionCutoff,
  gradientToImage,
  percentile,
} from './gradientPicture.js';
import { resizeMap } from './resizeMap.js';

/** RGB bytes [height, width, 3]. */
export interface Picture {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;
}

/** Brightness of what a spotlight leaves out: nearly white, the photograph still to be guessed. */
const BACKGROUND = 255;
const FAINT = 0.22;

/** Contrast of a spotlight: above 1 the edge of the light is darker. */
const CONTRAST = 1.6;

/** Side of the smoothing box for a map of this width: about a ninth, odd, at least 3. */
function smoothing(width: number): number {
  return Math.max(3, 2 * Math.round(width / 18) + 1);
}

/** A map as it is drawn, by two box means: strided convolutions leave a grid in it, which one would let through. */
export function smoothedMap(map: PixelMap): Float64Array {
  const size = smoothing(map.width);
  return boxMean(boxMean(map.values, map.height, map.width, size), map.height, map.width, size);
}

/**
 * The part of the original that the network saw, enlarged or reduced to `width` pixels; where no original is known, or
 * the crop reaches beyond it, the network's own input enlarged.
 */
export function photograph(image: ExplainImage, preprocessing: Preprocessing, width: number): Picture {
  const height = Math.round((width * image.height) / image.width);
  const seen = { width: image.width, height: image.height, data: image.pixels };
  const { original } = image;
  if (original === null) return resizeBilinear(seen, width, height);
  const [resizedWidth, resizedHeight] = shorterSideSize(
    original.width,
    original.height,
    preprocessing.resize,
  );
  const left = centerOffset(resizedWidth, image.width);
  const top = centerOffset(resizedHeight, image.height);
  if (left < 0 || top < 0) return resizeBilinear(seen, width, height);
  const scaleX = original.width / resizedWidth;
  const scaleY = original.height / resizedHeight;
  const box = {
    left: Math.floor(left * scaleX),
    top: Math.floor(top * scaleY),
    width: Math.max(1, Math.min(original.width, Math.round(image.width * scaleX))),
    height: Math.max(1, Math.min(original.height, Math.round(image.height * scaleY))),
  };
  box.left = Math.min(box.left, original.width - box.width);
  box.top = Math.min(box.top, original.height - box.height);
  return resizeBilinear(original, width, height, box);
}

/** Exactly what the network saw, enlarged without smoothing. */
export function networkInput(image: ExplainImage, width: number): Picture {
  const height = Math.round((width * image.height) / image.width);
  const data = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++) {
    const row = Math.floor((y * image.height) / height) * image.width;
    for (let x = 0; x < width; x++) {
      const from = (row + Math.floor((x * image.width) / width)) * 3;
      data.set(image.pixels.subarray(from, from + 3), (y * width + x) * 3);
    }
  }
  return { width, height, data };
}

/** Where a concept is: the positive part of its map, smoothed and enlarged, 0 (not here) to 1. */
export function spotlight(map: PixelMap, width: number, height: number): Float64Array {
  const smooth = smoothedMap(map).map((v) => Math.max(0, v));
  const full = percentile(smooth, 99.5);
  const light = resizeMap(smooth, [map.height, map.width], [height, width]);
  return light.map((v) => (full > 0 ? Math.min(1, v / full) ** CONTRAST : 0));
}

/** The photograph where the light falls, a faint grey one elsewhere. */
export function lit(photo: Picture, light: ArrayLike<number>): Picture {
  const data = new Uint8Array(photo.data.length);
  for (let i = 0; i < light.length; i++) {
    const at = i * 3;
    const luminance = 0.299 * photo.data[at] + 0.587 * photo.data[at + 1] + 0.114 * photo.data[at + 2];
    const grey = BACKGROUND + (luminance - BACKGROUND) * FAINT;
    for (let c = 0; c < 3; c++) data[at + c] = Math.round(grey + (photo.data[at + c] - grey) * light[i]);
  }
  return { width: photo.width, height: photo.height, data };
}

/** The reference's coloured picture of a gradient (`gradientToImage`) on white, enlarged. */
export function gradientPicture(image: ExplainImage, gradient: Float32Array, width: number): Picture {
  const height = Math.round((width * image.height) / image.width);
  const plane = image.height * image.width;
  const encoded = new Float64Array(plane * 6);
  for (let i = 0; i < plane; i++) {
    for (let c = 0; c < 3; c++) {
      encoded[i * 6 + c] = image.pixels[i * 3 + c] / 255;
      encoded[i * 6 + 3 + c] = 1 - encoded[i * 6 + c];
    }
  }
  const rgba = gradientToImage(encoded, gradient, image.height, image.width, {
    smooth: smoothing(image.width),
  });
  const data = new Uint8Array(width * height * 3);
  for (let c = 0; c < 3; c++) {
    const channel = Float64Array.from(
      { length: plane },
      (_, i) => 1 + (rgba[i * 4 + c] - 1) * rgba[i * 4 + 3],
    );
    resizeMap(channel, [image.height, image.width], [height, width]).forEach((v, i) => {
      data[i * 3 + c] = Math.round(255 * v);
    });
  }
  return { width, height, data };
}

/** A contribution map in red (for) and blue (against) on white, smoothed and enlarged. */
export function contributionPicture(map: PixelMap, width: number): Picture {
  const height = Math.round((width * map.height) / map.width);
  const smooth = smoothedMap(map);
  const large = resizeMap(smooth, [map.height, map.width], [height, width]);
  const colours = contributionColours(large, contributionCutoff(large));
  const data = new Uint8Array(colours.length);
  for (let i = 0; i < data.length; i++) data[i] = Math.round(255 * colours[i]);
  return { width, height, data };
}
