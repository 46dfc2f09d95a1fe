export * from './compile.js';
export * from './describe.js';
export * from './export.js';
export * from './ops.js';
export * from './start.js';
