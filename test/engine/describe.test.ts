import { expect, test } from 'vitest';
import { describeEngines } from '../../src/engine/describe.js';
import { currentEngine } from '../../src/engine/start.js';
import { ENGINES } from './engines.js';

test('every engine is tried, exactly one is used, and a missing one says why', async () => {
  const rows = await describeEngines({ engine: 'wasm' });
  expect(rows.map((row) => row.name)).toEqual(['onnx', 'wasm', 'cpu', 'tensorflow']);
  expect(rows.filter((row) => row.state === 'used').map((row) => row.name)).toEqual(['wasm']);
  expect(currentEngine()?.name).toBe('wasm');
  for (const row of rows) expect(row.reason.length).toBeGreaterThan(10);
  for (const row of rows.filter((r) => r.state !== 'missing')) expect(row.version).toMatch(/^\d+\.\d+\.\d+/);
});

test('the tensorflow engine comes with the command that brings it, or with its library', async () => {
  const rows = await describeEngines({ engine: 'cpu' });
  const row = rows.find(({ name }) => name === 'tensorflow');
  if (ENGINES.includes('tensorflow')) {
    expect(row).toMatchObject({
      state: 'available',
      command: null,
      reason: expect.stringContaining('from '),
    });
  } else {
    expect(row).toMatchObject({ state: 'missing', command: 'fact engine install tensorflow' });
  }
});
