import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { Random } from '../../../src/core/random.js';
import { compile } from '../../../src/engine/compile.js';
import type { OnnxBackend } from '../../../src/engine/onnx/backend.js';
import { startEngine } from '../../../src/engine/start.js';
import { CASES, type Case } from './cases.js';

const CPU_TOLERANCE = 1e-5;
/** Central differences in float32 with this step are good to about 1e-3. */
const DIFFERENCE_STEP = 1e-2;
const DIFFERENCE_TOLERANCE = 5e-3;

type Values = readonly Float32Array[];

function drawInputs(test: Case, name: string): Values {
  const random = new Random(...Buffer.from(name));
  return test.shapes.map((shape) =>
    Float32Array.from({ length: tf.util.sizeFromShape([...shape]) }, () => {
      if (test.interval === undefined) return random.normal();
      const [low, high] = test.interval;
      return random.uniform(low, high);
    }),
  );
}

/** Not linear in y, so that the gradient does not fold to a constant: sum of w y^2 with w = 1 + cos(i) / 2. */
function loss(y: tf.Tensor): tf.Scalar {
  const weights = Float32Array.from({ length: y.size }, (_, i) => 1 + Math.cos(i + 1) / 2);
  return y.square().mul(tf.tensor(weights, y.shape)).sum();
}

function valueAndGradients(test: Case) {
  return (...inputs: tf.Tensor[]): tf.Tensor[] => {
    const y = test.fn(...inputs);
    if (test.forwardOnly) return [y];
    return [y, ...tf.grads((...args: tf.Tensor[]) => loss(test.fn(...args)))(inputs)];
  };
}

async function tensors(test: Case, values: Values): Promise<tf.Tensor[]> {
  return values.map((array, i) => tf.tensor(array.slice(), [...test.shapes[i]]));
}

async function runOn(backend: 'cpu' | 'onnx', test: Case, values: Values): Promise<ArrayLike<number>[]> {
  await tf.setBackend(backend);
  const inputs = await tensors(test, values);
  const outputs = tf.tidy(() => valueAndGradients(test)(...inputs));
  const arrays = outputs.map((output) => output.dataSync().slice());
  tf.dispose([...outputs, ...inputs]);
  return arrays;
}

async function runCompiled(name: string, test: Case, values: Values): Promise<ArrayLike<number>[]> {
  await tf.setBackend('onnx');
  const inputs = await tensors(test, values);
  const compiled = compile(valueAndGradients(test), { name, enabled: true });
  const outputs = await compiled(...inputs);
  const arrays = outputs.map((output) => output.dataSync().slice());
  compiled.dispose();
  tf.dispose([...outputs, ...inputs]);
  return arrays;
}

/** d loss / d input i along a direction, by central differences on the cpu backend. */
async function slopeAlong(
  test: Case,
  values: Values,
  place: number,
  direction: Float32Array,
): Promise<number> {
  await tf.setBackend('cpu');
  const at = (step: number): number =>
    tf.tidy(() => {
      const inputs = values.map((array, i) =>
        tf.tensor(i === place ? array.map((v, k) => v + step * direction[k]) : array.slice(), [
          ...test.shapes[i],
        ]),
      );
      return loss(test.fn(...inputs)).dataSync()[0];
    });
  return (at(DIFFERENCE_STEP) - at(-DIFFERENCE_STEP)) / (2 * DIFFERENCE_STEP);
}

async function expectSlopes(
  test: Case,
  values: Values,
  gradients: readonly ArrayLike<number>[],
): Promise<void> {
  for (const [place, gradient] of gradients.entries()) {
    // Along the gradient itself: the slope must be its norm, so a wrong factor or a missing part shows.
    const norm = Math.hypot(...Array.from(gradient));
    if (norm === 0) continue;
    const direction = Float32Array.from(gradient, (g) => g / norm);
    const slope = await slopeAlong(test, values, place, direction);
    expect(Math.abs(slope - norm) / norm).toBeLessThan(DIFFERENCE_TOLERANCE);
  }
}

beforeAll(async () => {
  await startEngine({ engine: 'cpu' });
  await startEngine({ engine: 'onnx', threads: 1 });
  (tf.backend() as OnnxBackend).smallCall = 0;
});

describe('every lowered function equals the cpu backend, compiled and eager, and its gradient finite differences', () => {
  for (const [name, test] of Object.entries(CASES)) {
    it(name, async () => {
      const values = drawInputs(test, name);
      const reference = await runOn('cpu', test, values);
      for (const run of [await runCompiled(name, test, values), await runOn('onnx', test, values)]) {
        expect(run.length).toBe(reference.length);
        run.forEach((array, i) => {
          if (i === 0 || !test.cpuGradientIsWrong)
            expect(array).toBeNormwiseClose(reference[i], CPU_TOLERANCE);
        });
        await expectSlopes(test, values, run.slice(1));
      }
    });
  }
});
