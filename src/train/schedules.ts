import type { ScheduleConfig } from './config/schema.js';

export interface ScheduleLength {
  readonly epochs: number;
  /** Updates (not batches) in an epoch. */
  readonly updatesPerEpoch: number;
}

/**
 * Learning rate of each update as a multiple of the base rate's schedule, in float64 (PyTorch's LinearLR / ConstantLR
 * then CosineAnnealingLR / StepLR / ExponentialLR, in closed form). With `u` = epochs or updates done, W of warm-up:
 *
 *     u < W:    linear  rate (start + (1 - start) u / W)        constant  rate start
 *     else, v = u - W, T = total - W:
 *     cosine      minimum + (rate - minimum) (1 + cos(pi v / T)) / 2
 *     step        rate gamma^floor(v / stepSize)       exponential  rate gamma^v       constant  rate
 *
 * `stepSize` and `gamma` of `exponential` count epochs; per update, `stepSize` is multiplied by the updates of an epoch
 * and `exponential` falls once an update, as in the reference.
 *
 * @returns rate for the update number `update` (from 0) of a run
 */
export function learningRate(
  config: ScheduleConfig,
  rate: number,
  length: ScheduleLength,
): (update: number) => number {
  const perUpdate = config.interval === 'step';
  const unit = perUpdate ? length.updatesPerEpoch : 1;
  const total = length.epochs * unit;
  const { warmup, minimum, gamma } = config;
  const warm = warmup.steps ?? Math.round(warmup.epochs * unit);
  return (update) => {
    const done = perUpdate ? update : Math.floor(update / length.updatesPerEpoch);
    if (done < warm) {
      return warmup.method === 'linear'
        ? rate * (warmup.start + ((1 - warmup.start) * done) / warm)
        : rate * warmup.start;
    }
    const v = done - warm;
    switch (config.name) {
      case 'cosine':
        return minimum + ((rate - minimum) * (1 + Math.cos((Math.PI * v) / (total - warm)))) / 2;
      case 'step':
        return rate * gamma ** Math.floor(v / (config.stepSize * unit));
      case 'exponential':
        return rate * gamma ** v;
      case 'constant':
        return rate;
    }
  };
}
