import * as tf from '@tensorflow/tfjs';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Random } from '../../../src/core/random.js';
import { type Compiled, compile } from '../../../src/engine/compile.js';
import type { OnnxBackend } from '../../../src/engine/onnx/backend.js';
import { optimise } from '../../../src/engine/onnx/passes/index.js';
import { traceFunction } from '../../../src/engine/onnx/trace.js';
import { conv2d, conv2dFilterGrad } from '../../../src/engine/ops.js';
import { startEngine } from '../../../src/engine/start.js';
import { unitFilters } from '../../../src/layers/bcosScale.js';
import { tensorGrowth } from '../../engine.js';
import { count } from './graphs.js';

beforeAll(async () => {
  await startEngine({ engine: 'onnx', threads: 1 });
});

afterEach(() => {
  tf.disposeVariables();
});

const conv = { stride: [1, 1], padding: [1, 1], dilation: [1, 1], groups: 1 } as const;
const SHAPE: [number, number, number, number] = [3, 3, 2, 5];

function filters(): tf.Variable<tf.Rank.R4> {
  const random = new Random(7);
  const values = Float32Array.from({ length: 90 }, () => random.normal());
  return tf.variable(tf.tensor4d(values, SHAPE));
}

/** A step on |conv(x, w / |w|) - 1|^2 that touches the filters in every way that a layer and an optimiser do. */
function stepOf(w: tf.Variable<tf.Rank.R4>, moment: tf.Variable<tf.Rank.R4>) {
  return (x: tf.Tensor4D): tf.Tensor => {
    const { unit, inverseNorm } = unitFilters(w);
    const error = conv2d(x, unit as tf.Tensor4D, conv).sub(1) as tf.Tensor4D;
    const d = conv2dFilterGrad(x, error, SHAPE, conv).mul(inverseNorm);
    const next = moment.mul(0.9).add(d.square().sqrt()) as tf.Tensor4D;
    moment.assign(next);
    w.assign(w.sub(d.mul(0.01).div(next.add(1e-3))) as tf.Tensor4D);
    return tf.where(d.greater(0), d, tf.zerosLike(d)).sum();
  };
}

function image(): tf.Tensor4D {
  const random = new Random(9);
  return tf.tensor4d(
    Float32Array.from({ length: 2 * 6 * 5 * 2 }, () => random.normal()),
    [2, 6, 5, 2],
  );
}

describe('filters that a compiled function keeps in another order', () => {
  let step: Compiled<[tf.Tensor4D], tf.Tensor>;
  afterEach(() => step.dispose());

  it('read as they would without it, run after run', async () => {
    const [w, m, plainW, plainM] = [filters(), filters(), filters(), filters()];
    step = compile(stepOf(w, m), { name: 'step', enabled: true });
    const plain = stepOf(plainW, plainM);
    const x = image();
    for (let run = 0; run < 3; run++) {
      const [got, want] = [await step(x), plain(x)];
      expect(got.dataSync()).toBeNormwiseClose(want.dataSync(), 1e-5);
      expect(w.shape).toEqual(SHAPE);
      expect(w.dataSync()).toBeNormwiseClose(plainW.dataSync(), 1e-6);
      expect(m.dataSync()).toBeNormwiseClose(plainM.dataSync(), 1e-6);
    }
  });

  it('come back bit by bit where nothing is computed', async () => {
    const w = filters();
    const before = Float32Array.from(w.dataSync());
    step = compile(
      (x: tf.Tensor4D) => {
        w.assign(w.mul(tf.ones([1])) as tf.Tensor4D);
        return x.sum();
      },
      { name: 'same', enabled: true },
    );
    for (let run = 0; run < 3; run++) (await step(image())).dispose();
    expect(w.dataSync()).toEqual(before);
  });

  it('may be of one pixel: numbers then meet them without their last axes', async () => {
    const shape: [number, number, number, number] = [1, 1, 80, 60];
    const start = tf.randomNormal(shape);
    const [w, plain] = [tf.variable(start), tf.variable(start)];
    const change = (v: tf.Variable, x: tf.Tensor) => {
      v.assign(
        v
          .mul(0.9)
          .add(x)
          .sub(
            v
              .abs()
              .sqrt()
              .mul(tf.ones([1, 1, 1, 60])),
          ),
      );
      return v.sum();
    };
    step = compile((x: tf.Tensor) => change(w, x), { name: 'pixel', enabled: true }) as typeof step;
    for (const x of [1, 2]) {
      const [got, want] = [await step(tf.scalar(x) as unknown as tf.Tensor4D), change(plain, tf.scalar(x))];
      expect(w.dataSync()).toBeNormwiseClose(plain.dataSync(), 1e-6);
      expect(got.dataSync()).toBeNormwiseClose(want.dataSync(), 1e-5);
    }
  });

  it('take what is assigned to them between runs', async () => {
    const [w, m] = [filters(), filters()];
    step = compile(stepOf(w, m), { name: 'step', enabled: true });
    const x = image();
    const first = await step(x);
    const [w1, m1] = [Float32Array.from(w.dataSync()), Float32Array.from(m.dataSync())];
    await step(x);
    for (const [variable, from] of [
      [w, filters()],
      [m, filters()],
    ] as const) {
      variable.assign(from.clone());
    }
    const again = await step(x);
    expect(again.dataSync()).toEqual(first.dataSync());
    expect(w.dataSync()).toEqual(w1);
    expect(m.dataSync()).toEqual(m1);
  });

  it('never change what was read or cloned before', async () => {
    const [w, m] = [filters(), filters()];
    step = compile(stepOf(w, m), { name: 'step', enabled: true });
    const x = image();
    const seen: { values: Float32Array; copy: Float32Array; clone: tf.Tensor }[] = [];
    for (let run = 0; run < 3; run++) {
      const values = w.dataSync() as Float32Array;
      seen.push({ values, copy: values.slice(), clone: w.clone() });
      await step(x);
    }
    const unread = w.clone();
    const expected = Float32Array.from(w.dataSync());
    await step(x);
    expect(unread.dataSync()).toEqual(expected);
    for (const { values, copy, clone } of seen) {
      expect(values).toEqual(copy);
      expect(clone.dataSync()).toEqual(copy);
    }
  });

  it('serve other operations and other compiled functions', async () => {
    const [w, m] = [filters(), filters()];
    step = compile(stepOf(w, m), { name: 'step', enabled: true });
    await step(image());
    const total = tf.sum(w.abs()).dataSync()[0];
    const baked = compile((x: tf.Tensor) => x.mul(w.abs().sum()), {
      name: 'baked',
      enabled: true,
      bake: true,
    });
    expect((await baked(tf.scalar(1))).dataSync()[0]).toBeCloseTo(total, 4);
    expect(Array.from(w.dataSync()).reduce((sum, v) => sum + Math.abs(v), 0)).toBeCloseTo(total, 4);
    baked.dispose();
  });

  it('leave no tensor behind', async () => {
    const x = image();
    const growth = await tensorGrowth(async () => {
      const [w, m] = [filters(), filters()];
      step = compile(stepOf(w, m), { name: 'step', enabled: true });
      for (let run = 0; run < 5; run++) {
        (await step(x)).dispose();
        w.dataSync();
      }
      step.dispose();
      tf.dispose([w, m]);
    });
    // The two tensors that `filters` makes its variables of.
    expect(growth).toBe(2);
    expect(tf.memory().numDataBuffers).toBeLessThanOrEqual(tf.memory().numTensors);
  });
});

describe('the graph of such a function', () => {
  it('turns no filter', () => {
    const [w, m] = [filters(), filters()];
    const specs = [{ name: 'x', shape: [2, 6, 5, 2], dtype: 'float32' as const }];
    const backend = tf.backend() as OnnxBackend;
    const { parts } = traceFunction(backend, stepOf(w, m) as (...args: tf.Tensor[]) => tf.Tensor, specs, {
      name: 'step',
      bake: false,
    });
    const graph = optimise(parts);
    const inputs = new Set(graph.inputs.filter(({ name }) => name !== 'x').map(({ name }) => name));
    expect(inputs.size).toBe(2);
    const turned = graph.nodes.filter((node) => node.op === 'Transpose' && inputs.has(node.inputs[0]));
    expect(turned).toEqual([]);
    expect(graph.outputs.filter(({ dims }) => String(dims) === '5,2,3,3')).toHaveLength(2);
    expect(count(graph, 'Identity')).toBe(0);
  });
});
