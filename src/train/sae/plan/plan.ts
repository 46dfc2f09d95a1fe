/** What an autoencoder costs at the size of a data set: disk, memory, hours. */
import { imagesWithin, SHARD_BYTES, storeBytes } from '../store/storeBytes.js';
import { checkpointBytes, type TrainingBytes, trainingBytes, updatesOf } from './formulas.js';
import type { PlanRates, SettingRates } from './rates.js';
import type { PlanSetting } from './settings.js';

export interface PlanOptions {
  /** Pictures that features are taken from, those held out not among them. */
  readonly images: number;
  readonly heldOut: number;
  /** Pictures that `fact sae eval` measures on. */
  readonly validation: number;
  /** Most bytes that a store may take at any time; null: no limit. */
  readonly maxBytes: number | null;
  /** No store: the network runs again in every epoch. */
  readonly onTheFly: boolean;
}

/** A store of features in one type. */
export interface StoreCost {
  /** Pictures whose features it holds: fewer than there are where a budget binds. */
  readonly images: number;
  readonly rows: number;
  readonly bytes: number;
  /** On disk while it is written. */
  readonly peakBytes: number;
}

/** Seconds of processor time at full use of the machine. */
export interface PlanSeconds {
  readonly collection: number;
  readonly training: number;
  /** Accuracy on the pictures held out every few epochs, and one `fact sae eval` at the end. */
  readonly evaluation: number;
}

export interface SettingPlan {
  readonly setting: PlanSetting;
  readonly rows: number;
  /** The rows alone as float32, without the store around them. */
  readonly featureBytes: number;
  /** Without a limit. */
  readonly f32: StoreCost;
  readonly f16: StoreCost;
  /** The largest that the limit allows; null where there is none. */
  readonly limited: { readonly f32: StoreCost; readonly f16: StoreCost } | null;
  readonly memory: TrainingBytes;
  readonly checkpoint: number;
  /** Updates of training, on all rows or on those that the limit leaves. */
  readonly updates: number;
  readonly rates: SettingRates | null;
  /** Null where no rates are known. */
  readonly seconds: PlanSeconds | null;
  /** Bytes a second that training reads from the store, so that reading does not hold it up. */
  readonly readRate: number | null;
}

function storeOf({ channels, kept }: PlanSetting, images: number, dtype: 'f32' | 'f16'): StoreCost {
  const rows = images * kept;
  return { images, rows, ...storeBytes([{ rows, channels }], dtype) };
}

function limitedStore(
  setting: PlanSetting,
  images: number,
  maxBytes: number,
  dtype: 'f32' | 'f16',
): StoreCost {
  return storeOf(setting, imagesWithin(maxBytes, images, [setting], dtype), dtype);
}

function secondsOf(
  setting: PlanSetting,
  rates: SettingRates,
  { decode, threads }: PlanRates,
  options: PlanOptions,
  images: number,
  updates: number,
): PlanSeconds {
  const { epochs, evaluateEvery } = setting.config;
  const decoding = 1 / (decode * threads);
  const pass = images * (1 / rates.collect + decoding);
  const rows = images * setting.kept;
  const measured = options.heldOut * Math.floor(epochs / evaluateEvery) + options.validation;
  return {
    // Pass 0 measures the norm factor on the first batches, the epochs follow.
    collection: options.onTheFly ? epochs * pass : pass,
    training: updates * rates.update.fixed + epochs * rows * rates.update.perRow,
    evaluation: measured * (1 / rates.evaluate + decoding),
  };
}

/** The costs of one setting. */
export function planOf(setting: PlanSetting, options: PlanOptions, rates: PlanRates): SettingPlan {
  const { images, maxBytes, onTheFly } = options;
  const { channels, kept, config } = setting;
  const { latents, k, epochs, features } = config;
  const limited =
    maxBytes === null
      ? null
      : {
          f32: limitedStore(setting, images, maxBytes, 'f32'),
          f16: limitedStore(setting, images, maxBytes, 'f16'),
        };
  const used = limited === null || onTheFly ? images : limited.f32.images;
  const rows = used * kept;
  const batchRows = Math.max(1, Math.min(config.batchRows, rows));
  const reader = onTheFly ? 2 * features.blockImages * kept * channels * 4 : 2 * SHARD_BYTES;
  const updates = updatesOf(Math.max(1, rows), batchRows, epochs);
  const found = rates.of(setting);
  const seconds = found === null ? null : secondsOf(setting, found, rates, options, used, updates);
  return {
    setting,
    rows: images * kept,
    featureBytes: 4 * images * kept * channels,
    f32: storeOf(setting, images, 'f32'),
    f16: storeOf(setting, images, 'f16'),
    limited,
    memory: trainingBytes({ channels, latents, k, batchRows }, reader),
    checkpoint: checkpointBytes({ channels, latents }),
    updates,
    rates: found,
    seconds,
    readRate:
      seconds === null || onTheFly || seconds.training === 0
        ? null
        : (epochs * rows * channels * 4) / seconds.training,
  };
}
