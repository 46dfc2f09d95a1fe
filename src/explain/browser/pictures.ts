/** Photographs into pixels, and pictures into addresses of images, by the browser's own canvas. */
import { evalTransform } from '../../data/evalTransform.js';
import type { ModelSpec } from '../../models/spec.js';
import type { ExplainImage } from '../explanation.js';
import type { Picture } from '../picture/canvas.js';

/** Photographs above this many pixels are drawn smaller: browsers limit the size of a canvas. */
const MOST_PIXELS = 2 ** 24;

function contextOf(width: number, height: number): [HTMLCanvasElement, CanvasRenderingContext2D] {
  const canvas = document.createElement('canvas');
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext('2d', { willReadFrequently: true });
  if (context === null) throw new Error('this browser gives the page no canvas');
  return [canvas, context];
}

/**
 * Decodes a picture file: upright, transparency laid on white, as `decodeImage` does it; then resized and cropped as the
 * network wants it. Throws where the browser cannot read the file.
 */
export async function readPhotograph(file: Blob, name: string, spec: ModelSpec): Promise<ExplainImage> {
  const bitmap = await createImageBitmap(file, { imageOrientation: 'from-image' }).catch(() => {
    throw new Error(`${name} is no picture that this browser can read. Try a JPEG, PNG or WebP file.`);
  });
  const scale = Math.min(1, Math.sqrt(MOST_PIXELS / (bitmap.width * bitmap.height)));
  const width = Math.max(1, Math.floor(bitmap.width * scale));
  const height = Math.max(1, Math.floor(bitmap.height * scale));
  const [, context] = contextOf(width, height);
  context.fillStyle = '#ffffff';
  context.fillRect(0, 0, width, height);
  context.drawImage(bitmap, 0, 0, width, height);
  bitmap.close();
  const rgba = context.getImageData(0, 0, width, height).data;
  const data = new Uint8Array(width * height * 3);
  for (let i = 0, o = 0; i < rgba.length; i += 4) {
    data[o++] = rgba[i];
    data[o++] = rgba[i + 1];
    data[o++] = rgba[i + 2];
  }
  const original = { width, height, data };
  const [cropHeight, cropWidth] = spec.preprocessing.crop;
  const pixels = evalTransform(original, spec.preprocessing);
  return { name, pixels, height: cropHeight, width: cropWidth, original, trueClass: null };
}

/** The `src` of an image element. */
export async function canvasUrl(picture: Picture): Promise<string> {
  const [canvas, context] = contextOf(picture.width, picture.height);
  const rgba = context.createImageData(picture.width, picture.height);
  for (let i = 0, o = 0; i < picture.data.length; i += 3) {
    rgba.data[o++] = picture.data[i];
    rgba.data[o++] = picture.data[i + 1];
    rgba.data[o++] = picture.data[i + 2];
    rgba.data[o++] = 255;
  }
  context.putImageData(rgba, 0, 0);
  return canvas.toDataURL('image/png');
}
