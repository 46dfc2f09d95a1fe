import { FactError } from '../core/errors.js';

const SHARE = 0.01;
const MINIMUM = 10;

/** Broken pictures that are borne in a data set of so many: 1 %, at least 10. */
export function brokenLimitOf(images: number): number {
  return Math.max(MINIMUM, Math.floor(images * SHARE));
}

/**
 * Throws FactError E_DATA_TOO_MANY_BROKEN where more pictures are broken than `limit`.
 * @param messages one line for each broken picture
 */
export function refuseTooManyBroken(messages: readonly string[], limit: number): void {
  if (messages.length <= limit) return;
  throw new FactError({
    code: 'E_DATA_TOO_MANY_BROKEN',
    message: `${messages.length} pictures are broken, the limit is ${limit}; the first: ${messages[0]}`,
    remedy: 'Check the data set: fetch it again or remove the damaged files.',
  });
}
