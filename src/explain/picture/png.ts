/** PNG files of small pictures, made by sharp. */
import sharp from 'sharp';
import type { Picture } from './canvas.js';

/** PNG file of a picture. */
export async function encodePng(picture: Picture): Promise<Buffer> {
  return sharp(picture.data, { raw: { width: picture.width, height: picture.height, channels: 3 } })
    .png({ compressionLevel: 6, adaptiveFiltering: true })
    .toBuffer();
}

/** A picture as the `src` of an HTML image: a PNG file in base64. */
export async function pngUrl(picture: Picture): Promise<string> {
  return `data:image/png;base64,${(await encodePng(picture)).toString('base64')}`;
}
