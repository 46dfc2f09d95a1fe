import { openStore } from '../store/storeReader.js';
import type { FeatureSource } from './featureSource.js';

/**
 * Opens the features that `fact sae features` wrote to a folder; `tap` may be left out where there is one. Caller closes.
 * Throws FactError E_STORE_MISSING, E_STORE_VERSION, E_STORE_DAMAGED, E_STORE_TAP.
 */
export function openFeatures(folder: string, tap?: string): FeatureSource {
  return openStore(folder, tap === undefined ? {} : { tap });
}
