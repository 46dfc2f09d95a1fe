import * as tf from '@tensorflow/tfjs';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { compile } from '../../src/engine/compile.js';
import { startEngine } from '../../src/engine/start.js';
import { tensorGrowth } from '../engine.js';

beforeAll(async () => {
  await startEngine({ engine: 'onnx', threads: 1 });
});

afterEach(() => {
  tf.disposeVariables();
});

describe('a function that cannot be compiled', () => {
  const x = () => tf.tensor2d([1, 2, 3, 4], [2, 2]);

  for (const [name, fn, operation] of [
    ['dataSync', (t: tf.Tensor2D) => tf.scalar(t.dataSync()[0]), /dataSync/],
    ['arraySync', (t: tf.Tensor2D) => tf.tensor(t.arraySync()), /arraySync/],
    [
      'dataSync of an intermediate result',
      (t: tf.Tensor2D) => tf.scalar(t.add(1).sum().dataSync()[0]),
      /dataSync/,
    ],
    [
      'data without waiting',
      (t: tf.Tensor2D) => {
        void t.data();
        return t.add(1);
      },
      /data/,
    ],
    [
      'a read whose error is swallowed',
      (t: tf.Tensor2D) => {
        try {
          t.arraySync();
        } catch {
          return t.add(1);
        }
        return t;
      },
      /arraySync/,
    ],
  ] as const) {
    it(`names the operation and the caller that read values: ${name}`, async () => {
      const compiled = compile(fn as (t: tf.Tensor2D) => tf.Tensor, { name: 'reader', enabled: true });
      const growth = await tensorGrowth(async () => {
        const input = x();
        const error = await compiled(input).catch((reason: unknown) => reason);
        expect(error).toMatchObject({ code: 'E_TRACE_READ' });
        const { message } = error as Error;
        expect(message).toMatch(operation);
        expect(message).toMatch(/compileRefused\.test\.ts:\d+/);
        expect(message).toMatch(/^reader: /);
        input.dispose();
      });
      expect(growth).toBe(0);
    });
  }

  it('names the kernel that has no ONNX form', async () => {
    const fn = compile((t: tf.Tensor2D) => tf.image.flipLeftRight(t.reshape([1, 2, 2, 1]) as tf.Tensor4D), {
      name: 'flips',
      enabled: true,
    });
    await expect(fn(x())).rejects.toMatchObject({
      code: 'E_NO_LOWERING',
      message: expect.stringContaining('FlipLeftRight'),
    });
  });

  it('must not create variables', async () => {
    const fn = compile((t: tf.Tensor2D) => tf.variable(t, true, 'late').add(1), {
      name: 'creates',
      enabled: true,
    });
    await expect(fn(x())).rejects.toMatchObject({
      code: 'E_TRACE_NEW_VARIABLE',
      message: expect.stringContaining('late'),
    });
    expect(tf.engine().state.registeredVariables.late).toBeUndefined();
  });

  it('must not call compiled functions', async () => {
    const inner = compile((t: tf.Tensor2D) => t.add(1), { name: 'inner', enabled: true });
    const outer = compile((t: tf.Tensor2D) => inner(t) as unknown as tf.Tensor, {
      name: 'outer',
      enabled: true,
    });
    await expect(outer(x())).rejects.toMatchObject({
      code: 'E_TRACE_NESTED',
      message: expect.stringContaining('inner'),
    });
  });

  it('must return tensors', async () => {
    const fn = compile((() => 3) as unknown as () => tf.Tensor, { name: 'three', enabled: true });
    await expect(fn()).rejects.toMatchObject({
      code: 'E_TRACE_RESULT',
      message: expect.stringContaining('a number'),
    });
  });

  it('leaves variables as they were', async () => {
    const w = tf.variable(tf.tensor1d([1, 2]));
    const fn = compile(
      (t: tf.Tensor1D) => {
        w.assign(t);
        return tf.scalar(t.dataSync()[0]);
      },
      { name: 'fails', enabled: true },
    );
    const growth = await tensorGrowth(async () => {
      const t = tf.tensor1d([5, 6]);
      await expect(fn(t)).rejects.toMatchObject({ code: 'E_TRACE_READ' });
      t.dispose();
    });
    expect(growth).toBe(0);
    expect(Array.from(w.dataSync())).toEqual([1, 2]);
  });

  it('cannot hand traced tensors out by another way than its result', async () => {
    const kept: tf.Tensor[] = [];
    const fn = compile(
      (t: tf.Tensor2D) => {
        kept.push(tf.keep(t.add(1)));
        return t;
      },
      { name: 'keeps', enabled: true },
    );
    await fn(x());
    expect(() => kept[0].dataSync()).toThrowError(expect.objectContaining({ code: 'E_TRACE_ESCAPED' }));
    expect(() => kept[0].add(1)).toThrowError(expect.objectContaining({ code: 'E_TRACE_ESCAPED' }));
    kept[0].dispose();
  });
});
