import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { nameResults } from '../../../src/engine/onnx/passes/outputNames.js';
import { startEngine } from '../../../src/engine/start.js';
import type { TensorTree } from '../../../src/engine/tensorTree.js';
import { count, randomImage, runGraph, traced } from './graphs.js';

beforeAll(async () => {
  await startEngine({ engine: 'onnx', threads: 1 });
});

const SHAPE = [3, 4];

/** Copies left, and whether all results are the same numbers under the same names. */
async function copiesLeft(fn: (x: tf.Tensor) => TensorTree): Promise<number> {
  const before = traced(fn, SHAPE);
  const after = nameResults(before);
  const x = randomImage(SHAPE, 1);
  expect(await runGraph(after, x, SHAPE)).toEqual(await runGraph(before, x, SHAPE));
  return count(after, 'Identity');
}

describe('results that take their outputs` names', () => {
  it('are not copied, even where others read them', async () => {
    const fn = (x: tf.Tensor) => {
      const y = tf.sin(x);
      return { y, z: tf.cos(y) };
    };
    expect(await copiesLeft(fn)).toBe(0);
  });

  it('are copied where a result is shown twice', async () => {
    const fn = (x: tf.Tensor) => {
      const y = tf.sin(x);
      return { a: y, b: y.clone(), c: tf.cos(y) };
    };
    expect(await copiesLeft(fn)).toBe(1);
  });

  it('are copied where they are an argument or a constant', async () => {
    expect(await copiesLeft((x) => ({ x, ones: tf.tensor1d([1, 2, 3]), y: tf.sin(x) }))).toBe(2);
  });
});
