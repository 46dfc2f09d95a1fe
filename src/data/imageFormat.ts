import { FactError } from '../core/errors.js';

export type ImageFormat = 'jpeg' | 'png' | 'gif' | 'webp' | 'tiff' | 'avif';

/** File name extensions that count as pictures in folders and shards (lower case). */
export const IMAGE_EXTENSIONS: readonly string[] = [
  'jpg',
  'jpeg',
  'png',
  'webp',
  'gif',
  'tif',
  'tiff',
  'avif',
];

function ascii(bytes: Uint8Array, start: number, end: number): string {
  return String.fromCharCode(...bytes.subarray(start, end));
}

function sniff(bytes: Uint8Array): ImageFormat | null {
  if (bytes[0] === 0xff && bytes[1] === 0xd8 && bytes[2] === 0xff) return 'jpeg';
  if (ascii(bytes, 0, 8) === '\x89PNG\r\n\x1a\n') return 'png';
  if (['GIF87a', 'GIF89a'].includes(ascii(bytes, 0, 6))) return 'gif';
  if (ascii(bytes, 0, 4) === 'RIFF' && ascii(bytes, 8, 12) === 'WEBP') return 'webp';
  if (['II*\0', 'MM\0*'].includes(ascii(bytes, 0, 4))) return 'tiff';
  if (ascii(bytes, 4, 8) === 'ftyp' && ['avif', 'avis'].includes(ascii(bytes, 8, 12))) return 'avif';
  return null;
}

/**
 * The format of a picture by its first bytes; the file's extension plays no role. Only these six formats reach the
 * decoder. Throws FactError E_IMAGE_EMPTY for zero bytes, E_IMAGE_FORMAT for anything else.
 */
export function imageFormat(bytes: Uint8Array, name: string): ImageFormat {
  if (bytes.length === 0) {
    throw new FactError({
      code: 'E_IMAGE_EMPTY',
      message: `${name} is empty (0 bytes)`,
      remedy: 'Fetch the file again or remove it.',
    });
  }
  const format = sniff(bytes);
  if (format !== null) return format;
  const start = JSON.stringify(ascii(bytes, 0, 12).replace(/[^\x20-\x7e]/g, '.'));
  throw new FactError({
    code: 'E_IMAGE_FORMAT',
    message: `${name} is not a picture of a known format: it begins with ${start}`,
    remedy: 'Give a JPEG, PNG, WebP, GIF, TIFF or AVIF file.',
  });
}
