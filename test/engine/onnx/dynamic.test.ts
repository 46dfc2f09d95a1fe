import * as tf from '@tensorflow/tfjs';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { compile } from '../../../src/engine/compile.js';
import { type ExportInput, traceToOnnx } from '../../../src/engine/export.js';
import type { OnnxBackend } from '../../../src/engine/onnx/backend.js';
import { parseModel } from '../../../src/engine/onnx/proto.js';
import { startEngine } from '../../../src/engine/start.js';

beforeAll(async () => {
  await startEngine({ engine: 'onnx', threads: 1 });
});

afterEach(() => {
  tf.disposeVariables();
});

/** Logits of a small network, and the gradient of the greatest one by the image. */
function explainer(): (x: tf.Tensor) => { logits: tf.Tensor; map: tf.Tensor; loss: tf.Tensor } {
  const filter = tf.variable(tf.randomNormal([3, 3, 3, 4], 0, 0.3, 'float32', 1)) as tf.Variable<tf.Rank.R4>;
  const head = tf.variable(tf.randomNormal([4, 5], 0, 1, 'float32', 2)) as tf.Variable<tf.Rank.R2>;
  const logits = (x: tf.Tensor) => {
    const features = tf.avgPool(tf.relu(tf.conv2d(x as tf.Tensor4D, filter, 1, 'same')), 2, 2, 'valid');
    return tf.matMul(tf.mean(features, [1, 2]) as tf.Tensor2D, head);
  };
  return (x) => {
    const z = logits(x);
    const target = tf.cast(tf.oneHot(tf.argMax(z, 1) as tf.Tensor1D, 5), 'float32');
    const gradient = tf.grad((image: tf.Tensor) => tf.sum(tf.mul(logits(image), target)))(x);
    return { logits: z, map: tf.sum(tf.mul(gradient, x), 3), loss: tf.mean(tf.square(z)) };
  };
}

const image: ExportInput = { name: 'image', shape: [null, 8, 8, 3] };

describe('an exported graph with a free batch size', () => {
  it('gives the values of the compiled function at every batch size', async () => {
    const fn = explainer();
    const bytes = traceToOnnx(fn, [image], { name: 'explain' });
    const runtime = (tf.backend() as OnnxBackend).runtime;
    const session = await runtime.graphSession(bytes);
    const compiled = compile(fn, { name: 'explain', bake: true, enabled: true });
    for (const batch of [1, 2, 7]) {
      const x = tf.randomNormal([batch, 8, 8, 3], 0, 1, 'float32', batch);
      const expected = await compiled(x);
      const got = await session.run({
        image: runtime.tensor('float32', x.dataSync() as Float32Array, x.shape),
      });
      for (const name of ['logits', 'map', 'loss'] as const) {
        expect(got[name].dims).toEqual(expected[name].shape);
        expect(got[name].data as Float32Array).toBeNormwiseClose(expected[name].dataSync(), 1e-6);
      }
    }
    await session.release();
    compiled.dispose();
  });

  it('names inputs, outputs and the free dimension', () => {
    const { graph } = parseModel(traceToOnnx(explainer(), [image], { name: 'explain' }));
    expect(graph?.input?.map((port) => port.name)).toEqual(['image']);
    expect(graph?.output?.map((port) => port.name)).toEqual(['logits', 'map', 'loss']);
    const dims = graph?.output?.[1].type?.tensorType?.shape?.dim ?? [];
    expect(dims.map((dim) => dim.dimParam || Number(dim.dimValue))).toEqual(['batch', 8, 8]);
  });

  it('is refused for a function whose constants depend on the batch', () => {
    const fn = (x: tf.Tensor) => tf.mul(x, tf.reshape(tf.range(0, x.shape[0]), [-1, 1]));
    expect(() => traceToOnnx(fn, [{ name: 'x', shape: [null, 3] }], { name: 'ranks' })).toThrowError(
      expect.objectContaining({ code: 'E_DYNAMIC_BATCH' }),
    );
  });
});

describe('an exported graph', () => {
  it('takes variables as inputs where they are not baked', () => {
    const w = tf.variable(tf.ones([3]), true, 'w');
    const { graph } = parseModel(
      traceToOnnx((x) => tf.mul(x, w), [{ name: 'x', shape: [2, 3] }], { name: 'f', bake: false }),
    );
    expect(graph?.input?.map((port) => port.name)).toEqual(['x', 'variable:w']);
    expect(graph?.initializer).toHaveLength(0);
  });

  it('holds equal computations once and nothing that no output needs', () => {
    const fn = (x: tf.Tensor) => {
      tf.exp(x);
      return tf.add(tf.sin(tf.mul(x, x)), tf.sin(tf.square(x)));
    };
    const { graph } = parseModel(traceToOnnx(fn, [{ name: 'x', shape: [4] }], { name: 'f' }));
    expect(graph?.node?.map((node) => node.opType)).toEqual(['Mul', 'Sin', 'Add']);
  });

  it('stores no large constant whose elements are equal', () => {
    const fn = (x: tf.Tensor) => {
      const ones = tf.ones([100, 100]);
      const folded = tf.add(tf.mul(x, tf.mul(ones, 2)), tf.zerosLike(x));
      return tf.where(tf.greater(folded, 0), folded, tf.fill([100, 100], -1));
    };
    const bytes = traceToOnnx(fn, [{ name: 'x', shape: [100, 100] }], { name: 'f' });
    expect(bytes.length).toBeLessThan(1000);
    expect(parseModel(bytes).graph?.node?.map((node) => node.opType)).toEqual(['Mul', 'Greater', 'Where']);
  });

  it('needs engine onnx', async () => {
    await startEngine({ engine: 'cpu' });
    expect(() => traceToOnnx((x) => x, [{ name: 'x', shape: [1] }], { name: 'f' })).toThrowError(
      expect.objectContaining({ code: 'E_EXPORT_ENGINE' }),
    );
    await startEngine({ engine: 'onnx', threads: 1 });
  });
});
