/**
 * Folder of tfjs's `.wasm` files in the installed package, with a trailing slash, or null outside Node: a page sets
 * its own with tfjs's `setWasmPaths` before it starts the engine.
 */
export async function wasmFolder(): Promise<string | null> {
  if (typeof process === 'undefined' || process.versions?.node === undefined) return null;
  const { createRequire } = await import('node:module');
  const { dirname, join, sep } = await import('node:path');
  const require = createRequire(import.meta.url);
  const main = require.resolve('@tensorflow/tfjs-backend-wasm/package.json');
  return join(dirname(main), 'wasm-out') + sep;
}
