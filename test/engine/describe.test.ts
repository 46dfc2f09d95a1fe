import { expect, test } from 'vitest';
import { describeEngines } from '../../src/engine/describe.js';
import { currentEngine } from '../../src/engine/start.js';

test('every engine is tried, exactly one is used, and a missing one says why', async () => {
  const rows = await describeEngines({ engine: 'wasm' });
  expect(rows.map((row) => row.name)).toEqual(['onnx', 'wasm', 'cpu', 'tensorflow']);
  expect(rows.filter((row) => row.state === 'used').map((row) => row.name)).toEqual(['wasm']);
  expect(currentEngine()?.name).toBe('wasm');
  for (const row of rows) expect(row.reason.length).toBeGreaterThan(10);
  for (const row of rows.filter((r) => r.state !== 'missing')) expect(row.version).toMatch(/^\d+\.\d+\.\d+/);
});

test('the tensorflow engine is listed as not supported, without a command that would not bring it', async () => {
  const rows = await describeEngines({ engine: 'cpu' });
  expect(rows.find((row) => row.name === 'tensorflow')).toMatchObject({ state: 'missing', command: null });
});
