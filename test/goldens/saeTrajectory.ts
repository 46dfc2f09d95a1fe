import * as tf from '@tensorflow/tfjs';
import { decode, encode } from '../../src/layers/topKSae.js';
import { varianceExplained } from '../../src/train/sae/eval/metrics.js';
import type { FeatureSource } from '../../src/train/sae/features/featureSource.js';
import { normFactorOf } from '../../src/train/sae/features/normFactor.js';
import { saeGradients } from '../../src/train/sae/step/gradients.js';
import {
  SaeTrainer,
  type SaeTrainerOptions,
  type SaeTrainerState,
} from '../../src/train/sae/step/trainer.js';
import { close, type GoldenCheck } from './checks.js';
import type { GoldenCase } from './format.js';
import { agrees, equal, numbers } from './saeNumbers.js';

const COMPARED_LOGS = [
  ['frac_variance_explained', 'varianceExplained'],
  ['l2_loss', 'l2'],
  ['auxk_loss', 'aux'],
  ['loss', 'loss'],
  ['l0', 'l0'],
  ['dead_features', 'dead'],
  ['pre_norm_auxk_loss', 'auxNumerator'],
  ['effective_l0', 'k'],
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
        // The reference writes -1 where none is dead.
        auxNumerator: number(r.dead) === 0 ? -1 : number(r.auxNumerator),
        k: o.k,
      },
      counters: Int32Array.from(r.counters.dataSync()),
    } as never;
  });
}

export async function runTrajectory(golden: GoldenCase, compiled: boolean): Promise<GoldenCheck[]> {
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
    batches: async function* ({ pass, batchRows }) {
      for (let from = 0; from < p.rows; from += batchRows)
        yield gather(orderOf(pass).subarray(from, Math.min(from + batchRows, p.rows)));
    },
    close: async () => {},
  };
  let normFactor = p.norm_factor_fixed as number | undefined;
  if (normFactor === undefined) {
    normFactor = await normFactorOf(store, 0, p.batch);
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
  checks.push(
    ...(await finalChecks(golden, trainer, gather(Array.from({ length: 200 }, (_, i) => i)), label)),
  );
  trainer.dispose();
  return checks;
}

/** What the reference measured of the finished autoencoder; `values` [200, C] as they come from the network. */
async function finalChecks(
  golden: GoldenCase,
  trainer: SaeTrainer,
  values: Float32Array,
  label: string,
): Promise<GoldenCheck[]> {
  const { channels, latents, normFactor } = trainer.options;
  const x = tf.tensor2d(values, [values.length / channels, channels]);
  const reconstruction = await trainer.reconstruct(x);
  const error = tf.tidy(() => {
    const difference = tf.div(tf.sub(x, reconstruction), normFactor);
    return tf.div(tf.sum(tf.square(difference)), x.shape[0]).dataSync();
  });
  tf.dispose([x, reconstruction]);
  const { decoder } = await trainer.weights();
  const squares = new Float64Array(latents);
  decoder.forEach((v, i) => {
    squares[i % latents] += v * v;
  });
  const normError = Math.sqrt(squares.reduce((sum, s) => sum + (Math.sqrt(s) - 1) ** 2, 0) / latents);
  const known = golden.results.reconstruction_error_first_200_rows as { value: number; noise: number };
  return [
    close(`reconstruction_error_first_200_rows (${label})`, error, [known.value], known.noise),
    // The reference's own 5.6e-16 is that of float64; float32 columns are unit to its rounding.
    { tensor: `rms_decoder_norm_error (${label})`, error: normError, tolerance: 3e-7 },
  ];
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
