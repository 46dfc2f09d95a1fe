import { expect, it, vi } from 'vitest';
import { main } from '../../src/cli/main.js';
import type { EngineDescription } from '../../src/engine/describe.js';

// As on a machine without onnxruntime-node.
vi.mock('../../src/engine/describe.js', async (original) => ({
  ...(await original<typeof import('../../src/engine/describe.js')>()),
  describeEngines: async (): Promise<EngineDescription[]> => [
    { name: 'onnx', state: 'missing', version: null, reason: 'not installed', command: 'npm install' },
  ],
}));

it('an installation that fails names the command that was tried', async () => {
  const path = process.env.PATH;
  process.env.PATH = '';
  let err = '';
  const spy = vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    err += String(text);
    return true;
  });
  try {
    await main(['node', 'fact', 'engine', 'install', 'onnx']);
  } finally {
    spy.mockRestore();
    process.env.PATH = path;
  }
  expect(process.exitCode).toBe(1);
  expect(err).toMatch(/"npm install --ignore-scripts onnxruntime-node@[\d.]+ --no-save" in .*ENOENT/);
  expect(err).toContain('[E_ENGINE_INSTALL]');
});
