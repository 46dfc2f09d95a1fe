/** The public API: everything that the folders' own entry points give. `fact-tfjs/engine` and the like give one of them. */
export * from './convert/index.js';
export * from './core/index.js';
export * from './data/index.js';
export * from './engine/index.js';
export * from './explain/index.js';
export * from './layers/index.js';
export * from './models/index.js';
export * from './train/index.js';
