import { FactError } from '../../../core/errors.js';

/** A file of a store that is cut, changed or not what the index says. `byte`: where in the file; null: as a whole. */
export function damaged(path: string, byte: number | null, what: string, cause?: unknown): FactError {
  return new FactError({
    code: 'E_STORE_DAMAGED',
    message: `${path}${byte === null ? '' : `, byte ${byte}`}: ${what}`,
    remedy: 'Copy the store again, or write it again with `fact sae features`.',
    cause,
  });
}

/** A folder that is no finished store. */
export function notAStore(message: string, remedy: string): FactError {
  return new FactError({ code: 'E_STORE_MISSING', message, remedy });
}

/** A feature that cannot be stored. */
export function unusableFeature(
  code: 'E_FEATURE_NAN' | 'E_FEATURE_OVERFLOW',
  tap: string,
  image: string,
  value: number,
): FactError {
  return code === 'E_FEATURE_NAN'
    ? new FactError({
        code,
        message: `features at tap ${tap} of image ${image}: one is ${value}`,
        remedy: 'The network gives no usable features there: check its weights and this image.',
      })
    : new FactError({
        code,
        message: `features at tap ${tap} of image ${image}: ${value} is beyond the range of f16 (65504)`,
        remedy: 'Write the store with --dtype f32.',
      });
}
