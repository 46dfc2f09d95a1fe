export { checkStore } from './checkStore.js';
export { type StoreDtype, shardHeader } from './shardFile.js';
export { SHARD_BYTES, storeBytes, type TapAmount } from './storeBytes.js';
export { readStoreIndex, STORE_FILE, type StoreIndex, type StoreTap } from './storeIndex.js';
export type { StoreRequest } from './storePlan.js';
export { openStore, type ReaderOptions } from './storeReader.js';
export type { Share } from './workFolder.js';
export { type StoreRun, type StoreRunOptions, writeStore } from './writeStore.js';
