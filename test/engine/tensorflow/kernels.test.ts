import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, test } from 'vitest';
import { CASES } from '../../../scripts/engineTable/cases.js';
import { judge, measure, reference } from '../../../scripts/engineTable/measure.js';
import { startEngine } from '../../../src/engine/start.js';
import type { TensorflowBackend } from '../../../src/engine/tensorflow/backend.js';
import type { Handle } from '../../../src/engine/tensorflow/binding.js';
import { ENGINES } from '../engines.js';

const isInstalled = ENGINES.includes('tensorflow');

function backend(): TensorflowBackend {
  return tf.backend() as TensorflowBackend;
}

/** Handles inside TensorFlow that a function leaves. */
async function handleGrowth(run: () => Promise<unknown>): Promise<number> {
  const { binding } = backend();
  const live = new Set<Handle>();
  const { create, execute, release } = binding;
  let released = 0;
  Object.assign(binding, {
    create: (...args: Parameters<typeof create>) => {
      const handle = create.apply(binding, args);
      live.add(handle);
      return handle;
    },
    execute: (...args: Parameters<typeof execute>) => {
      const outputs = execute.apply(binding, args);
      for (const { handle } of outputs) live.add(handle);
      return outputs;
    },
    release: (handle: Handle) => {
      if (!live.delete(handle)) released++;
      release.call(binding, handle);
    },
  });
  try {
    await run();
  } finally {
    for (const name of ['create', 'execute', 'release'])
      delete (binding as unknown as Record<string, unknown>)[name];
  }
  return live.size - released;
}

/** The same computation on another engine and on this one. */
async function both(
  reference: 'cpu' | 'wasm',
  compute: () => tf.Tensor,
): Promise<[Float32Array, Float32Array]> {
  const values: Float32Array[] = [];
  for (const engine of [reference, 'tensorflow'] as const) {
    await startEngine({ engine });
    const result = tf.tidy(compute);
    values.push(Float32Array.from(result.dataSync()));
    result.dispose();
  }
  return [values[0], values[1]];
}

function ramp(...shape: number[]): tf.Tensor4D {
  const size = shape.reduce((a, b) => a * b, 1);
  const values = Float32Array.from({ length: size }, (_, i) => Math.sin(i * 1.7));
  return tf.tensor(values, shape as [number]) as tf.Tensor as tf.Tensor4D;
}

describe.skipIf(!isInstalled)('kernels of engine tensorflow (where libtensorflow is installed)', () => {
  beforeAll(async () => {
    await startEngine({ engine: 'tensorflow', threads: 1 });
  });

  test('agree with the cpu engine and with finite differences, and leave nothing inside TensorFlow', async () => {
    const missing = /^missing: tfjs refuses$|^ok \/ missing: (no gradient of|tfjs refuses)/;
    const wrongInTfjs = ['mirrorPad'];
    for (const c of CASES) {
      await startEngine({ engine: 'cpu' });
      const expected = await reference(c);
      await startEngine({ engine: 'tensorflow' });
      const before = tf.memory().numTensors;
      const cell = judge(c, await measure(c, false), expected);
      if (!wrongInTfjs.includes(c.name) && !missing.test(cell))
        expect([c.name, cell]).toEqual([c.name, c.hasGradient ? 'ok / ok' : 'ok / -']);
      if (cell.includes('missing')) continue; // tfjs leaves tensors behind where it throws
      expect([c.name, await handleGrowth(() => measure(c, false))]).toEqual([c.name, 0]);
      expect(tf.memory().numTensors).toBe(before);
    }
  });

  const forms: Record<string, () => tf.Tensor> = {
    'convolution with a padding as a number, rounded up': () =>
      tf.conv2d(ramp(2, 8, 7, 3), ramp(3, 3, 3, 4), 2, 1, 'NHWC', 1, 'ceil'),
    'convolution with uneven explicit padding': () =>
      tf.conv2d(ramp(2, 8, 7, 3), ramp(3, 3, 3, 4), 1, [
        [0, 0],
        [0, 2],
        [1, 0],
        [0, 0],
      ]),
    'depthwise convolution, dilated': () =>
      tf.depthwiseConv2d(ramp(2, 9, 8, 4), ramp(3, 3, 4, 2), 1, 'same', 'NHWC', 2),
    'depthwise convolution, uneven strides': () =>
      tf.depthwiseConv2d(ramp(2, 9, 8, 4), ramp(3, 3, 4, 2), [2, 1], 'valid'),
    'largest values with a padding as a number': () => tf.maxPool(ramp(2, 8, 7, 3), 3, 2, 1, 'floor'),
    'mean values with a padding as a number': () => tf.avgPool(ramp(2, 8, 7, 3), 3, 2, 1, 'floor'),
    'gradient of mean values with a padding as a number': () =>
      tf.grad((x) => tf.square(tf.avgPool(x as tf.Tensor4D, 3, 2, 1, 'floor')))(ramp(1, 8, 7, 2)),
    'gradient of largest values with a padding as a number': () =>
      tf.grad((x) => tf.square(tf.maxPool(x as tf.Tensor4D, 3, 2, 1, 'floor')))(ramp(1, 8, 7, 2)),
    'fused product with bias and activation': () =>
      tf.fused.matMul({
        a: ramp(4, 5) as unknown as tf.Tensor2D,
        b: ramp(5, 3) as unknown as tf.Tensor2D,
        bias: ramp(3) as unknown as tf.Tensor1D,
        activation: 'leakyrelu',
        leakyreluAlpha: 0.3,
      }),
    'fused depthwise convolution': () =>
      tf.fused.depthwiseConv2d({
        x: ramp(1, 5, 5, 2),
        filter: ramp(3, 3, 2, 1),
        strides: 1,
        pad: 'same',
        activation: 'relu6',
      }),
    'batch norm with values of every pixel': () =>
      tf.batchNorm(ramp(1, 2, 2, 3), ramp(1, 2, 2, 3), tf.square(ramp(1, 2, 2, 3)), ramp(1, 2, 2, 3)),
    'whole numbers': () => tf.sum(tf.mul(tf.tensor1d([3, 5], 'int32'), tf.tensor1d([2, 7], 'int32'))),
    'mean of whole numbers': () => tf.mean(tf.tensor1d([3, 4], 'int32')),
    'truth values counted': () => tf.sum(tf.greater(ramp(4, 5), 0)),
    'truth values multiplied': () => tf.mul(tf.tensor1d([1, 0], 'bool'), tf.tensor1d([1, 1], 'bool')),
    'numbers as truth values': () => tf.cast(tf.cast(tf.tensor1d([0, -2, 0.5]), 'bool'), 'float32'),
    'all and any': () => tf.stack([tf.all(tf.tensor1d([1, 0], 'bool')), tf.any(tf.tensor1d([1, 0], 'bool'))]),
    'ones for hot, as truth values': () => tf.oneHot(tf.tensor1d([0, 2], 'int32'), 3, 1, 0, 'bool'),
    'a step': () => tf.step(tf.tensor1d([-1, 0, 2]), 0.5),
    'a step of NaN': () => tf.cast(tf.isNaN(tf.step(tf.tensor1d([Number.NaN]))), 'float32'),
    'exponentials of whole numbers': () => tf.exp(tf.tensor1d([4, -9], 'int32')),
    'reversed, of all axes': () => tf.reverse(ramp(2, 3)),
    'a ramp downwards': () => tf.range(5, 0, -2),
    'even steps': () => tf.linspace(0, 1, 5),
    'nothing at all': () => tf.relu(tf.matMul(tf.zeros([0, 3]), tf.ones([3, 2]))),
    'parts of uneven size': () => tf.concat(tf.split(ramp(6, 2), [1, 3, 2]).reverse()),
    'reciprocal roots': () => tf.rsqrt(tf.add(tf.abs(ramp(50)), 0.1)),
  };
  test.each(Object.entries(forms))('%s: the same as on another engine', async (name, compute) => {
    // The gradient of tfjs's own average pools is wrong at padded edges on the cpu engine.
    const [expected, received] = await both(name.includes('gradient of mean') ? 'wasm' : 'cpu', compute);
    expect(received.length).toBe(expected.length);
    expect(received).toBeNormwiseClose(expected, 1e-6);
    await startEngine({ engine: 'tensorflow' });
    tf.dispose(tf.tidy(compute));
    expect(await handleGrowth(async () => tf.dispose(tf.tidy(compute)))).toBe(0);
  });

  test('reciprocal roots are rounded correctly: their error is that of two roundings', async () => {
    await startEngine({ engine: 'tensorflow' });
    const x = Float32Array.from({ length: 5000 }, (_, i) => 1e-3 + i * 0.77);
    const y = tf.rsqrt(tf.tensor1d(x)).dataSync();
    const worst = Math.max(...y.map((v, i) => Math.abs(v * Math.sqrt(x[i]) - 1)));
    expect(worst).toBeLessThan(1.2e-7);
  });

  test('tensors move between engines', async () => {
    await startEngine({ engine: 'cpu' });
    const x = tf.square(tf.tensor1d([1, 2, 3]));
    await startEngine({ engine: 'tensorflow' });
    const y = tf.add(x, 1);
    await startEngine({ engine: 'cpu' });
    expect([...tf.mul(y, 2).dataSync()]).toEqual([4, 10, 20]);
  });

  test('what the engine lacks is refused by name', async () => {
    await startEngine({ engine: 'tensorflow' });
    expect(() => tf.tensor1d(['a', 'b'])).toThrow(expect.objectContaining({ code: 'E_ENGINE_UNSUPPORTED' }));
    expect(() => tf.conv2d(ramp(1, 3, 5, 5), ramp(3, 3, 3, 1), 1, 'valid', 'NCHW')).toThrow(
      expect.objectContaining({ code: 'E_ENGINE_UNSUPPORTED' }),
    );
    expect(() => backend().run('AddV2', [tf.ones([2]), tf.ones([3])])).toThrow(
      expect.objectContaining({ code: 'E_ENGINE_OPERATION', message: expect.stringContaining('AddV2') }),
    );
    expect(() => backend().run('NoSuchOperation', [tf.ones([2])])).toThrow(
      expect.objectContaining({ code: 'E_ENGINE_OPERATION' }),
    );
    expect([...tf.add(tf.ones([2]), 1).dataSync()]).toEqual([2, 2]);
  });
});
