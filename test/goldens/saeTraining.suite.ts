import * as tf from '@tensorflow/tfjs';
import { Random } from '../../src/core/random.js';
import { compile } from '../../src/engine/compile.js';
import { runPart } from '../../src/explain/parts.js';
import { decode, encode } from '../../src/layers/topKSae.js';
import { positionWeights } from '../../src/train/sae/collect.js';
import type { FeatureSource } from '../../src/train/sae/featureSource.js';
import { saeGradients } from '../../src/train/sae/gradients.js';
import { varianceExplained } from '../../src/train/sae/metrics.js';
import { normFactorOf } from '../../src/train/sae/normFactor.js';
import { drawPositions, exponentialVariates, positionBudget } from '../../src/train/sae/sampling.js';
import { learningRateMultiplier } from '../../src/train/sae/schedule.js';
import { SaeTrainer, type SaeTrainerOptions, type SaeTrainerState } from '../../src/train/sae/trainer.js';
import { clipFactor, removeParallel } from '../../src/train/sae/update.js';
import { between, goldenNetwork } from '../explain/goldenNetworks.js';
import { close, type GoldenCheck } from './checks.js';
import { folderSuite } from './folderSuite.js';
import { type GoldenCase, type GoldenTensor, readFactCase } from './format.js';

type Numbers = Float64Array | Float32Array | Int32Array | Uint8Array;

function numbers(golden: GoldenTensor): Numbers {
  return golden.data as Numbers;
}

function agrees(golden: GoldenCase, name: string, actual: ArrayLike<number>, label = ''): GoldenCheck {
  const tensor = golden.tensors[name];
  return close(label === '' ? name : `${name} (${label})`, actual, numbers(tensor), tensor.noise);
}

/** Number of differing elements: integers must agree exactly. */
function equal(tensor: string, actual: ArrayLike<number>, expected: ArrayLike<number>): GoldenCheck {
  let wrong = actual.length === expected.length ? 0 : 1;
  for (let i = 0; i < expected.length; i++) if (actual[i] !== expected[i]) wrong++;
  return { tensor, error: wrong, tolerance: 0 };
}

function transposed(values: ArrayLike<number>, rows: number, columns: number): Float32Array {
  const result = new Float32Array(values.length);
  for (let i = 0; i < rows; i++)
    for (let j = 0; j < columns; j++) result[j * rows + i] = values[i * columns + j];
  return result;
}

async function runSchedule(golden: GoldenCase): Promise<GoldenCheck[]> {
  const cases: [string, number, number, number | null][] = [
    ['multiplier_0', 56, 8, 16],
    ['multiplier_1', 160, 10, 20],
    ['multiplier_2', 30, 1, 2],
    ['multiplier_3', 100, 0, 50],
    ['multiplier_4', 40, 5, null],
  ];
  return cases.map(([name, totalSteps, warmupSteps, decayStart]) => {
    const expected = numbers(golden.tensors[name]);
    const worst = Math.max(
      ...Array.from(expected, (value, u) =>
        Math.abs(value - learningRateMultiplier(u, { totalSteps, warmupSteps, decayStart })),
      ),
    );
    return { tensor: name, error: worst, tolerance: 1e-12 };
  });
}

async function runAux(golden: GoldenCase): Promise<GoldenCheck[]> {
  const p = golden.params;
  const x = tf.tensor2d(numbers(golden.tensors.x) as Float32Array, [p.rows, p.dim]);
  const encoder = tf.tensor2d(numbers(golden.tensors.encoder) as Float32Array, [p.latents, p.dim]);
  const rows = tf.tensor2d(transposed(numbers(golden.tensors.decoder), p.dim, p.latents), [p.latents, p.dim]);
  const counters = tf.tensor1d(numbers(golden.tensors.rows_since_fired_before) as Int32Array, 'int32');
  const checks: GoldenCheck[] = [];
  const widths = [
    ...new Set([p.latents, Math.min(p.latents, Math.max(p.top_k_aux, golden.results.dead_in_this_step))]),
  ];
  for (const auxWidth of widths) {
    for (const enabled of [false, true]) {
      const label = `${enabled ? 'compiled' : 'eager'}, width ${auxWidth}`;
      const options = {
        k: p.k,
        auxAlpha: p.auxk_alpha,
        auxK: p.top_k_aux,
        deadAfterRows: p.dead_feature_threshold,
        auxWidth,
      };
      const run = compile(
        (x: tf.Tensor2D, e: tf.Tensor2D, r: tf.Tensor2D, c: tf.Tensor1D) => {
          const result = saeGradients(x, e, r, c, options);
          const projected = removeParallel(result.decoderRowsGrad, r);
          return { ...result, projected, norm: clipFactor([result.encoderGrad, projected]).norm };
        },
        { name: 'golden aux', enabled },
      );
      const r = await run(x, encoder, rows, counters);
      checks.push(
        equal(`counters (${label})`, r.counters.dataSync(), numbers(golden.tensors.rows_since_fired_after)),
        equal(`dead (${label})`, r.dead.dataSync(), [golden.results.dead_in_this_step]),
        agrees(golden, 'l2', r.l2.dataSync(), label),
      );
      const known = golden.tensors.pre_norm_auxk;
      // The reference writes -1 where none is dead.
      checks.push(
        numbers(known)[0] === -1
          ? equal(`pre_norm_auxk (${label})`, r.auxNumerator.dataSync(), [0])
          : agrees(golden, 'pre_norm_auxk', r.auxNumerator.dataSync(), label),
      );
      if (golden.tensors.loss !== undefined) {
        checks.push(
          agrees(golden, 'loss', r.loss.dataSync(), label),
          agrees(golden, 'grad_encoder', r.encoderGrad.dataSync(), label),
          agrees(golden, 'grad_decoder', transposed(r.decoderRowsGrad.dataSync(), p.latents, p.dim), label),
          agrees(
            golden,
            'grad_decoder_projected',
            transposed(r.projected.dataSync(), p.latents, p.dim),
            label,
          ),
          agrees(golden, 'grad_norm', r.norm.dataSync(), label),
        );
      } else {
        // The reference divides by 0 here and its numbers are not to be copied: the term is left out.
        const finite = [r.loss, r.encoderGrad, r.decoderRowsGrad].every((t) =>
          (t.dataSync() as Float32Array).every(Number.isFinite),
        );
        checks.push({ tensor: `finite (${label})`, error: finite ? 0 : 1, tolerance: 0 });
        checks.push(equal(`loss = l2 (${label})`, r.loss.dataSync(), r.l2.dataSync()));
      }
      tf.dispose(r);
      run.dispose();
    }
  }
  tf.dispose([x, encoder, rows, counters]);
  return checks;
}

const COMPARED_LOGS = [
  ['frac_variance_explained', 'varianceExplained'],
  ['l2_loss', 'l2'],
  ['auxk_loss', 'aux'],
  ['loss', 'loss'],
  ['l0', 'l0'],
  ['dead_features', 'dead'],
] as const;

/** What the reference logs of a batch, and the counters as its log call leaves them. */
function logCall(
  features: tf.Tensor2D,
  state: SaeTrainerState,
  o: SaeTrainerOptions,
): { metrics: Record<(typeof COMPARED_LOGS)[number][1], number>; counters: Int32Array } {
  return tf.tidy(() => {
    const x = tf.div(features, o.normFactor) as tf.Tensor2D;
    const shape: [number, number] = [o.latents, o.channels];
    const encoder = tf.tensor2d(state.values.encoder, shape);
    const rows = tf.tensor2d(state.values.decoder_rows, shape);
    const r = saeGradients(x, encoder, rows, tf.tensor1d(state.values.counters, 'int32'), {
      ...o,
      auxWidth: o.latents,
    });
    const reconstruction = decode(encode(x, encoder, o.k), tf.transpose(rows));
    const number = (t: tf.Tensor) => t.dataSync()[0];
    return {
      metrics: {
        varianceExplained: number(varianceExplained(x, reconstruction as tf.Tensor2D)),
        l2: number(r.l2),
        aux: number(r.aux),
        loss: number(r.loss),
        l0: number(r.l0),
        dead: number(r.dead),
      },
      counters: Int32Array.from(r.counters.dataSync()),
    } as never;
  });
}

async function runTrajectory(golden: GoldenCase, compiled: boolean): Promise<GoldenCheck[]> {
  const p = golden.params;
  const label = compiled ? 'compiled' : 'eager';
  const data = numbers(golden.tensors.data) as Float32Array;
  const orders = numbers(golden.tensors.orders) as Int32Array;
  const orderOf = (pass: number) => orders.subarray(pass * p.rows, (pass + 1) * p.rows);
  const gather = (rows: ArrayLike<number>): Float32Array => {
    const values = new Float32Array(rows.length * p.dim);
    for (let i = 0; i < rows.length; i++)
      values.set(data.subarray(rows[i] * p.dim, (rows[i] + 1) * p.dim), i * p.dim);
    return values;
  };
  const checks: GoldenCheck[] = [];
  const store: FeatureSource = {
    rows: p.rows,
    channels: p.dim,
    tap: 'golden',
    arch: null,
    modelHash: null,
    fingerprint: '',
    gather: async (rows) => gather(rows),
    close: async () => {},
  };
  let normFactor = p.norm_factor_fixed as number | undefined;
  if (normFactor === undefined) {
    normFactor = await normFactorOf(store, Uint32Array.from(orderOf(0)), p.batch);
    const { value, noise } = golden.results.norm_factor;
    checks.push(close('norm_factor', [normFactor], [value], noise));
  }
  const options = {
    channels: p.dim,
    latents: p.latents,
    k: p.k,
    learningRate: p.base_lr,
    schedule: { totalSteps: p.total_steps, warmupSteps: p.warmup_steps, decayStart: p.decay_start },
    auxAlpha: p.auxk_alpha,
    auxK: p.top_k_aux,
    deadAfterRows: p.dead_feature_threshold,
    batchRows: p.batch,
    normFactor,
    compile: compiled,
  };
  const trainer = new SaeTrainer(options, {
    encoder: numbers(golden.tensors.initial_encoder) as Float32Array,
    decoder: numbers(golden.tensors.initial_decoder) as Float32Array,
  });
  const series: Record<'loss' | 'l2' | 'auxk' | 'grad_norm' | 'lr' | 'dead', number[]> = {
    loss: [],
    l2: [],
    auxk: [],
    grad_norm: [],
    lr: [],
    dead: [],
  };
  const counters: number[] = [];
  const logs = (golden.results.logs ?? []) as Record<string, number>[];
  const moments = [1, 2, 8, p.epochs === 7 ? 28 : 16, p.updates];
  for (let update = 1; update <= p.updates; update++) {
    const u = update - 1;
    const order = orderOf(1 + Math.floor(u / p.steps_per_epoch));
    const start = (u % p.steps_per_epoch) * p.batch;
    const rows = order.subarray(start, Math.min(start + p.batch, p.rows));
    const x = tf.tensor2d(gather(rows), [rows.length, p.dim]);
    const log = logs.find((l) => l.log_before_update === update);
    if (log !== undefined) {
      // The reference's log call moves the counters: done here by hand, the trainer's own metrics do not.
      const state = await trainer.state();
      const { metrics, counters: moved } = logCall(x, state, options);
      for (const [name, own] of COMPARED_LOGS) {
        checks.push(close(`log ${update} ${name} (${label})`, [metrics[own]], [log[name]]));
      }
      trainer.restore({ ...state, values: { ...state.values, counters: moved } });
    }
    const report = await trainer.step(x);
    x.dispose();
    series.loss.push(report.loss);
    series.l2.push(report.l2);
    series.auxk.push(report.aux);
    series.grad_norm.push(report.gradientNorm);
    series.lr.push(report.learningRate);
    series.dead.push(report.dead);
    for (const moment of moments) if (moment === update) counters.push(...(await trainer.counters()));
    const activity = logs.find((l) => l.activity_at_update === update);
    if (activity !== undefined) {
      const fired = await trainer.activity(true);
      const updatesSeen = update === 7 ? 7 : 8;
      const seen = activityRows(p, update, updatesSeen);
      checks.push(
        equal(
          `activity ${update} (${label})`,
          [fired.filter((n) => n === 0).length, fired.filter((n) => n >= 0.6 * seen).length],
          [activity.fully_dead, activity.too_active],
        ),
      );
    }
  }
  const dead = numbers(golden.tensors.dead);
  const lr = numbers(golden.tensors.lr);
  checks.push(
    agrees(golden, 'loss', series.loss, label),
    agrees(golden, 'l2', series.l2, label),
    agrees(golden, 'auxk', series.auxk, label),
    agrees(golden, 'grad_norm', series.grad_norm, label),
    {
      tensor: `lr (${label})`,
      error: Math.max(...series.lr.map((v, i) => Math.abs(v - lr[i]))),
      tolerance: 1e-12,
    },
    equal(
      `dead (${label})`,
      series.dead.map((n, i) => (dead[i] === -1 ? -1 : n)),
      dead,
    ),
    equal(`rows_since_fired (${label})`, counters, numbers(golden.tensors.rows_since_fired)),
  );
  const final = await trainer.weights();
  checks.push(
    agrees(golden, 'final_encoder', final.encoder, label),
    agrees(golden, 'final_decoder', final.decoder, label),
  );
  trainer.dispose();
  return checks;
}

/** Rows that updates `last - count + 1 .. last` read; the epoch's last batch is short. */
function activityRows(
  p: { rows: number; batch: number; steps_per_epoch: number },
  last: number,
  count: number,
): number {
  let rows = 0;
  for (let u = last - count; u < last; u++) {
    rows += Math.min(p.batch, p.rows - (u % p.steps_per_epoch) * p.batch);
  }
  return rows;
}

async function runBudget(golden: GoldenCase): Promise<GoldenCheck[]> {
  const table = golden.results.table as {
    channels: number;
    positions: number;
    budget: number;
    drawn: number;
    layer: string;
  }[];
  return table.map((row) =>
    equal(`${row.layer}`, [positionBudget(row.channels, row.positions)], [row.drawn]),
  );
}

/** Frequencies of many draws against the exact probabilities: four standard deviations of a frequency. */
async function runInclusion(golden: GoldenCase): Promise<GoldenCheck[]> {
  const weights = numbers(golden.tensors.weights);
  const exact = numbers(golden.tensors.inclusion_probability);
  const draws = 20_000;
  const counts = new Float64Array(weights.length);
  const random = new Random(1);
  for (let i = 0; i < draws; i++) {
    const variates = exponentialVariates(random, weights.length);
    for (const position of drawPositions(weights, variates, golden.params.draws)) counts[position]++;
  }
  return Array.from(exact, (probability, i) => ({
    tensor: `inclusion of ${i}`,
    error: Math.abs(counts[i] / draws - probability),
    tolerance: 4 * Math.sqrt((probability * (1 - probability)) / draws),
  }));
}

/** Weights of positions from the network itself, and the rows that are kept. */
async function weightChecks(golden: GoldenCase, drawn: ArrayLike<number>): Promise<GoldenCheck[]> {
  const isCnn = golden.tensors['weight:conv1.linear.weight'] !== undefined;
  const widths = [1, 2, 3].map((i) => golden.tensors[`weight:conv${i}.linear.weight`]?.shape[0]);
  const network = { network: isCnn ? 'cnn' : 'vit', network_args: { widths } };
  const stages = await goldenNetwork({ ...golden, params: { ...golden.params, ...network } });
  if (stages === null) return [];
  const { layer, channels } = golden.params;
  const checks: GoldenCheck[] = [];
  for (const enabled of [false, true]) {
    const run = compile(
      (image: tf.Tensor) => {
        const features = runPart(between(stages, null, layer), image);
        const weights = positionWeights(features, (f) => runPart(between(stages, layer, null), f));
        return { features: tf.reshape(features, [features.shape[0], -1, channels]), weights };
      },
      { name: 'golden sampling', enabled },
    );
    const image = tf.tidy(() =>
      tf.transpose(
        tf.tensor(numbers(golden.tensors.image) as Float32Array, [...golden.tensors.image.shape]),
        [0, 2, 3, 1],
      ),
    );
    const { features, weights } = await run(image);
    const values = features.dataSync();
    const rows = Array.from({ length: golden.tensors.first_rows.shape[0] }, (_, i) =>
      Array.from(values.subarray(drawn[i] * channels, (drawn[i] + 1) * channels)),
    );
    const label = enabled ? 'compiled' : 'eager';
    checks.push(
      agrees(golden, 'weights', weights.dataSync(), label),
      agrees(golden, 'first_rows', rows.flat(), label),
    );
    tf.dispose([image, features, weights]);
    run.dispose();
  }
  return checks;
}

async function runSampling(golden: GoldenCase): Promise<GoldenCheck[]> {
  const { weights_f32: weights, variates, indices } = golden.tensors;
  const [images, positions] = weights.shape;
  const drawn = indices.shape[1];
  const actual: number[] = [];
  for (let i = 0; i < images; i++) {
    const slice = (t: GoldenTensor) => numbers(t).subarray(i * positions, (i + 1) * positions);
    actual.push(...drawPositions(slice(weights) as Float32Array, slice(variates) as Float32Array, drawn));
  }
  return [
    equal('indices', actual, numbers(indices)),
    equal(
      'drawn_per_image',
      [positionBudget(golden.params.channels, positions)],
      [golden.params.drawn_per_image],
    ),
    ...(await weightChecks(golden, actual)),
  ];
}

async function runCase(path: string, name: string): Promise<readonly GoldenCheck[] | 'not yet'> {
  const golden = readFactCase(path);
  if (name === 'lr_schedule') return runSchedule(golden);
  if (name.startsWith('aux_')) return runAux(golden);
  if (name.startsWith('trajectory_'))
    return [...(await runTrajectory(golden, false)), ...(await runTrajectory(golden, true))];
  if (name === 'sampling_budget') return runBudget(golden);
  if (name === 'sampling_inclusion') return runInclusion(golden);
  if (name.startsWith('sampling_')) return runSampling(golden);
  return 'not yet';
}

/** The trainer of autoencoders: schedule, loss, whole runs, choice of features. */
export const saeTrainingSuite = folderSuite('fact/train', runCase);
