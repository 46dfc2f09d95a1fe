import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { networkPart } from '../../src/explain/networkPart.js';
import { pullBack, runPart } from '../../src/explain/parts.js';
import type { BcosModel } from '../../src/models/bcosModel.js';
import { createModel } from '../../src/models/createModel.js';
import { listModels } from '../../src/models/registry.js';
import type { GoldenCheck, GoldenSuite } from './checks.js';
import { fillModel } from './filledNet.js';
import { fill, goldenTolerance, noiseImage, relativeError } from './format.js';
import { type Run, runBaked, runEager, toGolden } from './moduleCase.js';

interface StageNumbers {
  readonly name: string;
  readonly shape: readonly number[];
  readonly l2: number;
  readonly mean: number;
  readonly proj: number;
  readonly first: readonly number[];
  readonly noise: number;
  /** B-cos networks only, with the gradient's norm. */
  readonly contribution?: readonly number[];
  readonly gradL2: number;
  readonly gradNoise: number;
}

/** The gradient of each image's top score at the input: in explanation mode, or plain for standard networks. */
interface InputGradient {
  readonly items: readonly {
    cls: number;
    inputTimesGrad: number;
    gradL2: number;
    channelSums: number[];
    proj: number;
    /** Share of the position embedding in a ViT's score. */
    positionalContribution?: number;
  }[];
  readonly positions: number[];
  readonly values: number[];
}

interface NetGolden {
  readonly name: string;
  readonly bcos: boolean;
  readonly caseSeed: number;
  readonly input: { batch: number; height: number; width: number; octaves: [number, number][] };
  readonly fill?: Readonly<Record<string, [number, number]>>;
  /** Logits without the bias, of B-cos networks; `logits` of standard ones. */
  readonly scores?: number[][];
  readonly logits?: number[][];
  readonly stages: readonly StageNumbers[];
  readonly explanation?: InputGradient;
  readonly inputGradient?: InputGradient;
  readonly noise: { logitsMinusBias: number; grad: number; stages: number };
  readonly maxOut?: number;
}

/** A near-tie that flips between two right implementations moves gradients by so much (goldens README). */
const MAXOUT_FLIP = 3e-3;
const RELU_FLIP = 2e-2;

function flipTolerance(golden: NetGolden): number {
  if (golden.name.startsWith('torchvision_resnet')) return RELU_FLIP;
  return (golden.maxOut ?? 1) > 1 ? MAXOUT_FLIP : 0;
}

/** Parameters above which a network goes through the engine stage by stage. */
const LARGE = 5e7;

type Tensors = Record<string, tf.Tensor>;

/** Name of a golden's module here: B-cos ViTs are wrapped there, so that all their names begin with "0.". */
function stageName(module: string): string {
  return module.replace(/^0\./, '');
}

/** Images [N,H,W,3] of the case, p/256. */
function imagesOf(golden: NetGolden): tf.Tensor4D {
  const { batch, height, width, octaves } = golden.input;
  return tf.tidy(() => {
    const planes = Array.from({ length: batch }, (_, n) =>
      tf.tensor(
        Float32Array.from(noiseImage(n, [3, height, width], golden.caseSeed, octaves), (p) => p / 256),
        [3, height, width],
      ),
    );
    return tf.transpose(tf.stack(planes), [0, 2, 3, 1]) as tf.Tensor4D;
  });
}

function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}

const norm = (a: ArrayLike<number>): number => Math.sqrt(dot(a, a));

/** Values of the fill's u, in [-1, 1), for a projection that catches permutations. */
function directions(name: string, count: number, caseSeed: number): Float32Array {
  return fill(name, count, caseSeed, 0, 1);
}

class NetChecker {
  readonly checks: GoldenCheck[] = [];
  private readonly model: BcosModel;
  private readonly golden: NetGolden;
  private readonly run: Run;
  private readonly gradTolerance: number;
  private readonly flip: number;
  private readonly input: InputGradient;

  constructor(model: BcosModel, golden: NetGolden, run: Run) {
    this.model = model;
    this.golden = golden;
    this.run = run;
    this.flip = flipTolerance(golden);
    this.gradTolerance = Math.max(goldenTolerance(golden.noise.grad), this.flip);
    const input = golden.explanation ?? golden.inputGradient;
    if (input === undefined) throw new Error(`${golden.name}: the golden has no gradient at the input`);
    this.input = input;
  }

  private add(
    tensor: string,
    actual: ArrayLike<number>,
    expected: ArrayLike<number>,
    tolerance: number,
  ): void {
    this.checks.push({ tensor, error: relativeError(actual, expected), tolerance });
  }

  /** Numbers whose scale is that of a whole tensor: the error is relative to `scale`. */
  private addScaled(
    tensor: string,
    actual: number,
    expected: number,
    scale: number,
    tolerance: number,
  ): void {
    this.checks.push({ tensor, error: Math.abs(actual - expected) / scale, tolerance });
  }

  private stage(wanted: StageNumbers, values: Float32Array): void {
    const tolerance = goldenTolerance(wanted.noise);
    const name = `stage ${wanted.name}`;
    const count = values.length;
    this.add(`${name} l2`, [norm(values)], [wanted.l2], tolerance);
    const mean = values.reduce((s, v) => s + v, 0) / count;
    this.addScaled(`${name} mean`, mean, wanted.mean, wanted.l2 / Math.sqrt(count), tolerance);
    this.add(`${name} first`, values.subarray(0, wanted.first.length), wanted.first, tolerance);
    const u = directions(`tap:${wanted.name}`, count, this.golden.caseSeed);
    this.addScaled(`${name} proj`, dot(values, u), wanted.proj, wanted.l2, tolerance);
  }

  /** Gradient of the sum of each image's top score to the value at a tap, in explanation mode. */
  private contribution(wanted: StageNumbers, values: Float32Array, gradient: Float32Array): void {
    const { contribution } = wanted;
    if (contribution === undefined) return;
    const size = values.length / contribution.length;
    const name = `contribution ${wanted.name}`;
    const sums = contribution.map((_, n) =>
      dot(values.subarray(n * size, (n + 1) * size), gradient.subarray(n * size, (n + 1) * size)),
    );
    const noise = Math.max(wanted.gradNoise, wanted.noise);
    const tolerance = Math.max(goldenTolerance(noise), this.flip);
    // The sum over the whole tensor cancels: its rounding is relative to the sizes of the two factors.
    const scale = wanted.l2 * wanted.gradL2;
    sums.forEach((sum, n) => {
      const expected = contribution[n];
      this.addScaled(`${name} ${n}`, sum, expected, Math.max(Math.abs(expected), scale * 1e-2), tolerance);
    });
    this.add(`${name} gradL2`, [norm(gradient)], [wanted.gradL2], tolerance);
  }

  private explanation(encoded: Float32Array, gradient: Float32Array): void {
    const { items, positions, values } = this.input;
    const tolerance = this.gradTolerance;
    const size = encoded.length / items.length;
    const at = positions.map((p) => gradient[p]);
    this.add('explanation values', at, values, tolerance);
    items.forEach((item, n) => {
      const x = encoded.subarray(n * size, (n + 1) * size);
      const g = gradient.subarray(n * size, (n + 1) * size);
      const name = `explanation ${n}`;
      this.add(`${name} gradL2`, [norm(g)], [item.gradL2], tolerance);
      const scale = Math.max(Math.abs(item.inputTimesGrad), norm(item.channelSums));
      this.addScaled(`${name} inputTimesGrad`, dot(x, g), item.inputTimesGrad, scale, tolerance);
      const plane = size / item.channelSums.length;
      const sums = item.channelSums.map((_, c) =>
        g.subarray(c * plane, (c + 1) * plane).reduce((total, v) => total + v, 0),
      );
      this.add(`${name} channelSums`, sums, item.channelSums, tolerance);
      const u = directions(`grad:${n}`, size, this.golden.caseSeed);
      this.addScaled(`${name} proj`, dot(g, u), item.proj, item.gradL2, tolerance);
    });
  }

  /** Shares of the position embedding: with those of the image they make up the score. */
  private positions(results: Tensors): void {
    const images = this.input.items.length;
    const terms = Object.keys(results)
      .filter((name) => name.startsWith('terms '))
      .map((name) => results[name].dataSync());
    this.input.items.forEach((item, n) => {
      const { positionalContribution: expected, inputTimesGrad } = item;
      if (expected === undefined) return;
      let own = 0;
      for (const part of terms) {
        const share = part.length / images;
        for (let i = n * share; i < (n + 1) * share; i++) own += part[i];
      }
      const scale = Math.abs(inputTimesGrad) + Math.abs(expected);
      this.addScaled(`explanation ${n} positional`, own, expected, scale, this.gradTolerance);
    });
  }

  /** Values at taps, each from the one before; the first from `start`. */
  private async forward(start: string | null, taps: readonly string[], x: tf.Tensor): Promise<Tensors> {
    const explain = this.golden.bcos;
    return this.run(
      `${this.golden.name} ${taps[0]}`,
      (input) => {
        const values: Tensors = {};
        let value = input;
        let from = start;
        for (const tap of taps) {
          value = this.model.segment(from, tap).apply(value, { explain }) as tf.Tensor;
          values[tap] = value;
          from = tap;
        }
        return values;
      },
      [x],
    );
  }

  /** Gradients at taps from the one at `end`, each from the one above it; shares of position embeddings between them. */
  private async backward(
    taps: readonly string[],
    end: string,
    values: Tensors,
    above: tf.Tensor,
  ): Promise<Tensors> {
    const explain = this.golden.bcos;
    return this.run(
      `${this.golden.name} grad ${taps[0]}`,
      (...inputs) => {
        const results: Tensors = {};
        let gradient = inputs[taps.length];
        for (let i = taps.length - 1; i >= 0; i--) {
          const next = taps[i + 1] ?? end;
          const segment = this.model.segment(taps[i], next);
          if (explain) {
            const back = pullBack(networkPart(segment), inputs[i], gradient);
            gradient = back.gradient;
            results[`terms ${taps[i]}`] = back.constantTerms;
          } else {
            gradient = tf.grad((v: tf.Tensor) => segment.apply(v) as tf.Tensor)(inputs[i], gradient);
          }
          results[`grad ${taps[i]}`] = gradient;
        }
        return results;
      },
      [...taps.map((tap) => values[tap]), above],
    );
  }

  /** Scores without the logit bias (adding and subtracting it would cost digits) and the gradient of the top ones. */
  private async ends(last: string, value: tf.Tensor): Promise<Tensors> {
    const end = networkPart(this.model.segment(last, null));
    const classes = this.input.items.map((item) => item.cls);
    return this.run(
      `${this.golden.name} scores`,
      (v) => {
        // tfjs's wasm kernel writes whole numbers whatever type is asked for.
        const seeds = tf.cast(tf.oneHot(classes, this.model.spec.options.numClasses), 'float32');
        return { scores: runPart(end, v), [`grad ${last}`]: pullBack(end, v, seeds).gradient };
      },
      [value],
    );
  }

  /** Every number of the golden. Caller disposes. */
  private async compute(images: tf.Tensor, names: readonly string[]): Promise<Tensors> {
    const { model, golden } = this;
    const taps = ['input', ...names];
    const last = taps[taps.length - 1];
    // Networks of hundreds of megabytes go through the engine stage by stage, which bounds memory.
    const length = model.countParameters() > LARGE ? 1 : taps.length;
    const results: Tensors = {};
    try {
      for (let i = 0; i < taps.length; i += length) {
        const from = i === 0 ? null : taps[i - 1];
        const x = from === null ? images : results[from];
        Object.assign(results, await this.forward(from, taps.slice(i, i + length), x));
      }
      Object.assign(results, await this.ends(last, results[last]));
      const lower = taps.slice(0, -1);
      for (let end = lower.length; end > 0; end -= length) {
        const some = lower.slice(Math.max(0, end - length), end);
        const at = taps[end];
        Object.assign(results, await this.backward(some, at, results, results[`grad ${at}`]));
      }
      const whole = (x: tf.Tensor): Tensors => ({ logits: model.network.apply(x) as tf.Tensor });
      return Object.assign(results, await this.run(golden.name, whole, [images]));
    } catch (error) {
      tf.dispose(results);
      throw error;
    }
  }

  async check(): Promise<readonly GoldenCheck[]> {
    const { model, golden } = this;
    const images = imagesOf(golden);
    // Where there is no norm, there is no stage of it.
    const isAbsent = (name: string): boolean => model.spec.options.norm === 'identity' && name === 'bn1';
    const stages = golden.stages
      .map((s) => ({ ...s, stage: stageName(s.name) }))
      .filter(({ stage }) => !isAbsent(stage));
    const names = stages.map((s) => s.stage);
    const unknown = names.filter((name) => !model.stageNames.includes(name));
    if (unknown.length > 0) throw new Error(`${golden.name}: no stages ${unknown.join(', ')}`);
    const results = await this.compute(images, names);
    const read = (name: string): Float32Array =>
      toGolden(results[name], results[name].rank === 4 && !name.endsWith('to_patch_embedding.linear'));
    try {
      const tolerance = goldenTolerance(golden.noise.logitsMinusBias);
      const bias = model.spec.logitBias ?? 0;
      const scores = (golden.scores ?? golden.logits ?? []).flat();
      this.add('scores', read('scores'), scores, tolerance);
      const logits = scores.map((s) => s + bias);
      this.add('logits', read('logits'), logits, tolerance);
      this.explanation(read('input'), read('grad input'));
      this.positions(results);
      for (const wanted of stages) {
        const values = read(wanted.stage);
        this.stage(wanted, values);
        this.contribution(wanted, values, read(`grad ${wanted.stage}`));
      }
    } finally {
      tf.dispose(results);
      images.dispose();
    }
    return this.checks;
  }
}

async function runNet(path: string, run: Run): Promise<readonly GoldenCheck[]> {
  const golden = JSON.parse(readFileSync(path, 'utf8')) as NetGolden;
  const model = createModel(golden.name, { weights: 'zero' });
  try {
    fillModel(model, golden);
    return await new NetChecker(model, golden, run).check();
  } finally {
    model.dispose();
  }
}

function suite(name: string, run: Run, wanted: (net: string) => boolean): GoldenSuite {
  return {
    name,
    part: join('bcos', 'nets'),
    cases: (folder) => {
      const known = new Set(listModels().map((entry) => entry.name));
      return readdirSync(join(folder, 'bcos', 'nets'))
        .filter((file) => file.endsWith('.json'))
        .map((file) => file.slice(0, -'.json'.length))
        .filter(wanted)
        .map((net) => {
          const path = join(folder, 'bcos', 'nets', `${net}.json`);
          const isKnown = known.has(net) && existsSync(path);
          return { name: net, run: async () => (isKnown ? await runNet(path, run) : ('not yet' as const)) };
        });
    },
  };
}

const isSmall = (net: string): boolean => net.startsWith('cifar10');

export const netsEager = suite('nets eager', runEager, isSmall);
export const netsCompiled = suite('nets compiled', runBaked, isSmall);
export const bigNetsEager = suite('big nets eager', runEager, (net) => !isSmall(net));
export const bigNetsCompiled = suite('big nets compiled', runBaked, (net) => !isSmall(net));
