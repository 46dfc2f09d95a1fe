import * as tf from '@tensorflow/tfjs';
import { compile } from '../../src/engine/compile.js';
import type { CallArgs } from '../../src/layers/callArgs.js';
import { stateDictOf } from '../../src/models/stateDict.js';
import type { GoldenCheck } from './checks.js';
import { type GoldenTensor, goldenTolerance, relativeError } from './format.js';

/** One case of bcos/layers.json. */
export interface ModuleCase {
  readonly id: string;
  readonly group: string;
  readonly layer: string;
  readonly mode: 'train' | 'eval';
  // biome-ignore lint/suspicious/noExplicitAny: each kind of layer has its own parameters.
  readonly config: any;
  readonly noise?: Readonly<Record<string, number>>;
  readonly zero?: Readonly<Record<string, number>>;
  readonly counters?: Readonly<Record<string, readonly number[]>>;
}

/** A layer or block under test. */
export interface Subject {
  /** Layers with weights, in state-dict order. */
  readonly layers: readonly tf.layers.Layer[];
  /** Prefix of the layers' names that the goldens' names do not have. */
  readonly prefix: string;
  readonly apply: (inputs: tf.Tensor[], args: CallArgs) => tf.Tensor;
}

/** How a pure function is run: as it stands, or compiled. */
export type Run = <R extends Record<string, tf.Tensor>>(
  name: string,
  fn: (...inputs: tf.Tensor[]) => R,
  inputs: tf.Tensor[],
) => Promise<R>;

/** Runs a function operation by operation. */
export const runEager: Run = async (_name, fn, inputs) => tf.tidy(() => fn(...inputs));

function runCompiled(bake: boolean): Run {
  return async <R extends Record<string, tf.Tensor>>(
    name: string,
    fn: (...inputs: tf.Tensor[]) => R,
    inputs: tf.Tensor[],
  ) => {
    const program = compile(fn, { name, bake });
    try {
      return await program(...inputs);
    } finally {
      program.dispose();
    }
  };
}

/** Compiled with the variables fed, as training runs; on engines that do not compile the function as it stands. */
export const runFed = runCompiled(false);
/** Compiled with the variables as constants, as explaining runs. */
export const runBaked = runCompiled(true);

const TO_NHWC = [0, 2, 3, 1];
const TO_NCHW = [0, 3, 1, 2];

/** Tensors of images lie channels first in the goldens; rows and tokens as here. */
export function isImage(c: ModuleCase, rank: number): boolean {
  return (
    c.group !== 'linear' &&
    c.layer !== 'PosEmbSinCos2d' &&
    (rank === 4 || (rank === 3 && c.layer === 'AddInverse'))
  );
}

/** A golden tensor in tfjs's layout. Caller disposes. */
export function fromGolden(tensor: GoldenTensor, asImage: boolean): tf.Tensor {
  return tf.tidy(() => {
    const t = tf.tensor(Float32Array.from(tensor.data as Float32Array), [...tensor.shape]);
    if (!asImage) return t;
    return tf.transpose(t, t.rank === 4 ? TO_NHWC : [1, 2, 0]);
  });
}

/** Values of a tensor in PyTorch's layout. */
export function toGolden(tensor: tf.Tensor, asImage: boolean): Float32Array {
  return tf.tidy(() => {
    if (!asImage) return tensor.dataSync() as Float32Array;
    return tf.transpose(tensor, tensor.rank === 4 ? TO_NCHW : [2, 0, 1]).dataSync() as Float32Array;
  });
}

/** Everything that one case holds, compared. */
export class ModuleChecker {
  readonly checks: GoldenCheck[] = [];
  private readonly golden: Record<string, GoldenTensor>;
  private readonly subject: Subject;
  private readonly c: ModuleCase;
  private readonly run: Run;

  constructor(c: ModuleCase, golden: Record<string, GoldenTensor>, subject: Subject, run: Run) {
    this.c = c;
    this.golden = golden;
    this.subject = subject;
    this.run = run;
  }

  private nameOf(entryName: string): string {
    const { prefix } = this.subject;
    return entryName.startsWith(prefix) ? entryName.slice(prefix.length) : entryName;
  }

  private compareValues(name: string, actual: ArrayLike<number>, expected: ArrayLike<number>): void {
    const absolute = this.c.zero?.[name];
    const noise = this.c.noise?.[name];
    this.checks.push({
      tensor: name,
      error: relativeError(actual, absolute === undefined ? expected : Array.from(actual, () => 0)),
      tolerance: absolute ?? goldenTolerance(noise),
    });
  }

  private compare(name: string, actual: tf.Tensor): void {
    const expected = this.golden[name];
    const zero = this.c.zero?.[name];
    if (expected === undefined && zero === undefined) return;
    const values = toGolden(actual, isImage(this.c, actual.rank));
    this.compareValues(name, values, (expected?.data as Float32Array) ?? []);
  }

  /** Gives the subject the case's parameters, buffers and counters. */
  fill(): void {
    for (const entry of stateDictOf(this.subject.layers)) {
      const name = this.nameOf(entry.name);
      if (entry.dtype === 'int64') {
        entry.write(BigInt64Array.of(BigInt(this.c.counters?.[name]?.[0] ?? 7)));
        continue;
      }
      const source = this.golden[`p.${name}`] ?? this.golden[`b.${name}`];
      if (source === undefined) throw new Error(`${this.c.id}: the golden has no ${name}`);
      entry.write(Float32Array.from(source.data as Float32Array));
    }
  }

  private compareBuffers(): void {
    for (const entry of stateDictOf(this.subject.layers)) {
      const name = this.nameOf(entry.name);
      const values = entry.read();
      if (values instanceof BigInt64Array) {
        const after = this.c.counters?.[name]?.[1];
        if (after !== undefined) this.compareValues(`after.${name}`, [Number(values[0])], [after]);
        continue;
      }
      const expected = this.golden[`after.${name}`];
      if (expected !== undefined) this.compareValues(`after.${name}`, values, expected.data as Float32Array);
    }
  }

  private async gradients(
    names: string[],
    inputs: tf.Tensor[],
    gy: tf.Tensor,
    args: CallArgs,
  ): Promise<void> {
    const isExplain = args.explain === true;
    const entries = isExplain ? [] : stateDictOf(this.subject.layers).filter((e) => e.isParameter);
    const prefix = isExplain ? 'e' : 'd';
    const wanted = [
      ...names.map((n) => `${prefix}.${n}`),
      ...entries.map((e) => `d.p.${this.nameOf(e.name)}`),
    ];
    if (!wanted.some((n) => this.golden[n] !== undefined || this.c.zero?.[n] !== undefined)) return;
    const program = (...given: tf.Tensor[]): Record<string, tf.Tensor> => {
      const xs = given.slice(0, names.length);
      const loss = (): tf.Scalar => tf.sum(tf.mul(this.subject.apply(xs, args), given[names.length]));
      const { grads } = tf.valueAndGrads(loss)([...xs, ...entries.map((e) => e.variable)]);
      return Object.fromEntries(grads.map((g, i) => [wanted[i], g]));
    };
    const results = await this.run(`${this.c.id} ${prefix}`, program, [...inputs, gy]);
    names.forEach((n) => {
      this.compare(`${prefix}.${n}`, results[`${prefix}.${n}`]);
    });
    for (const entry of entries) {
      const name = `d.p.${this.nameOf(entry.name)}`;
      const expected = this.golden[name];
      if (expected === undefined && this.c.zero?.[name] === undefined) continue;
      const values = entry.toTorch(results[name].dataSync() as Float32Array);
      this.compareValues(name, values, (expected?.data as Float32Array) ?? []);
    }
    tf.dispose(results);
  }

  /** Forward, buffers, gradients and explanation of the case. */
  async check(): Promise<readonly GoldenCheck[]> {
    const names = ['x', 'x2'].filter((n) => this.golden[n] !== undefined);
    const inputs = names.map((n) => fromGolden(this.golden[n], isImage(this.c, this.golden[n].shape.length)));
    const gy = fromGolden(this.golden.gy, isImage(this.c, this.golden.gy.shape.length));
    const training = this.c.mode === 'train';
    const forward =
      (args: CallArgs) =>
      (...xs: tf.Tensor[]) => ({ y: this.subject.apply(xs, args) });
    try {
      const { y } = await this.run(`${this.c.id} y`, forward({ training }), inputs);
      this.compare('y', y);
      y.dispose();
      this.compareBuffers();
      await this.gradients(names, inputs, gy, { training });
      if (names.some((n) => this.golden[`e.${n}`] !== undefined)) {
        const explained = await this.run(`${this.c.id} ye`, forward({ training, explain: true }), inputs);
        this.compare('y', explained.y);
        explained.y.dispose();
        await this.gradients(names, inputs, gy, { training, explain: true });
      }
    } finally {
      tf.dispose([...inputs, gy]);
    }
    return this.checks;
  }
}
