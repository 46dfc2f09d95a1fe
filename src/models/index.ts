export { BcosModel } from './bcosModel.js';
export * from './classes.js';
export { type CreateOptions, createModel } from './createModel.js';
export { loadModel } from './loadModel.js';
export type { EntryOf, ModelEntry } from './modelEntry.js';
export { type HeadOptions, withNewHead } from './newHead.js';
export {
  defaultLogitBias,
  type Family,
  type FamilyOptions,
  type ModelOptions,
  NORM_NAMES,
  type NormName,
  type ResolvedOptions,
} from './options.js';
export { PUBLISHED, type Published, WEIGHTS_LICENCE } from './published.js';
export { listModels, modelEntry } from './registry.js';
export type { StorageType } from './saveModel.js';
export type { ModelSpec, Preprocessing } from './spec.js';
export type { StateEntry } from './stateDict.js';
