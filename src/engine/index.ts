export * from './describe.js';
export * from './ops.js';
export * from './start.js';
