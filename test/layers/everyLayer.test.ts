import * as tf from '@tensorflow/tfjs';
import { describe, expect, it } from 'vitest';
import type { CallArgs } from '../../src/layers/callArgs.js';
import { tensorGrowth, useEngine } from '../engine.js';
import { type LayerExample, layerExamples } from './allLayers.js';
import { innerProduct, randomiseWeights, randomTensor } from './numbers.js';

useEngine();

/** Step of the central differences, relative to values of size 1. */
const STEP = 4e-3;
/** Of a directional derivative by differences in float32: truncation and rounding of the loss. */
const DIFFERENCE_TOLERANCE = 5e-3;

/** A built layer with random weights. */
function made(example: LayerExample, key = 5): tf.layers.Layer {
  const layer = example.make('layer');
  layer.build([null, ...example.shape.slice(1)]);
  layer.built = true;
  randomiseWeights(layer, key);
  return layer;
}

function free(layer: tf.layers.Layer): void {
  for (const weight of layer.weights) weight.dispose();
}

const uniform = (): CallArgs['uniform'] => ({ layer: tf.tensor1d([0.1, 0.9]) });

/** A loss that is not linear in the output: sum of v y^2 / 2 + u y. */
function loss(layer: tf.layers.Layer, x: tf.Tensor, training: boolean): tf.Scalar {
  const y = layer.apply(x, { training, uniform: uniform() }) as tf.Tensor;
  const v = randomTensor(y.shape, 31);
  const u = randomTensor(y.shape, 32);
  return tf.sum(tf.add(tf.mul(tf.mul(y, y), tf.mul(v, 0.5)), tf.mul(y, u)));
}

describe.each(layerExamples)('$name', (example) => {
  it.each([false, true])('has gradients that agree with finite differences (training %s)', (training) => {
    const layer = made(example);
    const parameters = layer.trainableWeights.map((weight) => weight.read() as tf.Variable);
    const x = randomTensor(example.shape, 1);
    tf.tidy(() => {
      const { grads } = tf.valueAndGrads((input: tf.Tensor) => loss(layer, input, training))([
        x,
        ...parameters,
      ]);
      // Half along the gradient, so that a wrong size shows at once, half at random.
      const directions = grads.map((gradient, i) => {
        const random = randomTensor(gradient.shape, 50 + i);
        const along = tf.mul(gradient, tf.divNoNan(tf.norm(random), tf.norm(gradient)));
        return tf.mul(tf.add(along, random), STEP / 2);
      });
      const starts = parameters.map((p) => p.clone());
      const at = (which: number, sign: number): number => {
        parameters.forEach((p, i) => {
          const moved =
            which === i + 1 ? tf.add(starts[i], tf.mul(directions[i + 1], sign)) : starts[i].clone();
          p.assign(moved);
        });
        const input = which === 0 ? tf.add(x, tf.mul(directions[0], sign)) : x;
        return loss(layer, input, training).dataSync()[0];
      };
      grads.forEach((gradient, which) => {
        // Fourth-order central difference: the layers bend strongly at this step.
        const difference = (8 * (at(which, 1) - at(which, -1)) - (at(which, 2) - at(which, -2))) / 12;
        const expected = innerProduct(gradient, directions[which]);
        const size =
          Math.sqrt(innerProduct(gradient, gradient) * innerProduct(directions[which], directions[which])) ||
          1e-3;
        expect(Math.abs(difference - expected) / size, `input ${which}`).toBeLessThan(DIFFERENCE_TOLERANCE);
      });
    });
    x.dispose();
    free(layer);
  });

  it('keeps its config and its weights through serialisation', () => {
    const layer = made(example);
    const config = layer.getConfig();
    const json = JSON.parse(JSON.stringify(config));
    const Class = layer.constructor as unknown as { fromConfig(c: unknown, d: unknown): tf.layers.Layer };
    const copy = Class.fromConfig(Class, json);
    expect(copy.getConfig()).toEqual(config);
    copy.build([null, ...example.shape.slice(1)]);
    copy.built = true;
    expect(copy.weights.map((w) => [w.originalName, w.shape])).toEqual(
      layer.weights.map((w) => [w.originalName, w.shape]),
    );
    copy.setWeights(layer.getWeights());
    tf.tidy(() => {
      const x = randomTensor(example.shape, 1);
      const [a, b] = [layer.apply(x) as tf.Tensor, copy.apply(x) as tf.Tensor];
      expect(b.shape).toEqual(a.shape);
      expect(b.dataSync()).toEqual(a.dataSync());
      expect(layer.computeOutputShape([...example.shape])).toEqual(a.shape);
    });
    free(layer);
    free(copy);
  });

  it('leaves no tensors behind, forward, backward and explaining', async () => {
    const layer = made(example);
    const x = randomTensor(example.shape, 1);
    const growth = await tensorGrowth(() => {
      for (let i = 0; i < 10; i++) {
        (layer.apply(x) as tf.Tensor).dispose();
        tf.tidy(() => {
          tf.grad((input) => loss(layer, input, true))(x);
        });
        tf.tidy(() => {
          tf.grad((input) => tf.sum(layer.apply(input, { explain: true }) as tf.Tensor))(x);
        });
      }
    });
    expect(growth).toBe(0);
    x.dispose();
    free(layer);
  });

  it('gives equal outputs in explanation mode', () => {
    const layer = made(example);
    tf.tidy(() => {
      const x = randomTensor(example.shape, 1);
      const y = layer.apply(x) as tf.Tensor;
      expect((layer.apply(x, { explain: true }) as tf.Tensor).dataSync()).toEqual(y.dataSync());
    });
    free(layer);
  });

  it.runIf(example.isDynamicLinear)(
    'satisfies <x, dy/dx> = y for every output combination when explaining',
    () => {
      const layer = made(example);
      tf.tidy(() => {
        const x = randomTensor(example.shape, 1);
        const y = layer.apply(x) as tf.Tensor;
        const g = randomTensor(y.shape, 8);
        const gradient = tf.grad((input) => layer.apply(input, { explain: true }) as tf.Tensor)(x, g);
        const terms = tf.sum(tf.abs(tf.mul(gradient, x))).dataSync()[0];
        expect(Math.abs(innerProduct(gradient, x) - innerProduct(g, y)) / terms).toBeLessThan(1e-5);
      });
      free(layer);
    },
  );

  it.each([0, 1])('computes a batch of %i', (batch) => {
    const layer = made(example);
    tf.tidy(() => {
      const x = randomTensor([batch, ...example.shape.slice(1)], 1);
      const y = layer.apply(x) as tf.Tensor;
      expect(y.shape).toEqual(layer.computeOutputShape(x.shape));
      expect(y.dataSync().every((v) => Number.isFinite(v))).toBe(true);
      const gradient = tf.grad((input) => tf.sum(layer.apply(input, { explain: true }) as tf.Tensor))(x);
      expect(gradient.shape).toEqual(x.shape);
    });
    free(layer);
  });
});
