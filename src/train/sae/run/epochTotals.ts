import type { SaeStepReport } from '../step/trainer.js';
import type { SaeEpochSummary } from './runLogs.js';

/** Share of an epoch's rows from which on a concept counts as too active. */
const TOO_ACTIVE_SHARE = 0.6;

/** Sums over the updates of the current epoch; plain data, kept in checkpoints. */
export interface EpochTotals {
  readonly updates: number;
  readonly rows: number;
  readonly loss: number;
  readonly l2: number;
  readonly aux: number;
  readonly l0: number;
  readonly gradientNorm: number;
  /** Seconds in updates, and seconds waiting for features. */
  readonly seconds: number;
  readonly waitSeconds: number;
}

export const NO_EPOCH_TOTALS: EpochTotals = {
  updates: 0,
  rows: 0,
  loss: 0,
  l2: 0,
  aux: 0,
  l0: 0,
  gradientNorm: 0,
  seconds: 0,
  waitSeconds: 0,
};

/** The sums with one more update. */
export function addUpdate(
  t: EpochTotals,
  report: SaeStepReport,
  update: { readonly rows: number; readonly seconds: number; readonly waitSeconds: number },
): EpochTotals {
  return {
    updates: t.updates + 1,
    rows: t.rows + update.rows,
    loss: t.loss + report.loss,
    l2: t.l2 + report.l2,
    aux: t.aux + report.aux,
    l0: t.l0 + report.l0,
    gradientNorm: t.gradientNorm + report.gradientNorm,
    seconds: t.seconds + update.seconds,
    waitSeconds: t.waitSeconds + update.waitSeconds,
  };
}

/** The row of an epoch; `activity`: rows of it in which each concept fired. Its accuracy is measured later. */
export function summaryOf(
  epoch: number,
  t: EpochTotals,
  last: SaeStepReport,
  activity: Int32Array,
  varianceExplained: number | null,
): SaeEpochSummary {
  const seconds = t.seconds + t.waitSeconds;
  return {
    epoch,
    update: last.update,
    learningRate: last.learningRate,
    loss: t.loss / t.updates,
    l2: t.l2 / t.updates,
    aux: t.aux / t.updates,
    l0: t.l0 / t.updates,
    gradientNorm: t.gradientNorm / t.updates,
    dead: last.dead,
    silent: activity.filter((n) => n === 0).length,
    tooActive: activity.filter((n) => n >= TOO_ACTIVE_SHARE * t.rows).length,
    varianceExplained,
    splicedTop1: null,
    seconds,
    rowsPerSecond: t.rows / Math.max(seconds, 1e-9),
    dataWait: t.waitSeconds / Math.max(seconds, 1e-9),
  };
}
