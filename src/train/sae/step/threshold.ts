/*
 * From the batches of a BatchTopK training to a code of single positions. In training the k B largest activations of a
 * batch count. Afterwards an activation counts where it exceeds a threshold: the running mean of the smallest activation
 * that was chosen in a batch,
 *
 *     t <- smallest                                   up to the update where it starts
 *     t <- memory t + (1 - memory) smallest           afterwards
 *
 * Batches without a positive activation leave it as it is. It belongs to features divided by the norm factor n; features
 * as they are respond n times as strongly, so that their threshold is n t.
 *
 * A code has the same number of places at every position. How many it needs is counted alongside, with the same memory:
 * the share of rows with 0, 1, ... activations, up to 8 k. The `width` is the smallest that all but one row in 10,000
 * keep to. Positions that would need more lose their smallest activations; the share is recorded.
 */
import { FactError } from '../../../core/errors.js';
import type { SaeArchitecture } from './state.js';

const DEFAULT_START = 1000;
/** A code of more than so many times k places would cost more than it keeps. */
const WIDEST = 8;
/** Share of rows that may need more places than they get, where the recipe names no width. */
const TRUNCATED_SHARE = 1e-4;

/** Numbers of activations that are told apart: 0 to 8 k, the last stands for more, too. */
export function activeBins(k: number, latents: number): number {
  return Math.min(latents, WIDEST * k) + 1;
}

/** Updates after which threshold and shares are running means. */
export function startsAt(options: {
  readonly thresholdStart?: number | null;
  readonly schedule: { readonly totalSteps: number };
}): number {
  return options.thresholdStart ?? Math.min(DEFAULT_START, Math.floor(options.schedule.totalSteps / 2));
}

/** What is remembered of the batches so far; `threshold` is negative while no activation was positive. */
export interface RunningCode {
  readonly threshold: number;
  /** Share of rows by number of activations. */
  readonly perRow: Float32Array;
}

/** The same after a batch whose smallest activation is `smallest` (0: none); memory 0 forgets what was before. */
export function nextCode(
  before: RunningCode,
  smallest: number,
  perRow: Float32Array,
  memory: number,
): RunningCode {
  if (!(smallest > 0)) return before;
  const kept = before.threshold < 0 ? 0 : memory;
  const mean = (old: number, value: number): number => Math.fround(kept * old + (1 - kept) * value);
  return {
    threshold: mean(before.threshold, smallest),
    perRow: perRow.map((share, i) => mean(before.perRow[i], share)),
  };
}

/** What an autoencoder needs beside its weights: `createSae` takes it. */
export interface SaeCode {
  readonly architecture: SaeArchitecture;
  /** Most activations of a position. */
  readonly k: number;
  /** Activations count above it, in the scale of features as they are; 0 where the k largest count. */
  readonly threshold: number;
  /** What was found, for cfg.json's `training`. */
  readonly training: Readonly<Record<string, unknown>>;
}

/** Share of rows with more than `width` activations. */
function shareAbove(perRow: Float32Array, width: number): number {
  let share = 0;
  for (let n = width + 1; n < perRow.length; n++) share += perRow[n];
  return share;
}

/**
 * The code of single positions. `width`: the recipe's, or null.
 * Throws FactError E_SAE_FEATURES where no activation was ever positive.
 */
export function batchTopKCode(
  { threshold, perRow }: RunningCode,
  options: {
    readonly k: number;
    readonly latents: number;
    readonly normFactor: number;
    readonly width: number | null;
  },
): SaeCode {
  if (!(threshold > 0)) {
    throw new FactError({
      code: 'E_SAE_FEATURES',
      message:
        'autoencoder of architecture batchtopk: no activation was positive, so that there is no threshold',
      remedy: 'Check the features: are they all zero? Or train for more than one update.',
    });
  }
  const most = perRow.length - 1;
  let found = 1;
  while (found < most && shareAbove(perRow, found) > TRUNCATED_SHARE) found++;
  const width = Math.min(options.width ?? found, options.latents);
  const meanActive = perRow.reduce((sum, share, n) => sum + n * share, 0);
  return {
    architecture: 'batchtopk',
    k: width,
    threshold: threshold * options.normFactor,
    // Where even the widest code is full, rows that need more look like rows that need just so much.
    training: { code: { meanActive, truncatedShare: shareAbove(perRow, Math.min(width, most - 1)) } },
  };
}
