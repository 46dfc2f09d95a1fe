import * as tf from '@tensorflow/tfjs';
import { beforeAll, beforeEach } from 'vitest';
import { type EngineName, startEngine } from '../src/engine/start.js';
import { testEngine } from './engineName.js';

export { testEngine };

/**
 * Starts the test engine (or the one given) before the tests of the calling file. Engine `tensorflow` is none that
 * npm brings: where it is not installed, the tests are skipped with the reason.
 */
export function useEngine(engine: EngineName = testEngine()): void {
  let missing: string | null = null;
  beforeAll(async () => {
    try {
      await startEngine({ engine, threads: 1 });
    } catch (error) {
      if (engine !== 'tensorflow' || (error as { code?: unknown }).code !== 'E_ENGINE_MISSING') throw error;
      missing = (error as Error).message;
    }
  });
  beforeEach((context) => {
    if (missing !== null) context.skip(missing);
  });
}

/** Number of live tensors before minus after a function, its own results disposed by the caller inside `fn`. */
export async function tensorGrowth(fn: () => unknown | Promise<unknown>): Promise<number> {
  const before = tf.memory().numTensors;
  await fn();
  return tf.memory().numTensors - before;
}
