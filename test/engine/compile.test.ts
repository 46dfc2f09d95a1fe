import * as tf from '@tensorflow/tfjs';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type Compiled, compile, type TensorTree } from '../../src/engine/compile.js';
import { startEngine } from '../../src/engine/start.js';
import { tensorGrowth } from '../engine.js';

beforeAll(async () => {
  await startEngine({ engine: 'onnx', threads: 1 });
});

afterEach(() => {
  tf.disposeVariables();
});

const numbers = (tensor: tf.Tensor): number[] => Array.from(tensor.dataSync());

/** A step of plain gradient descent on |w - x|^2. */
function descent(w: tf.Variable): Compiled<[tf.Tensor1D, tf.Scalar], tf.Scalar> {
  return compile(
    (x: tf.Tensor1D, rate: tf.Scalar) => {
      const { value, grads } = tf.variableGrads(() => w.sub(x).square().sum() as tf.Scalar, [w]);
      w.assign(w.sub(grads[w.name].mul(rate)));
      return value;
    },
    { name: 'descent', enabled: true },
  );
}

describe('compile', () => {
  it('gives the values of the plain function, in the same nested form', async () => {
    const fn = (x: tf.Tensor2D) => ({ y: tf.relu(x.matMul(x, false, true)).mean(1), list: [x.add(1)] });
    const compiled = compile(fn, { name: 'demo', enabled: true });
    expect(compiled.mode).toBe('compiled');
    const x = tf.randomNormal([5, 7]) as tf.Tensor2D;
    const got = await compiled(x);
    const want = fn(x);
    expect(got.y.dataSync()).toBeNormwiseClose(want.y.dataSync(), 1e-6);
    expect(got.list[0].dataSync()).toBeNormwiseClose(want.list[0].dataSync(), 1e-7);
    compiled.dispose();
  });

  it('leaves no tensor behind but its results', async () => {
    const w = tf.variable(tf.tensor1d([1, 2, 3]));
    const x = tf.tensor1d([0, 0, 1]);
    const rate = tf.scalar(0.25);
    const growth = await tensorGrowth(async () => {
      const step = descent(w);
      for (let i = 0; i < 20; i++) (await step(x, rate)).dispose();
      step.dispose();
    });
    expect(growth).toBe(0);
    expect(tf.memory().numDataBuffers).toBeLessThanOrEqual(tf.memory().numTensors);
  });

  it('writes variables after each run, as the plain function does', async () => {
    const w = tf.variable(tf.tensor1d([1, 2, 3]));
    const step = descent(w);
    for (const expected of [9, 2.25, 0.5625]) {
      const loss = await step(tf.tensor1d([0, 0, 1]), tf.scalar(0.25));
      expect(numbers(loss)[0]).toBeCloseTo(expected, 5);
    }
    expect(numbers(w)).toEqual([0.125, 0.25, 1.25]);
  });

  it('lets calls made at once run one after the other', async () => {
    const w = tf.variable(tf.tensor1d([1, 2, 3]));
    const step = descent(w);
    const [x, rate] = [tf.tensor1d([0, 0, 1]), tf.scalar(0.25)];
    const losses = await Promise.all([step(x, rate), step(x, rate), step(x, rate)]);
    expect(losses.map((loss) => numbers(loss)[0])).toEqual([9, 2.25, 0.5625]);
  });

  it('sees a variable that was assigned between two calls', async () => {
    const w = tf.variable(tf.tensor1d([1, 2, 3]));
    const double = compile(() => w.mul(2), { name: 'double', enabled: true });
    expect(numbers(await double())).toEqual([2, 4, 6]);
    w.assign(tf.tensor1d([5, 6, 7]));
    expect(numbers(await double())).toEqual([10, 12, 14]);
  });

  it('keeps apart two variables that share data after a.assign(b)', async () => {
    const a = tf.variable(tf.tensor1d([1, 1]));
    const b = tf.variable(tf.tensor1d([5, 7]));
    a.assign(b);
    const step = compile(
      () => {
        a.assign(a.add(1));
        return a.sum();
      },
      { name: 'shared', enabled: true },
    );
    expect(numbers(await step())).toEqual([14]);
    expect(numbers(await step())).toEqual([16]);
    expect([numbers(a), numbers(b)]).toEqual([
      [7, 9],
      [5, 7],
    ]);
  });

  it('never changes values that were read, cloned or copied before', async () => {
    const w = tf.variable(tf.tensor1d([1, 2, 3]));
    const step = descent(w);
    const [x, rate] = [tf.tensor1d([0, 0, 1]), tf.scalar(0.25)];
    const snapshots: { array: Float32Array; expected: number[]; clone: tf.Tensor }[] = [];
    for (let i = 0; i < 4; i++) {
      await step(x, rate);
      const array = w.dataSync() as Float32Array;
      snapshots.push({ array, expected: Array.from(array), clone: w.clone() });
    }
    for (const { array, expected, clone } of snapshots) {
      expect(Array.from(array)).toEqual(expected);
      expect(numbers(clone)).toEqual(expected);
    }
  });

  it('keeps results of earlier calls intact', async () => {
    const grow = compile((x: tf.Tensor) => x.add(1), { name: 'grow', enabled: true });
    const first = await grow(tf.zeros([300]));
    const second = await grow(first);
    (await grow(second)).dispose();
    expect([numbers(first)[7], numbers(second)[7]]).toEqual([1, 2]);
  });

  it('accepts arguments that are disposed right after the call', async () => {
    const plus = compile((a: tf.Tensor, b: tf.Tensor) => a.add(b), { name: 'plus', enabled: true });
    await plus(tf.zeros([400]), tf.zeros([400]));
    const a = tf.relu(tf.fill([400], 2));
    const promise = plus(a, tf.ones([400]));
    a.dispose();
    const noise = tf.relu(tf.fill([400], 9));
    expect(numbers(await promise)[3]).toBe(3);
    noise.dispose();
  });

  it('makes one graph for each shape of the arguments', async () => {
    let traces = 0;
    const sum = compile(
      (x: tf.Tensor) => {
        traces++;
        return x.sum();
      },
      { name: 'sum', enabled: true },
    );
    for (const size of [3, 5, 3, 5]) expect(numbers(await sum(tf.ones([size])))).toEqual([size]);
    expect(traces).toBe(2);
  });

  it('runs a batch of nothing', async () => {
    const fn = compile((x: tf.Tensor2D) => tf.relu(x.matMul(tf.ones([3, 2]))), {
      name: 'none',
      enabled: true,
    });
    expect((await fn(tf.zeros([0, 3]))).shape).toEqual([0, 2]);
  });

  it('returns arguments, variables, constants and repeated results as tensors of their own', async () => {
    const w = tf.variable(tf.tensor1d([1, 2]));
    const fn = (x: tf.Tensor1D): TensorTree => {
      const y = x.mul(2);
      return [x, w, tf.tensor1d([8, 9]), y, y];
    };
    for (const enabled of [true, false]) {
      const compiled = compile(fn, { name: 'same', enabled });
      const x = tf.tensor1d([3, 4]);
      const results = (await compiled(x)) as tf.Tensor[];
      expect(results.map(numbers)).toEqual([
        [3, 4],
        [1, 2],
        [8, 9],
        [6, 8],
        [6, 8],
      ]);
      tf.dispose(results);
      expect([numbers(x), numbers(w)]).toEqual([
        [3, 4],
        [1, 2],
      ]);
    }
  });

  it('runs operation by operation where it is disabled', async () => {
    const fn = compile((x: tf.Tensor) => tf.scalar(x.dataSync()[0] * 2), { name: 'reads', enabled: false });
    expect(fn.mode).toBe('eager');
    expect(numbers(await fn(tf.scalar(4)))).toEqual([8]);
  });

  it('is refused after dispose', async () => {
    const fn = compile((x: tf.Tensor) => x.add(1), { name: 'gone', enabled: true });
    fn.dispose();
    await expect(fn(tf.scalar(1))).rejects.toMatchObject({ code: 'E_COMPILED_DISPOSED' });
  });
});

describe('compile with baked variables', () => {
  it('computes what depends on variables only once, and anew when they change', async () => {
    const w = tf.variable(tf.tensor2d([3, 4], [1, 2]));
    let traces = 0;
    const fn = compile(
      (x: tf.Tensor2D) => {
        traces++;
        return x.mul(w.div(w.norm()));
      },
      { name: 'baked', bake: true, enabled: true },
    );
    const x = tf.ones([1, 2]) as tf.Tensor2D;
    expect((await fn(x)).dataSync()).toBeNormwiseClose([0.6, 0.8], 1e-6);
    await fn(x);
    expect(traces).toBe(1);
    w.assign(tf.tensor2d([0, 2], [1, 2]));
    expect((await fn(x)).dataSync()).toBeNormwiseClose([0, 1], 1e-6);
    expect(traces).toBe(2);
  });

  it('sees what a compiled training step wrote, also after an even number of steps', async () => {
    const w = tf.variable(tf.tensor1d([1, 2, 3]));
    const step = descent(w);
    const read = compile((x: tf.Scalar) => w.mul(x), { name: 'read', bake: true, enabled: true });
    await read(tf.scalar(1));
    for (let i = 0; i < 2; i++) await step(tf.tensor1d([0, 0, 1]), tf.scalar(0.25));
    expect(numbers(await read(tf.scalar(1)))).toEqual(numbers(w));
  });

  it('refuses to assign variables', async () => {
    const w = tf.variable(tf.scalar(1));
    const fn = compile(
      (x: tf.Scalar) => {
        w.assign(x);
        return x;
      },
      { name: 'assigns', bake: true, enabled: true },
    );
    await expect(fn(tf.scalar(2))).rejects.toMatchObject({ code: 'E_TRACE_ASSIGN' });
    expect(numbers(w)).toEqual([1]);
  });
});

describe('compile with independent rows', () => {
  const filter = () =>
    tf.variable(tf.randomNormal([3, 3, 2, 16], 0, 1, 'float32', 3)) as tf.Variable<tf.Rank.R4>;
  const images = (count: number) => tf.randomNormal([count, 40, 40, 2], 0, 1, 'float32', 4) as tf.Tensor4D;

  it('gives the same values as the whole batch, the last piece being smaller', async () => {
    const w = filter();
    let largest = 0;
    const fn = (x: tf.Tensor4D, weight: tf.Tensor2D) => {
      largest = x.shape[0];
      const y = tf.conv2d(x, w, 1, 'same');
      return { y: y.mul(weight.reshape([-1, 1, 1, 1])), sum: y.sum([1, 2, 3]) };
    };
    const whole = compile(fn, { name: 'whole', bake: true, enabled: true });
    const pieces = compile(fn, { name: 'pieces', bake: true, independentRows: true, enabled: true });
    const growth = await tensorGrowth(async () => {
      const [x, weight] = [images(23), tf.randomNormal([23, 1]) as tf.Tensor2D];
      const expected = await whole(x, weight);
      for (let run = 0; run < 3; run++) {
        const got = await pieces(x, weight);
        expect(got.y.shape).toEqual([23, 40, 40, 16]);
        expect(got.y.dataSync()).toBeNormwiseClose(expected.y.dataSync(), 1e-7);
        expect(got.sum.dataSync()).toBeNormwiseClose(expected.sum.dataSync(), 1e-6);
        tf.dispose(got);
      }
      tf.dispose([expected, x, weight]);
    });
    expect(growth).toBe(0);
    expect(largest).toBeLessThan(23);
  });

  it('refuses a result that mixes rows', async () => {
    const w = filter();
    const fn = compile((x: tf.Tensor4D) => tf.conv2d(x, w, 1, 'same').mean(), {
      name: 'mixes',
      independentRows: true,
      enabled: true,
    });
    await expect(fn(images(20))).rejects.toMatchObject({ code: 'E_TRACE_RESULT' });
  });
});
