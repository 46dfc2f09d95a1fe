import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
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

test('tensorflow is refused with the command that brings it, where no library is', async () => {
  const [home, named] = [process.env.FACT_HOME, process.env.FACT_LIBTENSORFLOW];
  const folder = mkdtempSync(join(tmpdir(), 'fact-home-'));
  try {
    process.env.FACT_HOME = folder;
    delete process.env.FACT_LIBTENSORFLOW;
    await expect(startEngine({ engine: 'tensorflow' })).rejects.toMatchObject({
      code: 'E_ENGINE_MISSING',
      remedy: expect.stringContaining('fact engine install tensorflow'),
    });
    process.env.FACT_LIBTENSORFLOW = folder;
    await expect(startEngine({ engine: 'tensorflow' })).rejects.toMatchObject({
      code: 'E_ENGINE_MISSING',
      message: expect.stringContaining(folder),
    });
  } finally {
    for (const [name, value] of [
      ['FACT_HOME', home],
      ['FACT_LIBTENSORFLOW', named],
    ] as const) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
    rmSync(folder, { recursive: true });
  }
});
