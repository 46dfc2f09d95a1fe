import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { beforeAll, expect, test, vi } from 'vitest';
import { startEngine } from '../../../src/engine/start.js';
import { Native, nativeModuleBytes, type WasmBackend } from '../../../src/engine/wasm/native.js';
import { NATIVE_MODULE_SHA256, NATIVE_SOURCES_SHA256 } from '../../../src/engine/wasm/nativeBinary.js';

const FOLDER = new URL('../../../src/engine/wasm/native/', import.meta.url).pathname;

beforeAll(async () => {
  await startEngine({ engine: 'wasm' });
});

test('the committed module was made from the C sources as they are', () => {
  const names = readdirSync(FOLDER).sort();
  const hash = createHash('sha256');
  for (const ending of ['.h', '.c'])
    for (const name of names.filter((n) => n.endsWith(ending))) hash.update(readFileSync(join(FOLDER, name)));
  expect(hash.digest('hex')).toBe(NATIVE_SOURCES_SHA256);
});

test('the bytes that are instantiated are the committed ones', () => {
  const compiled = vi.spyOn(WebAssembly, 'Module');
  try {
    new Native(tf.backend() as WasmBackend);
    const [bytes] = compiled.mock.calls[0] as unknown as [Uint8Array];
    expect(createHash('sha256').update(bytes).digest('hex')).toBe(NATIVE_MODULE_SHA256);
    expect(bytes).toEqual(nativeModuleBytes());
  } finally {
    compiled.mockRestore();
  }
});

test('the module takes nothing from outside but memory', () => {
  const module = new WebAssembly.Module(nativeModuleBytes());
  expect(WebAssembly.Module.imports(module)).toEqual([{ module: 'env', name: 'memory', kind: 'memory' }]);
});

test('a backend without a known memory is refused with the version to install', () => {
  const backend = { wasm: {} } as unknown as WasmBackend;
  expect(() => new Native(backend)).toThrow(expect.objectContaining({ code: 'E_ENGINE_BROKEN' }));
});

test('an allocation that does not fit is an error, not a pointer to nothing', () => {
  const real = tf.backend() as WasmBackend;
  const native = new Native(real);
  const full = { ...native, backend: { wasm: { _malloc: () => 0 } } };
  expect(() => Native.prototype.allocate.call(full as unknown as Native, 64)).toThrow(
    expect.objectContaining({ code: 'E_MEMORY' }),
  );
});
