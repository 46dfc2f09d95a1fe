import { FactError } from '../core/errors.js';
import { findImages, kindOf } from './imageFolder.js';

/**
 * Picture files that a user names: files as given (whatever their extension), folders with all pictures below them,
 * sorted. Throws FactError E_IMAGE_MISSING, E_DATA_EMPTY, E_DATA_UNREADABLE.
 */
export function listImages(paths: readonly string[]): string[] {
  return paths.flatMap((path) => {
    const kind = kindOf(path);
    if (kind === 'file') return [path];
    if (kind === null) {
      throw new FactError({
        code: 'E_IMAGE_MISSING',
        message: `there is no picture or folder ${path}`,
        remedy: 'Check the path.',
      });
    }
    const { images } = findImages(path);
    if (images.length > 0) return images;
    throw new FactError({
      code: 'E_DATA_EMPTY',
      message: `the folder ${path} holds no pictures`,
      remedy: 'Give JPEG, PNG, WebP, GIF, TIFF or AVIF files.',
    });
  });
}
