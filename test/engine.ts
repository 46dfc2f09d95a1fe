import * as tf from '@tensorflow/tfjs';
import { beforeAll } from 'vitest';
import { type EngineName, startEngine } from '../src/engine/start.js';
import { testEngine } from './engineName.js';

export { testEngine };

/** Starts the test engine (or the one given) before the tests of the calling file. */
export function useEngine(engine: EngineName = testEngine()): void {
  beforeAll(async () => {
    await startEngine({ engine, threads: 1 });
  });
}

/** Number of live tensors before minus after a function, its own results disposed by the caller inside `fn`. */
export async function tensorGrowth(fn: () => unknown | Promise<unknown>): Promise<number> {
  const before = tf.memory().numTensors;
  await fn();
  return tf.memory().numTensors - before;
}
