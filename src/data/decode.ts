import sharp from 'sharp';
import { FactError, messageOf } from '../core/errors.js';
import { type ImageFormat, imageFormat } from './imageFormat.js';

/** A decoded picture: 8-bit RGB, rows from the top, `data[(y * width + x) * 3 + channel]`. */
export interface DecodedImage {
  readonly width: number;
  readonly height: number;
  /** RGB, HWC; owned by the caller. */
  readonly data: Uint8Array;
}

/** Largest picture that is decoded (134 million pixels, 400 MB as RGB): a guard against decompression bombs. */
export const MAX_IMAGE_PIXELS = 2 ** 27;

let isConfigured = false;

/**
 * Sets sharp up for this process: no cache of decoded files (data sets are read once an epoch) and one thread a
 * picture (several pictures are decoded at once instead).
 */
export function configureSharp(): void {
  if (isConfigured) return;
  sharp.cache(false);
  sharp.concurrency(1);
  isConfigured = true;
}

/** The decoder's own words stay in `cause`: of pictures decoded at the same time, now this one has them, now that one. */
function corrupt(name: string, format: ImageFormat, error: unknown): FactError {
  return new FactError({
    code: 'E_IMAGE_CORRUPT',
    message: `${name} cannot be decoded as ${format}`,
    remedy: 'The file is damaged or cut short: fetch it again or remove it.',
    cause: error,
  });
}

/**
 * Decodes the first frame of a JPEG, PNG, WebP, GIF, TIFF or AVIF file to 8-bit sRGB, every time to the same pixels:
 * turned upright by its EXIF orientation; grayscale repeated in three channels; CMYK and 16 bit converted;
 * transparency laid on white, as a viewer shows it; embedded colour profiles not applied (training data never are).
 * @param name what to call the picture in an error, usually its path
 * Throws FactError E_IMAGE_EMPTY, E_IMAGE_FORMAT, E_IMAGE_TOO_LARGE, E_IMAGE_CORRUPT.
 */
export async function decodeImage(bytes: Uint8Array, name: string): Promise<DecodedImage> {
  const format = imageFormat(bytes, name);
  configureSharp();
  try {
    const options = { failOn: 'error', ignoreIcc: true, limitInputPixels: MAX_IMAGE_PIXELS } as const;
    const { data, info } = await sharp(bytes, options)
      .autoOrient()
      .flatten({ background: '#ffffff' })
      .toColourspace('srgb')
      .raw({ depth: 'uchar' })
      .toBuffer({ resolveWithObject: true });
    if (info.channels !== 3) throw new Error(`${info.channels} channels after conversion to RGB`);
    return { width: info.width, height: info.height, data };
  } catch (error) {
    if (/pixel limit|too large|dimensions exceed/i.test(messageOf(error))) {
      throw new FactError({
        code: 'E_IMAGE_TOO_LARGE',
        message: `${name} has more pixels than the limit of ${MAX_IMAGE_PIXELS}`,
        remedy: 'Scale the picture down first.',
        cause: error,
      });
    }
    throw corrupt(name, format, error);
  }
}
