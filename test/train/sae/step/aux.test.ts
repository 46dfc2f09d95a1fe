/*
 * The auxiliary loss, property by property: one test for each way in which it is known to be got wrong. `check` holds
 * the code against float64 loops (auxReference.ts), and the same loops with the mistake made against the truth: a case
 * in which the mistake did not show would prove nothing.
 */
import * as tf from '@tensorflow/tfjs';
import { describe, expect, it } from 'vitest';
import { Random } from '../../../../src/core/random.js';
import { saeGradients } from '../../../../src/train/sae/step/gradients.js';
import { SaeTrainer, type SaeTrainerOptions } from '../../../../src/train/sae/step/trainer.js';
import { useEngine } from '../../../engine.js';
import { type AuxCase, type AuxSettings, type AuxTruth, auxTruth, type Mistake } from './auxReference.js';

useEngine();

const FIELDS = [
  'loss',
  'l2',
  'aux',
  'numerator',
  'dead',
  'counters',
  'encoderGrad',
  'directionsGrad',
] as const;
type Field = (typeof FIELDS)[number];
/** Relative difference above which a mistake shows. */
const SHOWS = 1e-4;

/** The code's numbers for a case. */
function computed(given: AuxCase, settings: AuxSettings): AuxTruth {
  const [channels, latents] = [given.x[0].length, given.encoder.length];
  return tf.tidy(() => {
    const matrix = (rows: AuxCase['x'], columns: number) =>
      tf.tensor2d(Float32Array.from(rows.flat()), [rows.length, columns]);
    const r = saeGradients(
      matrix(given.x, channels),
      matrix(given.encoder, channels),
      matrix(given.directions, channels),
      tf.tensor1d(Int32Array.from(given.counters), 'int32'),
      { ...settings, auxWidth: latents },
    );
    const list = (t: tf.Tensor): number[] => Array.from(t.dataSync());
    return {
      loss: list(r.loss)[0],
      l2: list(r.l2)[0],
      aux: list(r.aux)[0],
      numerator: list(r.auxNumerator)[0],
      dead: list(r.dead)[0],
      counters: list(r.counters),
      encoderGrad: list(r.encoderGrad),
      directionsGrad: list(r.decoderRowsGrad),
    } as never;
  });
}

const listOf = (value: number | number[]): number[] => (typeof value === 'number' ? [value] : value);

/** ||a - b|| / ||b||, infinite where a holds anything but numbers. */
function difference(a: number | number[], b: number | number[]): number {
  const [own, truth] = [listOf(a), listOf(b)];
  const wrong = Math.hypot(...own.map((v, i) => v - truth[i]));
  const size = Math.hypot(...truth);
  if (!Number.isFinite(wrong)) return Number.POSITIVE_INFINITY;
  return size === 0 ? wrong : wrong / size;
}

/** The code agrees with the truth in every number, and the mistake would have changed `fields`. */
function check(
  given: AuxCase,
  settings: AuxSettings,
  mistake: Mistake,
  fields: readonly Field[],
  tolerance = 1e-5,
): AuxTruth {
  const [own, truth, wrong] = [
    computed(given, settings),
    auxTruth(given, settings),
    auxTruth(given, settings, mistake),
  ];
  for (const field of FIELDS) expect(difference(own[field], truth[field]), field).toBeLessThan(tolerance);
  for (const field of fields)
    expect(difference(wrong[field], truth[field]), `${mistake}: ${field}`).toBeGreaterThan(SHOWS);
  return own;
}

const [ROWS, CHANNELS, LATENTS] = [7, 5, 14];
const DEAD = [1, 4, 8, 11, 12];

/** A case in general position: latents in DEAD respond weakly, so that top-k leaves them out, and have old counters. */
function generalCase(): { given: AuxCase; settings: AuxSettings } {
  const random = new Random(20261);
  const rows = (count: number, scale: (i: number) => number) =>
    Array.from({ length: count }, (_, i) =>
      Array.from({ length: CHANNELS }, () => Math.fround(scale(i) * random.normal())),
    );
  return {
    given: {
      x: rows(ROWS, () => 1),
      encoder: rows(LATENTS, (j) => (DEAD.includes(j) ? 0.05 : 1)),
      directions: rows(LATENTS, () => 1),
      counters: Array.from({ length: LATENTS }, (_, j) => (DEAD.includes(j) ? 500 : 3)),
    },
    settings: { k: 2, auxAlpha: 0.5, auxK: 2, deadAfterRows: 100 },
  };
}

/** Two channels; latent 0 takes all of channel 0, latent 1 (weak: never selected) answers to channel 1. */
function twoLatents(second: readonly number[], counters: readonly number[], direction = 1): AuxCase {
  return {
    x: second.map((v) => [1, v]),
    encoder: [
      [10, 0],
      [0, 1],
    ],
    directions: [
      [0.1, 0],
      [0, direction],
    ],
    counters,
  };
}
const ONE: AuxSettings = { k: 1, auxAlpha: 1 / 32, auxK: 256, deadAfterRows: 100 };
const SECOND = [0.5, 1.25, 2, 0.75];

describe('the auxiliary loss', () => {
  it('1. counters grow by the rows of the batch, those selected fall to 0, and then dead means at or above the threshold', () => {
    // 96 + 4 rows reach the threshold exactly; latent 0 was long silent and fires in this very batch.
    const given = twoLatents(SECOND, [500, 96], 0.5);
    for (const [mistake, fields] of [
      ['dead are compared before the counters move', ['loss', 'numerator']],
      ['strictly above the threshold', ['dead', 'loss']],
      ['counters count updates', ['counters', 'dead', 'loss']],
    ] as const) {
      const own = check(given, ONE, mistake, fields);
      expect(own).toMatchObject({ dead: 1, counters: [0, 100] });
    }
    expect(computed(twoLatents(SECOND, [500, 95]), ONE)).toMatchObject({ dead: 0, counters: [0, 99] });
  });

  it('1. counters do not overflow: a latent that was silent for more rows than int32 counts stays dead', () => {
    const silent = 2 ** 31 - 2;
    const own = computed(twoLatents(SECOND, [0, silent], 0.5), ONE);
    expect(own.dead).toBe(1);
    expect(own.counters[1]).toBeGreaterThan(2 ** 29);
    expect(own.counters[1]).toBeLessThan(2 ** 31);
  });

  it('2. a latent that top-k selected with value 0 has not fired', () => {
    const given: AuxCase = {
      x: [
        [-1, -2],
        [-3, -1],
        [2, -1],
      ],
      encoder: [
        [1, 0],
        [0, 1],
        [0, 2],
      ],
      directions: [
        [1, 0],
        [0, 1],
        [0, 1],
      ],
      counters: [97, 97, 97],
    };
    const own = check(given, { ...ONE, k: 2 }, 'a selected zero counts as fired', ['dead', 'counters']);
    expect(own).toMatchObject({ dead: 2, counters: [0, 100, 100] });
  });

  it('3. values are those before top-k: dead latents answer though they were not selected', () => {
    const { given, settings } = generalCase();
    check(given, settings, 'values after top-k', ['numerator', 'encoderGrad', 'directionsGrad']);
  });

  it('4. top-k runs among the dead only, and its places are those of all latents', () => {
    const { given, settings } = generalCase();
    check(given, settings, 'top-k among all', ['numerator', 'encoderGrad']);
    const own = check(given, settings, 'indices of the packed dead', [
      'numerator',
      'encoderGrad',
      'directionsGrad',
    ]);
    // Live latents get nothing from the term.
    const without = auxTruth(given, { ...settings, auxAlpha: 0 });
    for (let j = 0; j < LATENTS; j++) {
      const row = (values: number[]) => values.slice(j * CHANNELS, (j + 1) * CHANNELS);
      const moved = difference(row(own.encoderGrad), row(without.encoderGrad));
      if (DEAD.includes(j)) continue;
      expect(moved).toBeLessThan(1e-5);
    }
  });

  it('5. no more slots than dead latents: with one dead and 256 slots nothing becomes NaN', () => {
    const own = check(twoLatents(SECOND, [0, 500]), ONE, 'more slots than dead', ['loss', 'directionsGrad']);
    expect(own.dead).toBe(1);
    expect([...own.encoderGrad, ...own.directionsGrad, own.loss].every(Number.isFinite)).toBe(true);
  });

  it('6. the residual is held constant: live latents are not pulled towards the dead ones', () => {
    const { given, settings } = generalCase();
    check(given, settings, 'residual not detached', ['encoderGrad', 'directionsGrad']);
  });

  it('7. the reduction is that of the main loss: sum over channels, mean over rows', () => {
    const { given, settings } = generalCase();
    check(given, settings, 'plain mean', ['numerator', 'aux', 'loss', 'encoderGrad']);
  });

  it("8. the denominator is the variance of the residual about the batch's mean, held constant", () => {
    const { given, settings } = generalCase();
    check(given, settings, 'variance of the input', ['aux', 'loss', 'encoderGrad']);
    check(given, settings, 'no denominator', ['aux', 'loss', 'encoderGrad']);
    check(given, settings, 'denominator not detached', ['encoderGrad', 'directionsGrad']);
  });

  it.each([
    ['one row', [0.5]],
    ['equal residuals', [0.5, 0.5, 0.5]],
  ])('9. a residual that does not vary (%s) leaves the term out: finite loss and gradients', (_, second) => {
    const own = check(twoLatents(second, [0, 500]), ONE, 'quotient unguarded', ['loss']);
    expect(own.dead).toBe(1);
    expect(own.loss).toBe(own.l2);
    expect([...own.encoderGrad, ...own.directionsGrad].every(Number.isFinite)).toBe(true);
  });

  it('10. no further scaling by the share of dead latents', () => {
    const { given, settings } = generalCase();
    check(given, { ...settings, auxK: 256 }, 'scaled by the dead share', ['aux', 'loss', 'encoderGrad']);
  });

  it('11. the term reaches the gradients, not only the log', async () => {
    const { given, settings } = generalCase();
    check(given, settings, 'only logged', ['encoderGrad', 'directionsGrad']);
    for (const auxAlpha of [0, 1 / 32]) {
      const moved = await movedByOneUpdate(given, auxAlpha);
      for (const j of DEAD) {
        if (auxAlpha === 0) expect(moved[j]).toBe(0);
        else expect(moved[j]).toBeGreaterThan(1e-4);
      }
    }
  });

  it('12. nothing is added to what the dead write: with silent dead latents the numerator is the residual itself', () => {
    const given = twoLatents([-0.5, -1, -2], [0, 500]);
    const own = check(given, ONE, 'bias in the auxiliary reconstruction', ['numerator', 'aux', 'loss']);
    expect(own.numerator).toBeCloseTo(own.l2, 6);
  });

  it('13. looking at the trainer between updates moves no counter', async () => {
    const { given } = generalCase();
    const plain = await trajectory(given, 20, 0);
    expect(await trajectory(given, 20, 3)).toEqual(plain);
    // The reference's log call counts the batch's rows once more: latents would die an update earlier.
    expect((await trajectory(given, 20 + ROWS, 0)).dead).not.toEqual(plain.dead);
  });

  it('14. only dead latents take part: where none is dead there is no term, however many were not chosen', () => {
    const { given, settings } = generalCase();
    const young = { ...given, counters: given.counters.map(() => 3) };
    const own = check(young, settings, 'unchosen instead of dead', ['dead', 'loss', 'encoderGrad']);
    expect(own).toMatchObject({ dead: 0, aux: 0, numerator: 0 });
    expect(own.loss).toBe(own.l2);
  });

  it('15. residual and auxiliary reconstruction are compared in float32', () => {
    // The dead latent writes 99 % of the residual: the difference is lost in 11 bits. Float32 keeps five digits of it.
    const given = twoLatents(SECOND, [0, 500], 0.99);
    const own = check(given, ONE, 'half precision', ['numerator', 'aux'], 1e-4);
    expect(own.numerator).toBeLessThan(2e-4 * own.l2);
  });

  it('16. columns are made unit after the update, so that the saved ones are', async () => {
    const { given } = generalCase();
    const trainer = trainerOf(given, { auxAlpha: 1 / 32, learningRate: 0.3 });
    const x = tf.tensor2d(given.x.map((row) => [...row]));
    const before = await trainer.weights();
    for (let update = 0; update < 3; update++) await trainer.step(x);
    const after = await trainer.weights();
    for (let j = 0; j < LATENTS; j++) {
      const column = (values: Float32Array) =>
        Array.from({ length: CHANNELS }, (_, c) => values[c * LATENTS + j]);
      const [old, now] = [column(before.decoder), column(after.decoder)];
      expect(Math.hypot(...now)).toBeCloseTo(1, 6);
      // Steps of 0.3 a weight: columns that were unit before them are not after them.
      if (!DEAD.includes(j)) expect(Math.abs(now.reduce((s, v, c) => s + v * old[c], 0))).toBeLessThan(0.99);
    }
    x.dispose();
    trainer.dispose();
  });
});

/** A trainer that starts from a case: unit columns along its directions, its counters. */
function trainerOf(given: AuxCase, changes: Partial<SaeTrainerOptions>): SaeTrainer {
  const trainer = new SaeTrainer(
    {
      channels: CHANNELS,
      latents: LATENTS,
      k: 2,
      learningRate: 0.01,
      schedule: { totalSteps: 100, warmupSteps: 0, decayStart: null },
      auxAlpha: 0,
      auxK: 256,
      deadAfterRows: 100,
      batchRows: ROWS,
      normFactor: 1,
      ...changes,
    },
    {
      encoder: Float32Array.from(given.encoder.flat()),
      decoder: Float32Array.from({ length: CHANNELS * LATENTS }, (_, i) => {
        const direction = given.directions[i % LATENTS];
        return direction[Math.floor(i / LATENTS)] / Math.hypot(...direction);
      }),
    },
  );
  return trainer;
}

async function withCounters(given: AuxCase, trainer: SaeTrainer): Promise<void> {
  const state = await trainer.state();
  trainer.restore({ ...state, values: { ...state.values, counters: Int32Array.from(given.counters) } });
}

/** How far each latent's encoder row moves in the first update. */
async function movedByOneUpdate(given: AuxCase, auxAlpha: number): Promise<number[]> {
  const trainer = trainerOf(given, { auxAlpha });
  await withCounters(given, trainer);
  const x = tf.tensor2d(given.x.map((row) => [...row]));
  await trainer.step(x);
  const { encoder } = await trainer.weights();
  tf.dispose(x);
  trainer.dispose();
  return given.encoder.map((row, j) => Math.hypot(...row.map((v, c) => encoder[j * CHANNELS + c] - v)));
}

/** Dead latents of twelve updates and the last counters, which began at `silent`; looked at `looks` times before each. */
async function trajectory(
  given: AuxCase,
  silent: number,
  looks: number,
): Promise<{ dead: number[]; counters: number[] }> {
  const trainer = trainerOf(given, { auxAlpha: 1 / 32, deadAfterRows: 60, learningRate: 0.001 });
  await withCounters({ ...given, counters: given.counters.map(() => silent) }, trainer);
  const x = tf.tensor2d(given.x.map((row) => [...row]));
  const dead: number[] = [];
  for (let update = 0; update < 12; update++) {
    for (let look = 0; look < looks; look++) {
      (await trainer.reconstruct(x)).dispose();
      await trainer.counters();
      await trainer.activity(false);
      await trainer.state();
      await trainer.weights();
    }
    dead.push((await trainer.step(x)).dead);
  }
  const counters = Array.from(await trainer.counters());
  x.dispose();
  trainer.dispose();
  return { dead, counters };
}
