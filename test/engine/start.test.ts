import * as tf from '@tensorflow/tfjs';
import { expect, test } from 'vitest';
import { currentEngine, startEngine } from '../../src/engine/start.js';

test('the cpu and wasm engines start, compute, and can be switched', async () => {
  for (const engine of ['cpu', 'wasm', 'cpu'] as const) {
    const started = await startEngine({ engine });
    expect(started.name).toBe(engine);
    expect(started.compiles).toBe(false);
    expect(tf.getBackend()).toBe(engine);
    expect(currentEngine()).toEqual(started);
    expect(await tf.tidy(() => tf.matMul(tf.ones([2, 3]), tf.ones([3, 2])).sum()).data()).toEqual(
      new Float32Array([12]),
    );
  }
});

test('auto starts onnx where it works, else wasm, and says why', async () => {
  const started = await startEngine();
  expect(['onnx', 'wasm']).toContain(started.name);
  expect(started.reason.length).toBeGreaterThan(10);
});

test('tensorflow is refused with a remedy', async () => {
  await expect(startEngine({ engine: 'tensorflow' })).rejects.toMatchObject({ code: 'E_ENGINE_UNSUPPORTED' });
});
