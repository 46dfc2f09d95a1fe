import { FactError } from '../../core/errors.js';
import type { LibraryPlace } from './libraryPlace.js';

/** Versions of libtensorflow that the C declarations and the table of operations were checked with: 2.15 to 2.21. */
const MAJOR = 2;
const OLDEST_MINOR = 15;
const NEWEST_MINOR = 21;

/** Throws FactError E_ENGINE_LIBRARY for a version outside the range that was checked. */
export function checkVersion(version: string, place: LibraryPlace): void {
  const [major, minor] = version.split('.').map(Number);
  if (major === MAJOR && minor >= OLDEST_MINOR && minor <= NEWEST_MINOR) return;
  throw new FactError({
    code: 'E_ENGINE_LIBRARY',
    message: `engine tensorflow: the library in ${place.folder} is version ${version}; ${MAJOR}.${OLDEST_MINOR} to ${MAJOR}.${NEWEST_MINOR} are supported`,
    remedy: place.remedy,
  });
}
