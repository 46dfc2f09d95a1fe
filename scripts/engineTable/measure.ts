/** Runs one operation on one engine and judges its values and its gradients. */
import * as tf from '@tensorflow/tfjs';
import { messageOf } from '../../src/core/errors.js';
import { Random } from '../../src/core/random.js';
import { compile } from '../../src/engine/compile.js';
import type { EngineName } from '../../src/engine/start.js';
import type { OperationCase } from './cases.js';

/** A column of the table. */
export interface Column {
  readonly title: string;
  readonly engine: EngineName;
  readonly compiled: boolean;
}

export const COLUMNS: readonly Column[] = [
  { title: 'cpu', engine: 'cpu', compiled: false },
  { title: 'wasm', engine: 'wasm', compiled: false },
  { title: 'onnx eager', engine: 'onnx', compiled: false },
  { title: 'onnx compiled', engine: 'onnx', compiled: true },
  { title: 'tensorflow', engine: 'tensorflow', compiled: false },
];

/** Values and gradients of the loss sum(exp(y / 4)); gradients null where the engine has none. */
export interface Measured {
  readonly values: Float64Array | null;
  readonly gradients: readonly Float64Array[] | null;
  /** Why values (or gradients) are missing. */
  readonly valuesError: string;
  readonly gradientsError: string;
}

export interface Reference {
  readonly values: Float64Array | null;
  /** Sampled places of each input with the derivative of the loss there, from central differences. */
  readonly slopes: readonly (readonly (readonly [number, number])[])[];
}

const FORWARD_TOLERANCE = 1e-5;
/** Float32 differences with step 1e-2: what they can tell apart. */
const GRADIENT_TOLERANCE = 1e-2;
const STEP = 1e-2;
const SAMPLES = 12;
const LOSS_SCALE = 4;

function inputsOf(c: OperationCase): tf.Tensor[] {
  return c.inputs.map(({ values, shape }) => tf.tensor(values.slice(), [...shape]));
}

function reason(error: unknown): string {
  const text = messageOf(error);
  const kernel = /Kernel '(\w+)' not registered/.exec(text)?.[1];
  if (kernel !== undefined) return `no ${kernel}`;
  const gradient = /gradient function not found for (\w+)/.exec(text)?.[1];
  if (gradient !== undefined) return `no gradient of ${gradient}`;
  const code = (error as { code?: unknown } | null)?.code;
  if (code === 'E_NO_LOWERING') return 'not compiled';
  if (typeof code === 'string' && code.startsWith('E_')) return 'refused';
  return 'tfjs refuses';
}

async function numbers(tensor: tf.Tensor): Promise<Float64Array> {
  return Float64Array.from(await tensor.data());
}

/** Runs the operation on the current engine. */
export async function measure(c: OperationCase, compiled: boolean): Promise<Measured> {
  const inputs = inputsOf(c);
  tf.engine().startScope();
  let values: Float64Array | null = null;
  let gradients: Float64Array[] | null = null;
  let valuesError = '';
  let gradientsError = '';
  const options = { name: c.name, enabled: compiled };
  try {
    const forward = compile((...t: tf.Tensor[]) => c.run(...t), options);
    values = await numbers(await forward(...inputs));
    forward.dispose();
  } catch (error) {
    valuesError = reason(error);
  }
  if (c.hasGradient && values !== null) {
    const loss = (...t: tf.Tensor[]) => tf.sum(tf.exp(tf.div(c.run(...t), LOSS_SCALE))) as tf.Scalar;
    try {
      const backward = compile((...t: tf.Tensor[]) => tf.grads(loss)(t), options);
      gradients = await Promise.all((await backward(...inputs)).map(numbers));
      backward.dispose();
    } catch (error) {
      gradientsError = reason(error);
    }
  }
  tf.engine().endScope();
  tf.dispose(inputs);
  return { values, gradients, valuesError, gradientsError };
}

/** Values and finite differences of the operation on the current engine, which serves as the reference. */
export async function reference(c: OperationCase): Promise<Reference> {
  const inputs = c.inputs.map(({ values, shape }) => ({ values: values.slice(), shape: [...shape] }));
  const evaluate = (): Float64Array => {
    const result = tf.tidy(() =>
      c.run(...inputs.map(({ values, shape }) => tf.tensor(values.slice(), shape))),
    );
    const numbers = Float64Array.from(result.dataSync());
    result.dispose();
    return numbers;
  };
  let values: Float64Array;
  try {
    values = evaluate();
  } catch {
    return { values: null, slopes: [] }; // the row of the reference engine itself shows why
  }
  if (!c.hasGradient) return { values, slopes: [] };
  const loss = (): number => evaluate().reduce((sum, v) => sum + Math.exp(v / LOSS_SCALE), 0);
  const slopes = inputs.map((input, which) => {
    const random = new Random(which, input.values.length);
    const places = [...random.permutation(input.values.length)].slice(0, SAMPLES);
    return places.map((place): readonly [number, number] => {
      const old = input.values[place];
      const [up, down] = [Math.fround(old + STEP), Math.fround(old - STEP)];
      input.values[place] = up;
      const above = loss();
      input.values[place] = down;
      const below = loss();
      input.values[place] = old;
      return [place, (above - below) / (up - down)];
    });
  });
  return { values, slopes };
}

function largest(values: Iterable<number>): number {
  let most = 0;
  for (const v of values) most = Number.isNaN(v) ? Number.NaN : Math.max(most, Math.abs(v));
  return most;
}

function verdict(error: number, tolerance: number): string {
  return error <= tolerance ? 'ok' : `**wrong** (${error.toPrecision(1)})`;
}

/** One cell: "forward / gradient", each ok, wrong (largest error relative to the largest value) or missing. */
export function judge(c: OperationCase, m: Measured, r: Reference): string {
  if (m.values === null) return `missing: ${m.valuesError}`;
  let forward = 'ok';
  if (r.values !== null) {
    const expected = r.values;
    const sameSize = m.values.length === expected.length;
    const scale = largest(expected) || 1;
    const error = sameSize
      ? largest(m.values.map((v, i) => v - expected[i])) / scale
      : Number.POSITIVE_INFINITY;
    forward = verdict(error, FORWARD_TOLERANCE);
  }
  if (!c.hasGradient) return `${forward} / -`;
  if (m.gradients === null) return `${forward} / missing: ${m.gradientsError}`;
  let worst = 0;
  for (const [which, slopes] of r.slopes.entries()) {
    const scale = largest(slopes.map(([, slope]) => slope)) || 1;
    const gradient = m.gradients[which];
    const error = largest(slopes.map(([place, slope]) => gradient[place] - slope)) / scale;
    worst = Number.isNaN(error) ? Number.POSITIVE_INFINITY : Math.max(worst, error);
  }
  return `${forward} / ${verdict(worst, GRADIENT_TOLERANCE)}`;
}
