export * from './atomicFile.js';
export * from './errors.js';
export * from './float16.js';
export * from './hash.js';
export * from './log.js';
export * from './nearest.js';
export * from './progress.js';
export * from './random.js';
