import { expect, test, vi } from 'vitest';
import { describeEngines } from '../../src/engine/describe.js';
import { startEngine } from '../../src/engine/start.js';

// As on a machine whose C library is too old for onnxruntime-node.
vi.mock('onnxruntime-node', () => {
  throw new Error('version GLIBC_2.27 not found');
});

test('a broken onnxruntime-node is named with the command that brings it', async () => {
  await expect(startEngine({ engine: 'onnx' })).rejects.toMatchObject({
    code: 'E_ENGINE_MISSING',
    message: expect.stringContaining('onnxruntime-node'),
    remedy: expect.stringContaining('npm install onnxruntime-node@'),
  });
});

test('without --engine, wasm takes its place and says why', async () => {
  const started = await startEngine();
  expect(started.name).toBe('wasm');
  expect(started.reason).toContain('onnx does not work here');
});

test('the list shows it as missing', async () => {
  const rows = await describeEngines();
  expect(rows.slice(0, 3).map(({ name, state }) => [name, state])).toEqual([
    ['onnx', 'missing'],
    ['wasm', 'used'],
    ['cpu', 'available'],
  ]);
  expect(rows[0].command).toContain('npm install');
});
