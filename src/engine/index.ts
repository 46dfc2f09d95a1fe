export * from './ops.js';
export * from './start.js';
