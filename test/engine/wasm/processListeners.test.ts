import { expect, test } from 'vitest';
import { startEngine } from '../../../src/engine/start.js';
import { withoutProcessListeners } from '../../../src/engine/wasm/processListeners.js';

function handlers(): number {
  return process.listenerCount('uncaughtException') + process.listenerCount('unhandledRejection');
}

test('starting wasm leaves no handlers of uncaught errors on the process', async () => {
  const before = handlers();
  await startEngine({ engine: 'wasm' });
  expect(handlers()).toBe(before);
});

test('handlers that were there stay, also where the start fails', async () => {
  const own = () => {};
  process.on('uncaughtException', own);
  try {
    const failing = withoutProcessListeners(async () => {
      process.on('uncaughtException', () => {});
      throw new Error('no');
    });
    await expect(failing).rejects.toThrow('no');
    expect(process.listeners('uncaughtException')).toContain(own);
  } finally {
    process.removeListener('uncaughtException', own);
  }
});
