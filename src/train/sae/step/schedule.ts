/** The three marks of the learning rate's course, in updates. */
export interface SaeSchedule {
  readonly totalSteps: number;
  readonly warmupSteps: number;
  /** null: no decay. */
  readonly decayStart: number | null;
}

/**
 * Multiplier of the learning rate at update u, from 0 (trainer of FaCT): u / warmup while u < warmup, 1 up to the
 * decay, then 0.5 (1 + cos(pi (u - decayStart) / (totalSteps - decayStart))). With a warm-up the first update has
 * rate 0: it only fills Adam's moments and the counters.
 */
export function learningRateMultiplier(update: number, schedule: SaeSchedule): number {
  const { totalSteps, warmupSteps, decayStart } = schedule;
  if (update < warmupSteps) return update / warmupSteps;
  if (decayStart === null || update < decayStart) return 1;
  return 0.5 * (1 + Math.cos((Math.PI * (update - decayStart)) / (totalSteps - decayStart)));
}
